export { BitcoinNode, type BitcoinNodeOptions, type NodeRequest } from "./bitcoin-node.ts";
export type { ChainInfo, NodeHeader } from "./chain-info.ts";
export type { NodeAuth } from "./credentials.ts";
export { NodeError, type NodeErrorCode } from "./errors.ts";
export { bytesOfHex, hexOf } from "./fast-hex.ts";
export type { NodeCall } from "./json-rpc-client.ts";
export {
  type MempoolChange,
  MempoolIndex,
  type MempoolIndexOptions,
  type MempoolTransaction,
} from "./mempool-index.ts";
export { defaultRpcPort } from "./node-faults.ts";
export type { NodeTemplate, NodeTransaction } from "./node-template.ts";
export { type NodeEvent, NodeWatch, type NodeWatchOptions } from "./node-watch.ts";
export {
  type FollowedNodeSettings,
  followedNodeSettings,
  nodesProblems,
  nodesSettings,
  type RpcSettings,
  rpcAuth,
  rpcProblems,
  rpcSettings,
  rpcUrl,
} from "./rpc-settings.ts";
export {
  type ProposalResult,
  type SubmitRejectReason,
  type SubmitResult,
  submitRejectReasons,
} from "./submit-result.ts";
export type { WatchClock } from "./watch-clock.ts";
