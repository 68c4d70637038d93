import type { Suite } from "./suite.ts";

/** Every suite by the name it is asked for. Loaded one at a time: each runs in a process of its own. */
export const suites = {
  codec: async (): Promise<Suite> => (await import("./codec.ts")).codec,
  crypto: async (): Promise<Suite> => (await import("./crypto.ts")).crypto,
  channels: async (): Promise<Suite> => (await import("./channels.ts")).channels,
  "bitcoin-node": async (): Promise<Suite> => (await import("./bitcoin-node.ts")).bitcoinNode,
  "job-declaration": async (): Promise<Suite> => (await import("./job-declaration.ts")).jobDeclaration,
  "share-store": async (): Promise<Suite> => (await import("./share-store.ts")).shareStore,
  pool: async (): Promise<Suite> => (await import("./pool.ts")).pool,
} as const;

/** A suite's name. */
export type SuiteName = keyof typeof suites;

/** Whether there is such a suite. */
export function isSuiteName(name: string): name is SuiteName {
  return Object.hasOwn(suites, name);
}
