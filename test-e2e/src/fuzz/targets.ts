import type { AnyTarget } from "./target.ts";

interface Entry {
  /** Imports the target and the code it tests: only a process that runs it does so. */
  readonly load: () => Promise<AnyTarget>;
  /** Whether it is searched by coverage as well. */
  readonly isGuided: boolean;
}

const entries: Readonly<Record<string, Entry>> = {
  "codec-frames": { load: async () => (await import("./targets/codec.ts")).frames, isGuided: true },
  "codec-tlvs": { load: async () => (await import("./targets/codec.ts")).tlvFields, isGuided: true },
  "noise-bytes": { load: async () => (await import("./targets/noise.ts")).noiseBytes, isGuided: true },
  "noise-sessions": { load: async () => (await import("./targets/noise.ts")).sessions, isGuided: false },
  "frame-reader-plain": { load: async () => (await import("./targets/frame-reader.ts")).plainReader, isGuided: false },
  "frame-reader-sealed": {
    load: async () => (await import("./targets/frame-reader.ts")).sealedReader,
    isGuided: false,
  },
  "sv1-from-miners": { load: async () => (await import("./targets/sv1.ts")).fromMiners, isGuided: true },
  "sv1-from-pools": { load: async () => (await import("./targets/sv1.ts")).fromPools, isGuided: true },
  "mining-server": { load: async () => (await import("./targets/mining-server.ts")).miningServer, isGuided: false },
  "mining-client": { load: async () => (await import("./targets/mining-client.ts")).miningClient, isGuided: false },
  translator: { load: async () => (await import("./targets/translator.ts")).translator, isGuided: false },
  "share-store": { load: async () => (await import("./targets/share-store.ts")).shareStore, isGuided: false },
  "bitcoin-transactions": { load: async () => (await import("./targets/bitcoin.ts")).transactions, isGuided: true },
  "bitcoin-blocks": { load: async () => (await import("./targets/bitcoin.ts")).blockBytes, isGuided: true },
  "bitcoin-descriptors": { load: async () => (await import("./targets/bitcoin.ts")).descriptorText, isGuided: true },
  "config-text": { load: async () => (await import("./targets/config.ts")).configText, isGuided: true },
  "config-overrides": { load: async () => (await import("./targets/config.ts")).configOverrides, isGuided: false },
  "jd-tokens": { load: async () => (await import("./targets/declared-bytes.ts")).tokens, isGuided: true },
  "jd-coinbases": { load: async () => (await import("./targets/declared-bytes.ts")).coinbases, isGuided: true },
  "job-declarator": { load: async () => (await import("./targets/job-declarator.ts")).jobDeclarator, isGuided: false },
  "custom-jobs": { load: async () => (await import("./targets/custom-jobs.ts")).customJobs, isGuided: false },
  "jd-client": { load: async () => (await import("./targets/jd-client.ts")).jdClient, isGuided: false },
  addresses: { load: async () => (await import("./targets/addresses.ts")).addresses, isGuided: true },
  "lan-packets": { load: async () => (await import("./targets/lan.ts")).lanPackets, isGuided: true },
  "rpc-from-callers": { load: async () => (await import("./targets/rpc.ts")).fromCallers, isGuided: true },
  "rpc-from-servers": { load: async () => (await import("./targets/rpc.ts")).fromServers, isGuided: true },
  "lasting-mining-server": {
    load: async () => (await import("./targets/lasting.ts")).lastingServer(),
    isGuided: false,
  },
  "lasting-mining-client": {
    load: async () => (await import("./targets/lasting.ts")).lastingClient(),
    isGuided: false,
  },
  "lasting-translator": {
    load: async () => (await import("./targets/lasting.ts")).lastingTranslator(),
    isGuided: false,
  },
  "lasting-sv1-session": { load: async () => (await import("./targets/lasting.ts")).lastingSession(), isGuided: false },
};

/** The name of every target, in the order they are searched. */
export const targetNames: readonly string[] = Object.keys(entries);

/** Whether a target is searched by coverage as well. */
export function isGuided(name: string): boolean {
  return entries[name]?.isGuided ?? false;
}

const PLANTED = "planted-";

/** Imports a target, and with it the code it tests. Throws RangeError for a name that there is not. */
export async function loadTarget(name: string): Promise<AnyTarget> {
  const entry = entries[name];
  if (entry !== undefined) return await entry.load();
  const { planted } = await import("./targets/planted.ts");
  const found = name.startsWith(PLANTED) ? planted[name.slice(PLANTED.length)] : undefined;
  if (found === undefined) throw new RangeError(`no target ${name}; there are ${targetNames.join(", ")}`);
  return found;
}
