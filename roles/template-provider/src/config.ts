import { target as asTarget, bitsFromTarget, type Target, targetFromBits } from "@adit/bitcoin";
import { type IrohSettings, type ProcessSettings, processSettings } from "@adit/role-kit";
import {
  checkServer,
  type ListenLimitSettings,
  listenLimits,
  type ServerSettings,
  serverSettings,
} from "@adit/role-network";
import { z } from "zod";
import { type RpcSettings, rpcUrl } from "./node/node-access.ts";

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
  })
  .describe("the embedded development chain: regtest's constants, blocks of its own, no peers");

const rpc = {
  coreRpcUrl: z
    .url({ protocol: /^http$/, error: "expected a URL like http://127.0.0.1:8332, without user and password" })
    .refine((url) => !url.includes("@"), { error: "user and password go into core_rpc_user and core_rpc_pass" })
    .describe("the node's JSON-RPC address, e.g. http://127.0.0.1:8332; without a port, the network's own is taken"),
  coreRpcPort: z
    .exactOptional(z.int().min(1).max(65_535))
    .describe("port of the JSON-RPC address when core_rpc_url has none; that of the network unless told"),
  coreRpcCookiePath: z
    .exactOptional(z.string().min(1))
    .describe("the node's .cookie file, read again whenever the node has made another; in place of user and password"),
  coreRpcUser: z.exactOptional(z.string().min(1)).describe("user name, when there is no cookie file"),
  coreRpcPass: z.exactOptional(z.string().min(1)).describe("password that goes with core_rpc_user"),
};

const followedNode = z.strictObject({
  ...rpc,
  zmqHashblock: z
    .exactOptional(z.string().regex(/^(tcp|ipc):\/\/.+$/, "expected tcp://HOST:PORT or ipc://PATH"))
    .describe("the node's zmqpubhashblock address: a new block is seen at once; needs the package zeromq"),
});

const submitNode = z.strictObject(rpc);

const bitcoinNode = z
  .strictObject({
    network: z.enum(["mainnet", "testnet4", "signet", "regtest"]).default("mainnet").describe("what the nodes run on"),
    nodes: z
      .array(followedNode)
      .min(1)
      .max(16)
      .describe("nodes that give templates and take blocks, most preferred first"),
    extraSubmit: z.array(submitNode).max(16).default([]).describe("further nodes that every block is submitted to"),
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
    pollIntervalSecs: z.number().min(0.05).max(60).default(1).describe("seconds between looks at each node's tip"),
    emptyTemplateAfterSecs: z
      .number()
      .min(0)
      .max(60)
      .default(0.25)
      .describe(
        "longest wait for a new tip's full template before one without transactions is sent first; 0 for never",
      ),
    pollTimeoutSecs: z
      .number()
      .min(0.1)
      .max(60)
      .default(2)
      .describe("longest wait for the answer to such a look, in seconds, before another node is turned to"),
    rpcTimeoutSecs: z.number().min(0.1).max(300).default(10).describe("longest wait for a node's answer, in seconds"),
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
    embedded: z.exactOptional(embedded),
    bitcoinNode: z.exactOptional(bitcoinNode),
    limits,
  })
  .superRefine((config, context) => {
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
  const seen = new Set<string>();
  for (const list of ["nodes", "extraSubmit"] as const) {
    for (const [at, node] of nodes[list].entries()) {
      const path = ["bitcoinNode", list, at];
      // What is no URL was refused by its own check already; zod asks here all the same.
      const isUrl = URL.canParse(node.coreRpcUrl);
      const faults = isUrl ? [...nodeFaults(node), ...repetition(rpcUrl(node, nodes.network), seen)] : [];
      for (const message of faults) context.addIssue({ code: "custom", path, message, input: node });
    }
  }
}

/** Nodes are told apart by where they are, in logs, metrics and files. */
function repetition(url: string, seen: Set<string>): readonly string[] {
  const { host } = new URL(url);
  if (seen.has(host)) return [`expected another node than ${host}, which is listed already`];
  seen.add(host);
  return [];
}

function nodeFaults(node: RpcSettings): readonly string[] {
  const { coreRpcCookiePath, coreRpcUser, coreRpcPass, coreRpcUrl, coreRpcPort } = node;
  const faults: string[] = [];
  const hasPassword = coreRpcUser !== undefined && coreRpcPass !== undefined;
  const hasHalf = (coreRpcUser !== undefined || coreRpcPass !== undefined) && !hasPassword;
  if (hasHalf || hasPassword === (coreRpcCookiePath !== undefined)) {
    faults.push("expected core_rpc_cookie_path, or core_rpc_user and core_rpc_pass");
  }
  if (coreRpcPort !== undefined && new URL(coreRpcUrl).port !== "") {
    faults.push("expected the port in core_rpc_url or in core_rpc_port, not in both");
  }
  return faults;
}

function checkEmbedded(settings: EmbeddedSettings, context: z.core.$RefinementCtx): void {
  const problem = (path: string, message: string): void => {
    context.addIssue({ code: "custom", path: ["embedded", path], message, input: settings });
  };
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
