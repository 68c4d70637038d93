import { nodesProblems, nodesSettings, rpcSettings } from "@adit/bitcoin-node";
import { checkJds, jdsSettings } from "@adit/job-declarator";
import {
  channelSettings,
  checkExtensions,
  checkMiningLimits,
  checkRewardScript,
  extensionSettings,
  templateProviderType,
} from "@adit/mining-shell";
import { decodeAuthorityPublicKey } from "@adit/noise";
import { checkRpc, processSettings } from "@adit/role-kit";
import { checkServer, fallbackSettings, serverSettings } from "@adit/role-network";
import { z } from "zod";
import { poolLimits } from "./limits.ts";

const jobDeclaration = z
  .strictObject({
    authorityPubkeys: z
      .array(z.string().min(1))
      .max(16)
      .default([])
      .describe("authority public keys of jd-servers in processes of their own whose declarations this pool takes"),
    minPayoutPercent: z
      .int()
      .min(1)
      .max(100)
      .default(100)
      .describe(
        "least part of a declared coinbase's value that coinbase_reward_script must get; work on a job that pays less than all of it counts that much less",
      ),
  })
  .prefault({})
  .describe("custom jobs, whose transactions the miner has chosen");

const bitcoinNode = z
  .strictObject({
    nodes: z
      .array(z.strictObject(rpcSettings))
      .min(1)
      .max(16)
      .describe(
        "nodes that are asked, most preferred first; of those that answer, the one with the highest chain says it",
      ),
    rpcTimeoutSecs: nodesSettings.rpcTimeoutSecs,
    pollTimeoutSecs: nodesSettings.pollTimeoutSecs.describe(
      "longest wait for a node's tip, in seconds; then the others judge without it",
    ),
  })
  .describe(
    "Bitcoin nodes over JSON-RPC that say what has become of blocks; absent: those of jds.bitcoin_node, and without either the tips of the template provider, which tell of no reorganisation",
  );

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
  ...channelSettings,
  serverId: z
    .int()
    .min(0)
    .max(255)
    .default(0)
    .describe("first byte of every extranonce; pools that share templates need different ones"),
  ...extensionSettings("pool"),
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
  bitcoinNode: z.exactOptional(bitcoinNode),
  blockMaturity: z
    .int()
    .min(6)
    .max(100_000)
    .default(100)
    .describe(
      "confirmations after which a block is `matured`, or `orphaned` when another of its height has them; at 100 a coinbase can be spent. Needs a node",
    ),
  jds: z.exactOptional(jdsSettings),
  jobDeclaration,
  templateProviderType: templateProviderType("pool"),
  fallback: fallbackSettings.prefault({}),
  limits: poolLimits.prefault({}),
} as const;

/** The pool's config: every key of its TOML file in camelCase. */
export const poolConfig = z.strictObject(shape).superRefine((config, context) => {
  checkRpc(config, context);
  checkServer(config, context);
  const { coinbaseRewardScript: descriptor, network } = config;
  checkRewardScript({ descriptor, network }, ["coinbaseRewardScript"], context);
  checkExtensions(config, context);
  checkBitcoinNode(config, context);
  checkMiningLimits(config, context);
  checkJobDeclaration(config, context);
});

/** What {@link poolConfig} parses to. */
export type PoolConfig = z.output<typeof poolConfig>;

function checkBitcoinNode({ bitcoinNode, network = "mainnet" }: PoolConfig, context: z.core.$RefinementCtx): void {
  if (bitcoinNode === undefined) return;
  for (const { path, message } of nodesProblems({ nodes: bitcoinNode.nodes, extraSubmit: [] }, network)) {
    context.addIssue({ code: "custom", path: ["bitcoinNode", ...path], message, input: bitcoinNode });
  }
}

function checkJobDeclaration(config: PoolConfig, context: z.core.$RefinementCtx): void {
  const { jds, iroh, network = "mainnet" } = config;
  for (const [at, key] of config.jobDeclaration.authorityPubkeys.entries()) {
    const path = ["jobDeclaration", "authorityPubkeys", at];
    try {
      decodeAuthorityPublicKey(key);
    } catch (error) {
      const message = `expected an authority public key: ${(error as Error).message}`;
      context.addIssue({ code: "custom", path, message, input: key });
    }
  }
  if (jds === undefined) return;
  checkJds(jds, network, { context, path: ["jds"] });
  if (jds.transport === "tcp" || config.transport === "tcp" || iroh.alpn === undefined) return;
  const message = "expected no alpn: one endpoint serves miners and job-declarator clients, and tells them apart by it";
  context.addIssue({ code: "custom", path: ["iroh", "alpn"], message, input: iroh });
}
