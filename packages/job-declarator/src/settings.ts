import type { Network } from "@adit/bitcoin";
import { followedNodeSettings, nodesProblems, nodesSettings } from "@adit/bitcoin-node";
import { address, transportKind } from "@adit/role-kit";
import { type ListenLimitSettings, listenLimits, moveTo, type ServerSettings } from "@adit/role-network";
import { z } from "zod";
import type { DeclaratorLimits } from "./core/limits.ts";

const count = (fallback: number, meaning: string, max = 1_000_000): z.ZodDefault<z.ZodInt> =>
  z.int().min(1).max(max).default(fallback).describe(meaning);
const seconds = (fallback: number, meaning: string): z.ZodDefault<z.ZodNumber> =>
  z.number().positive().max(3_600).default(fallback).describe(`${meaning}, in seconds`);

/** The `[limits]` table of a job-declarator server. */
export const declaratorLimits = z
  .strictObject({
    ...listenLimits,
    maxConnections: count(1_000, "clients at once", 100_000),
    maxConnectionsPerSource: count(
      16,
      "clients at once from one IPv4 address, IPv6 /64 or endpoint id: each may send megabytes, and have them checked",
    ),
    firstRequestSecs: seconds(30, "longest wait for a client's first request for a token"),
    frameTimeoutSecs: seconds(60, "longest wait for the rest of a frame, however large, from its header on"),
    maxTokensPerConnection: count(4, "tokens one client holds that it has not declared a job with", 1_000),
    maxTokens: count(4_096, "the same of all clients; further requests wait"),
    tokensPerSecond: z
      .number()
      .positive()
      .max(1_000)
      .default(1)
      .describe("tokens one client is given in a second, on average"),
    tokenBurst: count(8, "tokens one client is given at once"),
    maxHeldTokenRequests: count(8, "requests for tokens of one client that may wait; it is closed beyond them", 1_000),
    maxPendingDeclarations: count(64, "declarations at once that are not answered", 1_000),
    maxPendingDeclarationsPerConnection: count(2, "the same of one client", 64),
    missingTransactionsTimeoutSecs: seconds(30, "longest wait for transactions a client was asked for"),
    tipWaitSecs: seconds(5, "longest wait for a block that a client's node has seen and ours has not"),
    declarationTimeoutSecs: seconds(90, "longest time from a declaration to its answer"),
    maxDeclaredJobs: count(1_024, "declared jobs that solutions are tried with"),
    maxDeclaredJobsPerConnection: count(16, "the same of one client, the newest", 1_000),
    maxDeclaredJobBytes: z
      .int()
      .min(4_000_000)
      .max(16 * 2 ** 30)
      .default(256 * 2 ** 20)
      .describe("bytes of declared jobs; transactions they share count once"),
    maxTransactionsPerMinute: count(
      100_000,
      "transactions of a client's declarations that are looked at in a minute; 240 bytes that it provides count as one",
      100_000_000,
    ),
    maxMessagesPerMinute: count(
      600,
      "messages a client may send in a minute, solutions apart; it is closed beyond them",
    ),
    maxSolutionsPerMinute: count(60, "solutions of a client that are looked at in a minute"),
  })
  .prefault({})
  .describe("bounds on what clients can take");

/** What {@link declaratorLimits} parses to. */
export type DeclaratorLimitSettings = z.output<typeof declaratorLimits> & ListenLimitSettings;

/** The `[bitcoin_node]` table of a job-declarator server. Check it with {@link checkNodes}. */
export const declaratorNodes = z
  .strictObject({
    nodes: z
      .array(z.strictObject(followedNodeSettings))
      .min(1)
      .max(16)
      .describe("nodes that know transactions, check declared blocks and take solved ones, most preferred first"),
    extraSubmit: nodesSettings.extraSubmit,
    dataPath: z
      .string()
      .min(1)
      .default("jd-server")
      .describe("folder for solved blocks (blocks/HEIGHT-HASH.hex); for one process at a time"),
    mempoolUpdateIntervalSecs: z
      .number()
      .min(0.1)
      .max(600)
      .default(5)
      .describe(
        "seconds between looks at the preferred node's mempool; a declaration of something unknown causes one too",
      ),
    mempoolMaxBytes: z
      .int()
      .min(1_000_000)
      .max(16 * 2 ** 30)
      .default(256 * 2 ** 20)
      .describe("bytes of the node's mempool kept at hand; what does not fit is fetched when it is declared"),
    pollIntervalSecs: nodesSettings.pollIntervalSecs,
    pollTimeoutSecs: nodesSettings.pollTimeoutSecs,
    rpcTimeoutSecs: nodesSettings.rpcTimeoutSecs,
  })
  .describe("Bitcoin nodes over JSON-RPC");

/** What {@link declaratorNodes} parses to. */
export type DeclaratorNodeSettings = z.output<typeof declaratorNodes>;

