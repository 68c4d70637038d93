/** Stable codes of {@link NodeError}. */
export type NodeErrorCode =
  /** No connection: refused, reset, or a name that does not resolve. */
  | "unreachable"
  /** No whole answer in time, the wait for a free connection included. */
  | "timed-out"
  /** The node refused user and password, or the cookie file cannot be read. */
  | "auth-refused"
  /** What answered is no node's RPC port, or its answer cannot be used: not JSON-RPC, too large, fields that do not fit. */
  | "bad-response"
  /** The node's own queue of requests is full. */
  | "busy"
  /** The node is starting up (-28). */
  | "warming-up"
  /** The node is still downloading the chain (-10). */
  | "initial-block-download"
  /** The node has no peers (-9). */
  | "not-connected"
  /** The node does not know the method (-32601). */
  | "method-not-found"
  /** The node has deleted the block that was asked for. */
  | "pruned"
  /** Any other error of the node; `rpcCode` says which. */
  | "rpc-error"
  /** Our own queue for this node is full. */
  | "overloaded"
  /** The node runs on another network than the one that is configured. */
  | "wrong-network"
  /** The caller's signal ended the call, or the node was disposed. */
  | "aborted"
  /** ZMQ notifications cannot be had; polling goes on without them. */
  | "zmq-unavailable";

/** What a {@link NodeError} is made of besides its code. */
export interface NodeErrorDetails {
  /** `host:port` of the node. */
  readonly node: string;
  /** The RPC method, or what else was tried. */
  readonly method: string;
  /** What went wrong and what to do next. The error's message puts node and method before it. */
  readonly message: string;
  /** The number the node gave its error. */
  readonly rpcCode?: number | undefined;
  /** The error underneath. */
  readonly cause?: unknown;
}

/** A call of a Bitcoin node that brought no result. The message names node and method and says what to do next. */
export class NodeError extends Error {
  override readonly name = "NodeError";
  /** Which fault, stable between releases. */
  readonly code: NodeErrorCode;
  /** `host:port` of the node. */
  readonly node: string;
  /** The RPC method, or what else was tried. */
  readonly method: string;
  /** The number the node gave its error, when it gave one. */
  readonly rpcCode: number | undefined;

  constructor(code: NodeErrorCode, { node, method, message, rpcCode, cause }: NodeErrorDetails) {
    super(`${node} ${method}: ${message}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.node = node;
    this.method = method;
    this.rpcCode = rpcCode;
  }
}
