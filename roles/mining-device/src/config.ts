import {
  checkRpc,
  checkUpstream,
  type IrohSettings,
  irohSettings,
  type ProcessSettings,
  processSettings,
  type UpstreamSettings,
  upstreamSettings,
} from "@adit/role-kit";
import { type FallbackSettings, fallbackSettings } from "@adit/role-network";
import { z } from "zod";

/** Most connections of one process; each is a socket. */
const MAX_CONNECTIONS = 10_000;
const MAX_THREADS = 256;

const name = (meaning: string): z.ZodString =>
  z.string().min(1).max(255).describe(`${meaning}; {n} stands for the number of the connection, from 1`);

/** Config of the mining device: type, defaults, checks and reference page. */
export const miningDeviceConfig: z.ZodType<MiningDeviceConfig> = z
  .strictObject({
    ...processSettings,
    protocol: z.enum(["sv1", "sv2"]).describe("what the upstream speaks: Stratum V1 (TCP, in the clear) or V2"),
    ...upstreamSettings,
    channel: z
      .enum(["standard", "extended"])
      .default("extended")
      .describe("sv2: `standard` mines headers as given, `extended` rolls an extranonce too"),
    userName: name("sv1: user name, usually account.worker").default("miner"),
    password: z.string().max(255).default("x").describe("sv1: password; pools rarely want one"),
    userIdentity: name("sv2: user identity, usually account.worker").default("miner"),
    connections: z
      .int()
      .min(1)
      .max(MAX_CONNECTIONS)
      .default(1)
      .describe("connections to the upstream, which share the hashing threads evenly"),
    threads: z.int().min(1).max(MAX_THREADS).default(1).describe("worker threads that hash"),
    hashrateLimit: z
      .number()
      .min(0)
      .max(1e18)
      .default(0)
      .describe("most hashes a second of all threads together; 0 for no limit"),
    nominalHashrate: z
      .exactOptional(z.number().positive().max(1e18))
      .describe("sv2: hashes a second that each connection announces; measured at start when absent"),
    versionRolling: z.boolean().default(true).describe("roll the version bits of BIP320 where the upstream allows it"),
    suggestDifficulty: z
      .number()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER)
      .default(0)
      .describe("sv1: difficulty to ask for; 0 asks for none"),
    iroh: irohSettings.prefault({}),
    fallback: fallbackSettings.prefault({}),
  })
  .superRefine((config, context) => {
    checkRpc(config, context);
    checkUpstream(config, context);
    if (config.protocol === "sv2" || config.transport === "tcp") return;
    const message = 'expected "tcp": Stratum V1 goes over TCP only; a translator brings it to Iroh';
    context.addIssue({ code: "custom", path: ["transport"], message, input: config.transport });
  });

/** What {@link miningDeviceConfig} parses to. */
export interface MiningDeviceConfig extends ProcessSettings, UpstreamSettings {
  readonly protocol: "sv1" | "sv2";
  readonly channel: "standard" | "extended";
  readonly userName: string;
  readonly password: string;
  readonly userIdentity: string;
  readonly connections: number;
  readonly threads: number;
  readonly hashrateLimit: number;
  readonly nominalHashrate?: number;
  readonly versionRolling: boolean;
  readonly suggestDifficulty: number;
  readonly iroh: IrohSettings;
  readonly fallback: FallbackSettings;
}

/** A user name or identity with the connection's number in place of `{n}`. */
export function numbered(text: string, connection: number): string {
  return text.replaceAll("{n}", String(connection));
}