const declaratorFields = {
  moveClientsTo: moveTo("job-declarator clients", "jd-server"),
  fullTemplateModeRequired: z
    .boolean()
    .default(false)
    .describe("whether clients that keep their transactions to themselves (coinbase-only mode) are refused"),
  tokenTimeoutSecs: z
    .int()
    .min(10)
    .max(86_400)
    .default(3_600)
    .describe("life of a token, in seconds; a client that has one in stock for longer needs another"),
} as const;

/** Keys of every job-declarator server's config beside its nodes and limits. Spread into a table's shape. */
export const declaratorSettings: typeof declaratorFields = declaratorFields;

/** How a job-declarator server works, as its config says. */
export interface DeclaratorSettings {
  /** Where clients are asked to connect when the server stops. */
  readonly moveClientsTo?: string;
  readonly fullTemplateModeRequired: boolean;
  readonly tokenTimeoutSecs: number;
  /** Absent only inside a pool, which then tells the tip. */
  readonly bitcoinNode?: DeclaratorNodeSettings;
  readonly limits: DeclaratorLimitSettings;
}

/** The `[jds]` table of a pool: a job-declarator server in the same process, with the pool's keys. Check it with {@link checkJds}. */
export const jdsSettings = z
  .strictObject({
    transport: transportKind
      .default("tcp")
      .describe("`tcp`, `iroh`, or `dual`: both at once; Iroh is the pool's own endpoint under another protocol name"),
    listenAddress: z
      .exactOptional(address)
      .describe("host:port to accept job-declarator clients on; needed unless transport is iroh"),
    supportedExtensions: z
      .array(z.never("expected none: no extension adds anything to Job Declaration"))
      .default([])
      .describe("taken for the sake of existing files: no extension adds anything to Job Declaration"),
    requiredExtensions: z
      .array(z.never("expected none: no extension adds anything to Job Declaration"))
      .default([])
      .describe("as supported_extensions"),
    ...declaratorFields,
    bitcoinNode: z.exactOptional(
      declaratorNodes.describe(
        "Bitcoin nodes over JSON-RPC; without them every transaction is asked for and blocks are checked by their structure",
      ),
    ),
    limits: declaratorLimits,
  })
  .describe("a job-declarator server inside the pool; absent: SetCustomMiningJob is answered with jd-not-supported");

/** What {@link jdsSettings} parses to. */
export type JdsSettings = z.output<typeof jdsSettings> & DeclaratorSettings;

/** Where a problem is reported, and under which path. */
interface ProblemSink {
  readonly context: z.core.$RefinementCtx;
  readonly path: readonly PropertyKey[];
}

/** Adds a problem for every node that cannot be reached as it is written, or is listed twice. */
export function checkNodes(nodes: DeclaratorNodeSettings, network: Network, { context, path }: ProblemSink): void {
  for (const problem of nodesProblems(nodes, network)) {
    context.addIssue({ code: "custom", path: [...path, ...problem.path], message: problem.message, input: nodes });
  }
}

/** Adds a problem for what a pool's `[jds]` lacks. */
export function checkJds(jds: JdsSettings, network: Network, { context, path }: ProblemSink): void {
  if (jds.transport !== "iroh" && jds.listenAddress === undefined) {
    const message = `expected host:port: transport = "${jds.transport}" listens on TCP`;
    context.addIssue({ code: "custom", path: [...path, "listenAddress"], message, input: jds });
  }
  if (jds.bitcoinNode !== undefined) checkNodes(jds.bitcoinNode, network, { context, path: [...path, "bitcoinNode"] });
}

/** How the embedded server listens: as `[jds]` says, with the pool's keys and encryption. */
export function jdsServerSettings(
  { transport, listenAddress }: Pick<JdsSettings, "transport" | "listenAddress">,
  pool: ServerSettings,
): ServerSettings {
  const { listenAddress: _, ...others } = pool;
  return { ...others, transport, ...(listenAddress === undefined ? {} : { listenAddress }) };
}

/** The limits as the core takes them. */
export function toDeclaratorLimits(limits: DeclaratorLimitSettings): DeclaratorLimits {
  return {
    firstRequestMs: limits.firstRequestSecs * 1000,
    maxTokensPerConnection: limits.maxTokensPerConnection,
    maxTokens: limits.maxTokens,
    tokensPerSecond: limits.tokensPerSecond,
    tokenBurst: limits.tokenBurst,
    maxHeldTokenRequests: limits.maxHeldTokenRequests,
    maxPendingPerConnection: limits.maxPendingDeclarationsPerConnection,
    maxPending: limits.maxPendingDeclarations,
    missingTimeoutMs: limits.missingTransactionsTimeoutSecs * 1000,
    tipWaitMs: limits.tipWaitSecs * 1000,
    declarationTimeoutMs: limits.declarationTimeoutSecs * 1000,
    maxJobsPerConnection: limits.maxDeclaredJobsPerConnection,
    maxJobs: limits.maxDeclaredJobs,
    maxJobBytes: limits.maxDeclaredJobBytes,
    maxTransactionsPerMinute: limits.maxTransactionsPerMinute,
    maxMessagesPerMinute: limits.maxMessagesPerMinute,
    maxSolutionsPerMinute: limits.maxSolutionsPerMinute,
  };
}
