import {
  channelSettings,
  checkExtensions,
  checkMiningLimits,
  checkRewardScript,
  extensionSettings,
  miningLimits,
  notSupported,
  templateProviderType,
} from "@adit/mining-shell";
import { address, checkRpc, processSettings } from "@adit/role-kit";
import { checkServer, fallbackSettings, type ServerSettings, serverSettings } from "@adit/role-network";
import { z } from "zod";
import { upstreamEntry } from "./upstream-settings.ts";

/** What is left of a coinbase's 100 bytes of script beside the longest height, the longest extranonce and both pushes. */
const LONGEST_SIGNATURE = 58;

const version2 = z.literal(2, { message: "expected 2, the only version of the protocol there is" }).default(2);
const timeout = (fallback: number, meaning: string): z.ZodDefault<z.ZodNumber> =>
  z.number().positive().max(600).default(fallback).describe(`${meaning}, in seconds`);

const shape = {
  ...serverSettings,
  ...processSettings,
  listeningAddress: z
    .exactOptional(address)
    .describe("the same as listen_address, as the reference implementation's files spell it"),
  maxSupportedVersion: version2.describe("highest protocol version to ask for; there is only 2"),
  minSupportedVersion: version2.describe("lowest protocol version to ask for; there is only 2"),
  mode: z
    .enum(["FULLTEMPLATE", "COINBASEONLY", "SOLOMINING"])
    .default("FULLTEMPLATE")
    .describe(
      "`FULLTEMPLATE`: jobs are declared with their transactions; `COINBASEONLY`: without; `SOLOMINING`: no pool at all",
    ),
  network: z
    .exactOptional(z.enum(["mainnet", "testnet4", "signet", "regtest"]))
    .describe("network the reward scripts must belong to; absent: the one an address is of, else mainnet"),
  coinbaseRewardScript: z
    .string()
    .min(1)
    .describe(
      "descriptor of where blocks pay to while there is no pool: addr(ADDRESS), pkh(KEY), wpkh(KEY), sh(wpkh(KEY)), tr(KEY) or raw(HEX), with or without #checksum",
    ),
  jdcSignature: z
    .string()
    .regex(/^[\x20-\x7e]*$/, "expected printable ASCII")
    .max(LONGEST_SIGNATURE)
    .default("Adit")
    .describe("text in the coinbase of every block"),
  ...channelSettings,
  reservedDownstreamRollableExtranonceSize: z
    .int()
    .min(2)
    .max(16)
    .default(8)
    .describe("bytes of extranonce that each extended channel of a miner rolls"),
  ...extensionSettings("jd-client"),
  coinbaseOutputMaxAdditionalSize: z
    .int()
    .min(34)
    .max(32_000)
    .default(400)
    .describe("bytes that templates leave free for coinbase outputs; a pool that needs more is not used"),
  coinbaseOutputMaxAdditionalSigops: z
    .int()
    .min(0)
    .max(65_535)
    .default(40)
    .describe("signature operations that templates leave free for coinbase outputs, legacy ones counted fourfold"),
  tokenTimeoutSecs: timeout(10, "longest wait for a token of the job declarator"),
  answerTimeoutSecs: timeout(10, "longest wait for an upstream's channel, and for its answer about a job"),
  soloAfterSecs: z
    .number()
    .min(0)
    .max(600)
    .default(5)
    .describe("at the start, how long a pool is waited for before blocks pay to coinbase_reward_script, in seconds"),
  maxPastJobs: z.exactOptional(z.int().min(0).max(10_000)).describe("older jobs of the same tip kept; 0 or absent: 32"),
  monitoringCacheRefreshSecs: z
    .exactOptional(z.number().positive())
    .describe("taken for the sake of existing files and not needed: the status is made afresh at each request"),
  minerTelemetry: notSupported("this jd-client does not ask miners for telemetry; remove [miner_telemetry]"),
  upstreams: z
    .array(upstreamEntry)
    .max(16)
    .default([])
    .describe("pools with their job declarators, in order of preference"),
  fallback: fallbackSettings.prefault({}),
  templateProviderType: templateProviderType("jd-client"),
  limits: z.strictObject(miningLimits).describe("bounds of everything a miner can make grow").prefault({}),
} as const;

/** The jd-client's config: every key of its TOML file in camelCase. */
export const jdClientConfig = z.strictObject(shape).superRefine((config, context) => {
  const problem = (path: PropertyKey[], message: string): void => {
    context.addIssue({ code: "custom", path, message, input: undefined });
  };
  if (config.listeningAddress !== undefined && config.listenAddress !== undefined) {
    problem(["listeningAddress"], "expected either listen_address or listening_address, not both");
  }
  checkRpc(config, context);
  checkServer(listenerOf(config), context);
  checkExtensions(config, context);
  checkMiningLimits(config, context);
  if (config.iroh.alpn !== undefined) {
    problem(["iroh", "alpn"], "expected none: one endpoint speaks three protocols, which are told apart by it");
  }
  if (config.mode === "SOLOMINING" && config.upstreams.length > 0) {
    problem(["upstreams"], 'expected none: mode = "SOLOMINING" mines for no pool');
  }
  if (config.mode !== "SOLOMINING" && config.upstreams.length === 0) {
    problem(["upstreams"], `expected at least one [[upstreams]]: mode = "${config.mode}" mines for a pool`);
  }
  const { network, coinbaseRewardScript } = config;
  checkRewardScript({ descriptor: coinbaseRewardScript, network }, ["coinbaseRewardScript"], context);
  for (const [at, { expectedRewardScript: descriptor }] of config.upstreams.entries()) {
    const path = ["upstreams", at, "expectedRewardScript"];
    if (descriptor !== undefined) checkRewardScript({ descriptor, network }, path, context);
  }
});

/** What {@link jdClientConfig} parses to. */
export type JdClientConfig = z.output<typeof jdClientConfig>;

/** How miners are listened for, whichever way the address was spelt. */
export function listenerOf(config: ServerSettings & { readonly listeningAddress?: string }): ServerSettings {
  const listenAddress = config.listenAddress ?? config.listeningAddress;
  return listenAddress === undefined ? config : { ...config, listenAddress };
}
