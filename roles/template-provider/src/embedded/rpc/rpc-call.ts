/** What every call takes besides its parameters. */
export interface RpcRequest {
  readonly params: readonly unknown[];
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** One method: its result is what JSON says. Throws or rejects with RpcError for what a caller did wrong. */
export type RpcMethod = (request: RpcRequest) => unknown;

/** Methods by their names. */
export type RpcMethods = ReadonlyMap<string, RpcMethod>;
