import { target as asTarget, bitsFromTarget, type Target, targetFromBits } from "@adit/bitcoin";
import { followedNodeSettings, nodesProblems, nodesSettings } from "@adit/bitcoin-node";
import { checkRpc, type IrohSettings, type ProcessSettings, processSettings } from "@adit/role-kit";
import {
  checkServer,
  type ListenLimitSettings,
  listenLimits,
  moveTo,
  type ServerSettings,
  serverSettings,
} from "@adit/role-network";
import { z } from "zod";
import { rpcKeyProblems, rpcKeys } from "./embedded/rpc/rpc-settings.ts";

/** The easiest target of regtest, which its genesis block carries: every second hash meets it. */
const REGTEST_LIMIT_BITS = 0x207fffff;

/** Blocks from elsewhere are mined by this process, so one may not cost more hashes than this. */
const MAX_HASHES_ELSEWHERE = 2 ** 22;

const TWO_256 = 1n << 256n;

const seconds = (fallback: number, meaning: string): z.ZodDefault<z.ZodNumber> =>
  z.number().min(0).max(86_400).default(fallback).describe(meaning);

const gate = {
  feeThreshold: z
    .int()
    .min(0)
    .max(2_100_000_000_000_000)
    .default(100)
    .describe("satoshis of fees a template must bring more than the last one to be sent on the same tip"),
  minInterval: seconds(5, "shortest time between two templates on the same tip, in seconds"),
};

const embedded = z
  .strictObject({
    dataPath: z
      .string()
      .min(1)
      .default("embedded-chain")
      .describe("folder the chain is kept in; made at first start; for one process at a time"),
    hashesPerBlock: z
      .number()
      .min(2)
      .max(2 ** 48)
      .default(2 ** 17)
      .describe("hashes a block takes on average; the target follows from it and never changes"),
    nbits: z
      .exactOptional(
        z.string().regex(/^(0x)?[0-9a-fA-F]{8}$/, "expected a compact target: 8 hex digits, e.g. 1f00ffff"),
      )
      .describe("compact target of every block, in place of hashes_per_block"),
    mempoolTransactions: z
      .int()
      .min(0)
      .max(4_000)
      .default(24)
      .describe("synthetic transactions that wait for a block; 0 for none"),
    templateIntervalSecs: z
      .number()
      .min(0.05)
      .max(86_400)
      .default(10)
      .describe("seconds between arrivals of new transactions, after which a better template is looked for"),
    blockElsewhereIntervalSecs: seconds(
      0,
      "mean seconds between blocks that this process mines by itself as if another miner had; 0 for never",
    ),
    ...gate,
    ...rpcKeys,
  })
  .describe("the embedded development chain: regtest's constants, blocks of its own, no peers");

const bitcoinNode = z
  .strictObject({
    network: z.enum(["mainnet", "testnet4", "signet", "regtest"]).default("mainnet").describe("what the nodes run on"),
    nodes: z
      .array(z.strictObject(followedNodeSettings))
      .min(1)
      .max(16)
      .describe("nodes that give templates and take blocks, most preferred first"),
    extraSubmit: nodesSettings.extraSubmit,
    dataPath: z
      .string()
      .min(1)
      .default("bitcoin-node")
      .describe(
        "folder for solved blocks (blocks/HEIGHT-HASH.hex) and what clients were sent; for one process at a time",
      ),
    ...gate,
    templateIntervalSecs: z
      .number()
      .min(0.1)
      .max(3_600)
      .default(10)
      .describe("seconds between looks for better transactions; new blocks are seen without it"),
    pollIntervalSecs: nodesSettings.pollIntervalSecs,
    emptyTemplateAfterSecs: z
      .number()
      .min(0)
      .max(60)
      .default(0.25)
      .describe(
        "longest wait for a new tip's full template before one without transactions is sent first; 0 for never",
      ),
    pollTimeoutSecs: nodesSettings.pollTimeoutSecs,
    rpcTimeoutSecs: nodesSettings.rpcTimeoutSecs,
    templateAlarmSecs: z
      .number()
      .positive()
      .max(86_400)
      .default(120)
      .describe("age of the newest template, in seconds, from which on the role says that it is not ready"),
  })
  .describe("Bitcoin nodes over JSON-RPC, in place of the embedded chain");

