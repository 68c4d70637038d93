import { BitcoinError } from "@adit/bitcoin";
import { WORKER_HASHRATE_TRACKING } from "@adit/codec";
import { decodeAuthorityPublicKey } from "@adit/noise";
import { checkUpstream, processSettings, splitAddress, type UpstreamSettings, upstreamSettings } from "@adit/role-kit";
import { checkServer, serverSettings } from "@adit/role-network";
import { z } from "zod";
import { poolLimits } from "./limits.ts";
import { rewardOf } from "./reward.ts";

/** A key of the reference implementation's files for something this pool has not: refused with the reason. */
const absent = (reason: string): z.ZodExactOptional<z.ZodUnknown> =>
  z.exactOptional(z.unknown().refine(() => false, { message: reason })).describe(`not supported: ${reason}`);

const extension = z.literal(WORKER_HASHRATE_TRACKING, {
  message: "expected 2 (worker names), the only extension this pool knows; 1 (negotiation) is always there",
});

const templateProviderFields = z.strictObject({
  ...upstreamSettings,
  publicKey: z
    .exactOptional(z.string().min(1))
    .describe("the same as authority_pubkey, as the reference implementation's files spell it"),
});

type Sv2Tp = z.output<typeof templateProviderFields>;

const templateProvider = templateProviderFields
  .superRefine((entry, context) => checkTemplateProvider(entry, context))
  .describe("a template provider reached over the Template Distribution Protocol; address may be host:port");

const templateProviderType = z
  .strictObject({
    Sv2Tp: templateProvider,
    BitcoinCoreIpc: absent(
      "this pool speaks the Template Distribution Protocol only; run `adit template-provider` and name it in [template_provider_type.Sv2Tp]",
    ),
  })
  .describe("where templates come from");

const shape = {
  ...serverSettings,
  ...processSettings,
  network: z
    .exactOptional(z.enum(["mainnet", "testnet4", "signet", "regtest"]))
    .describe("network the reward script must belong to; absent: the one its address is of, else mainnet"),
  coinbaseRewardScript: z
    .string()
    .min(1)
    .describe(
      "descriptor of where rewards go: addr(ADDRESS), pkh(KEY), wpkh(KEY), sh(wpkh(KEY)), tr(KEY) or raw(HEX), with or without #checksum",
    ),
  poolSignature: z
    .string()
    .regex(/^[\x20-\x7e]*$/, "expected printable ASCII")
    .max(64)
    .default("Adit")
    .describe("text in the coinbase of the pool's blocks"),
  sharesPerMinute: z.number().positive().max(100_000).default(6).describe("share rate each channel is held at"),
  shareBatchSize: z
    .int()
    .min(1)
    .max(100_000)
    .default(10)
    .describe("shares acknowledged by one SubmitShares.Success, unless their time is up before"),
  ackIntervalSecs: z
    .number()
    .positive()
    .max(3600)
    .default(5)
    .describe("longest wait of a recorded share for its acknowledgement, in seconds"),
  minHashrate: z
    .number()
    .positive()
    .max(1e20)
    .default(1e9)
    .describe("weakest miner that shares_per_minute is still reached for, in H/s: sets the lowest difficulty"),
  versionRollingAllowed: z.boolean().default(true).describe("whether miners may roll the version bits of BIP323"),
  serverId: z
    .int()
    .min(0)
    .max(255)
    .default(0)
    .describe("first byte of every extranonce; pools that share templates need different ones"),
  supportedExtensions: z
    .array(extension)
    .max(1)
    .default([WORKER_HASHRATE_TRACKING])
    .describe("extensions a miner may ask for; 2 (worker names) is the one this pool knows"),
  requiredExtensions: z.array(extension).max(1).default([]).describe("extensions without which a miner is refused"),
  shareStorePath: z.string().min(1).default("shares.db").describe("SQLite file that keeps shares, workers and blocks"),
  shareCommitIntervalMs: z
    .number()
    .min(0)
    .max(10_000)
    .default(10)
    .describe("longest wait of a share for others to be committed with, in milliseconds"),
  maxPastJobs: z.exactOptional(z.int().min(0).max(10_000)).describe("older jobs of the same tip kept; 0 or absent: 32"),
  monitoringCacheRefreshSecs: z
    .exactOptional(z.number().positive())
    .describe("taken for the sake of existing files and not needed: the status is made afresh at each request"),
  jds: absent("this pool has no embedded job declaration server; remove [jds]"),
  templateProviderType,
  limits: poolLimits.prefault({}),
} as const;

/** The pool's config: every key of its TOML file in camelCase. */
export const poolConfig = z.strictObject(shape).superRefine((config, context) => {
  checkServer(config, context);
  checkReward(config, context);
  checkExtensions(config, context);
});

/** What {@link poolConfig} parses to. */
export type PoolConfig = z.output<typeof poolConfig>;

/** The template provider as every upstream is written: host and port apart, one name for its key. */
export function templateProviderUpstream({ publicKey, ...upstream }: Sv2Tp): UpstreamSettings {
  const authorityPubkey = upstream.authorityPubkey ?? publicKey;
  const key = authorityPubkey === undefined ? {} : { authorityPubkey };
  return { ...upstream, ...hostAndPort(upstream), ...key };
}

function hostAndPort({ address, port }: Pick<Sv2Tp, "address" | "port">): { address?: string; port?: number } {
  if (address === undefined || port !== undefined) return {};
  try {
    const split = splitAddress(address);
    return { address: split.host, port: split.port };
  } catch {
    // A host alone: what lacks is the port, and the check says so.
    return {};
  }
}

function checkReward(config: Parameters<typeof rewardOf>[0], context: z.core.$RefinementCtx): void {
  try {
    rewardOf(config);
  } catch (error) {
    if (!(error instanceof BitcoinError)) throw error;
    problem(context, { path: ["coinbaseRewardScript"], message: `expected a payable descriptor: ${error.message}` });
  }
}

function checkExtensions(
  config: { readonly supportedExtensions: readonly number[]; readonly requiredExtensions: readonly number[] },
  context: z.core.$RefinementCtx,
): void {
  for (const [index, extensionType] of config.requiredExtensions.entries()) {
    if (config.supportedExtensions.includes(extensionType)) continue;
    const message = "expected an extension that supported_extensions lists too";
    problem(context, { path: ["requiredExtensions", index], message });
  }
}

function checkTemplateProvider(entry: Sv2Tp, context: z.core.$RefinementCtx): void {
  if (entry.publicKey !== undefined && entry.authorityPubkey !== undefined) {
    problem(context, { path: ["publicKey"], message: "expected either public_key or authority_pubkey, not both" });
  }
  const upstream = templateProviderUpstream(entry);
  checkUpstream(upstream, context);
  try {
    if (upstream.authorityPubkey !== undefined) decodeAuthorityPublicKey(upstream.authorityPubkey);
  } catch (error) {
    const key = entry.publicKey === undefined ? "authorityPubkey" : "publicKey";
    problem(context, { path: [key], message: `expected an authority public key: ${(error as Error).message}` });
  }
}

function problem(
  context: z.core.$RefinementCtx,
  { path, message }: { readonly path: PropertyKey[]; readonly message: string },
): void {
  context.addIssue({ code: "custom", path, message, input: undefined });
}
