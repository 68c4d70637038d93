import { BitcoinError, type Network, scriptFromDescriptor } from "@adit/bitcoin";
import { rpcProblems, rpcSettings } from "@adit/bitcoin-node";
import {
  checkNodes,
  type DeclaratorNodeSettings,
  type DeclaratorSettings,
  declaratorLimits,
  declaratorNodes,
  declaratorSettings,
} from "@adit/job-declarator";
import { address, checkRpc, type ProcessSettings, processSettings } from "@adit/role-kit";
import { checkServer, type ServerSettings, serverSettings } from "@adit/role-network";
import { z } from "zod";

const singleNode = (meaning: string): string => `${meaning}; the reference implementation's way to name one node`;

const shape = {
  ...serverSettings,
  ...processSettings,
  listenJdAddress: z
    .exactOptional(address)
    .describe("the same as listen_address, as the reference implementation's files spell it"),
  network: z.enum(["mainnet", "testnet4", "signet", "regtest"]).default("mainnet").describe("what the nodes run on"),
  coinbaseRewardScript: z
    .string()
    .min(1)
    .describe(
      "descriptor of where rewards go, the same as the pool's: addr(ADDRESS), pkh(KEY), wpkh(KEY), sh(wpkh(KEY)), tr(KEY) or raw(HEX), with or without #checksum",
    ),
  ...declaratorSettings,
  coreRpcUrl: z.exactOptional(rpcSettings.coreRpcUrl).describe(singleNode("JSON-RPC address of the node")),
  coreRpcPort: rpcSettings.coreRpcPort.describe(singleNode("port of that address")),
  coreRpcUser: rpcSettings.coreRpcUser.describe(singleNode("user name")),
  coreRpcPass: rpcSettings.coreRpcPass.describe(singleNode("password")),
  mempoolUpdateInterval: z
    .exactOptional(
      z.strictObject({
        unit: z.enum(["secs", "millis"]).describe("what value counts"),
        value: z.int().min(1).max(600_000).describe("time between looks at the node's mempool, at most 600 seconds"),
      }),
    )
    .describe("goes with core_rpc_url; with [bitcoin_node], mempool_update_interval_secs says it"),
  bitcoinNode: z.exactOptional(declaratorNodes),
  limits: declaratorLimits,
} as const;

type Fields = z.output<z.ZodObject<typeof shape>>;

/** What {@link jdServerConfig} parses to. */
export interface JdServerConfig extends ProcessSettings, ServerSettings, DeclaratorSettings {
  readonly network: Network;
  readonly coinbaseRewardScript: string;
  /** One way or another there is a node. */
  readonly bitcoinNode: DeclaratorNodeSettings;
}

/** Config of the job-declarator server: type, defaults, checks and reference page. The other spelling of a key is its own afterwards. */
export const jdServerConfig: z.ZodType<JdServerConfig> = z
  .strictObject(shape)
  .superRefine(checkConfig)
  .transform((fields) => ({ ...fields, ...serverOf(fields), bitcoinNode: nodesOf(fields) }));

/** Where the listening address may be written in two ways. */
function serverOf({ listenAddress, listenJdAddress }: Fields): { readonly listenAddress?: string } {
  const one = listenAddress ?? listenJdAddress;
  return one === undefined ? {} : { listenAddress: one };
}

function nodesOf(fields: Fields): DeclaratorNodeSettings {
  if (fields.bitcoinNode !== undefined) return fields.bitcoinNode;
  const { coreRpcUrl = "", coreRpcPort, coreRpcUser, coreRpcPass, mempoolUpdateInterval } = fields;
  const node = {
    coreRpcUrl,
    ...(coreRpcPort === undefined ? {} : { coreRpcPort }),
    ...(coreRpcUser === undefined ? {} : { coreRpcUser }),
    ...(coreRpcPass === undefined ? {} : { coreRpcPass }),
  };
  const interval =
    mempoolUpdateInterval === undefined ? {} : { mempoolUpdateIntervalSecs: secondsOf(mempoolUpdateInterval) };
  return declaratorNodes.parse({ nodes: [node], ...interval });
}

function secondsOf({ unit, value }: NonNullable<Fields["mempoolUpdateInterval"]>): number {
  return unit === "secs" ? value : value / 1000;
}

function checkConfig(fields: Fields, context: z.core.$RefinementCtx): void {
  const problem = (path: PropertyKey, message: string): void => {
    context.addIssue({ code: "custom", path: [path], message, input: fields });
  };
  checkRpc(fields, context);
  checkServer({ ...fields, ...serverOf(fields) }, context);
  if (fields.listenAddress !== undefined && fields.listenJdAddress !== undefined) {
    problem("listenJdAddress", "expected either listen_address or listen_jd_address, not both");
  }
  try {
    scriptFromDescriptor(fields.coinbaseRewardScript, fields.network);
  } catch (error) {
    if (!(error instanceof BitcoinError)) throw error;
    problem("coinbaseRewardScript", `expected a payable descriptor on ${fields.network}: ${error.message}`);
  }
  checkNode(fields, problem);
  if (fields.bitcoinNode !== undefined) {
    checkNodes(fields.bitcoinNode, fields.network, { context, path: ["bitcoinNode"] });
  } else if (fields.coreRpcUrl !== undefined) checkSingleNode(fields, context);
}

function checkNode(fields: Fields, problem: (path: PropertyKey, message: string) => void): void {
  const { bitcoinNode, coreRpcUrl, mempoolUpdateInterval } = fields;
  if (bitcoinNode === undefined && coreRpcUrl === undefined) {
    problem("bitcoinNode", "expected [bitcoin_node] with a node that checks what is declared");
  }
  if (bitcoinNode === undefined) return;
  if (coreRpcUrl !== undefined) {
    problem("coreRpcUrl", "expected the node in [[bitcoin_node.nodes]] or in core_rpc_url, not in both");
  }
  if (mempoolUpdateInterval !== undefined) {
    problem("mempoolUpdateInterval", "expected mempool_update_interval_secs in [bitcoin_node]");
  }
}

function checkSingleNode(fields: Fields, context: z.core.$RefinementCtx): void {
  const interval = fields.mempoolUpdateInterval === undefined ? 1 : secondsOf(fields.mempoolUpdateInterval);
  if (interval < 0.1 || interval > 600) {
    const message = "expected 0.1 to 600 seconds";
    context.addIssue({ code: "custom", path: ["mempoolUpdateInterval"], message, input: fields });
    return;
  }
  // Its own keys are right already, so what is left to say is about them together.
  for (const node of nodesOf(fields).nodes) {
    for (const message of rpcProblems(node, fields.network, new Set())) {
      context.addIssue({ code: "custom", path: ["coreRpcUrl"], message, input: fields });
    }
  }
}