const limits = z
  .strictObject({
    ...listenLimits,
    maxConnections: z.int().min(1).max(1_000).default(64).describe("clients at once"),
    maxTemplatesPerClient: z
      .int()
      .min(1)
      .max(1_000)
      .default(128)
      .describe("templates of the current tip a client's solutions may name; older ones are forgotten"),
    maxQueueBytes: z
      .int()
      .min(4_300_000)
      .max(1_000_000_000)
      .default(8 * 1024 * 1024)
      .describe("bytes waiting for a client that reads slowly; it is closed beyond them"),
    maxRequestsPerMinute: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(6_000)
      .describe("messages a client may send in a minute, solutions among them; it is closed beyond them"),
    constraintsTimeoutSecs: z
      .number()
      .positive()
      .max(600)
      .default(30)
      .describe("longest wait for a client's first CoinbaseOutputConstraints, in seconds"),
  })
  .prefault({})
  .describe("bounds on what clients can take");

/** Config of the template provider: type, defaults, checks and reference page. */
export const templateProviderConfig: z.ZodType<TemplateProviderConfig> = z
  .strictObject({
    ...processSettings,
    ...serverSettings,
    moveClientsTo: moveTo("clients (pools and jd-clients)", "template provider"),
    embedded: z.exactOptional(embedded),
    bitcoinNode: z.exactOptional(bitcoinNode),
    limits,
  })
  .superRefine((config, context) => {
    checkRpc(config, context);
    checkServer(config, context);
    checkBackend(config, context);
  });

/** The embedded chain's settings when a config names no backend at all. */
export const embeddedDefaults: EmbeddedSettings = embedded.parse({});

/** The `[embedded]` table. */
export type EmbeddedSettings = z.output<typeof embedded>;

/** The `[bitcoin_node]` table. */
export type BitcoinNodeSettings = z.output<typeof bitcoinNode>;

/** The `[limits]` table. */
export type TemplateLimits = z.output<typeof limits> & ListenLimitSettings;

/** What {@link templateProviderConfig} parses to. */
export interface TemplateProviderConfig extends ProcessSettings, ServerSettings {
  readonly iroh: IrohSettings;
  readonly moveClientsTo?: string;
  /** Absent when {@link bitcoinNode} is there, or for {@link embeddedDefaults}. */
  readonly embedded?: EmbeddedSettings;
  readonly bitcoinNode?: BitcoinNodeSettings;
  readonly limits: TemplateLimits;
}

/** The compact target every block of the chain carries. */
export function chainBits(settings: Pick<EmbeddedSettings, "nbits" | "hashesPerBlock">): number {
  if (settings.nbits !== undefined) return Number.parseInt(settings.nbits.replace(/^0x/, ""), 16);
  const easiest = targetFromBits(REGTEST_LIMIT_BITS);
  const wanted = TWO_256 / BigInt(Math.round(settings.hashesPerBlock)) - 1n;
  return bitsFromTarget(wanted < easiest ? asTarget(wanted) : easiest);
}

function checkBackend(
  config: { readonly embedded?: EmbeddedSettings; readonly bitcoinNode?: BitcoinNodeSettings },
  context: z.core.$RefinementCtx,
): void {
  const { embedded: chain, bitcoinNode: nodes } = config;
  if (chain !== undefined) checkEmbedded(chain, context);
  if (nodes === undefined) return;
  if (chain !== undefined) {
    const message = "expected one source of templates: remove [embedded] or [bitcoin_node]";
    context.addIssue({ code: "custom", path: ["bitcoinNode"], message, input: nodes });
  }
  for (const { path, message } of nodesProblems(nodes, nodes.network)) {
    context.addIssue({ code: "custom", path: ["bitcoinNode", ...path], message, input: nodes });
  }
}

function checkEmbedded(settings: EmbeddedSettings, context: z.core.$RefinementCtx): void {
  const problem = (path: string, message: string): void => {
    context.addIssue({ code: "custom", path: ["embedded", path], message, input: settings });
  };
  for (const [key, message] of rpcKeyProblems(settings)) problem(key, message);
  // Refused by its own bounds already; zod asks here all the same.
  if (!(settings.hashesPerBlock >= 1)) return;
  const target = targetOf(chainBits(settings));
  if (target === undefined) {
    problem("nbits", "expected a compact target between 1 and regtest's easiest, 207fffff");
    return;
  }
  if (settings.blockElsewhereIntervalSecs > 0 && TWO_256 / target > BigInt(MAX_HASHES_ELSEWHERE)) {
    const message = `expected 0: this process would have to mine these blocks, and they take more than ${MAX_HASHES_ELSEWHERE} hashes; lower hashes_per_block`;
    problem("blockElsewhereIntervalSecs", message);
  }
}

function targetOf(bits: number): Target | undefined {
  try {
    const target = targetFromBits(bits);
    return target <= targetFromBits(REGTEST_LIMIT_BITS) ? target : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
