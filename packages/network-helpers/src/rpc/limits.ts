/** Bounds and times of one RPC connection. Both sides have their own; nothing is negotiated. */
export interface RpcLimits {
  /** Bytes of one payload, sent or received. */
  readonly maxPayload: number;
  /** Calls at once on the connection, those included whose handler has been told to stop and has not yet. */
  readonly maxCalls: number;
  /** Longest deadline a caller may set, and what a call without one gets; a longer one is cut to it. In milliseconds. */
  readonly maxDeadlineMs: number;
  /** Bytes of stream data, frame headers included, that a caller holds unread for each of its streams, plus one frame. */
  readonly window: number;
  /** Bytes that may wait for a peer that does not read, plus one frame; at most 1 MiB, the bound of the writer beneath. */
  readonly maxWaiting: number;
  /** Silence after which a keep-alive is sent, in milliseconds. */
  readonly keepAliveMs: number;
  /** Silence after which the peer is taken for dead, in milliseconds; a multiple of `keepAliveMs`. */
  readonly silenceMs: number;
  /** How long bytes may wait for the transport, and a cancelled call for its last frame, in milliseconds. */
  readonly stallMs: number;
  /** How long calls under way may take after a goodbye, in milliseconds. */
  readonly drainMs: number;
}

/** Limits for an operator's tools: few callers, small answers. */
export const defaultRpcLimits: RpcLimits = {
  maxPayload: 1 << 20,
  maxCalls: 64,
  maxDeadlineMs: 600_000,
  window: 64 * 1024,
  maxWaiting: 1 << 20,
  keepAliveMs: 10_000,
  silenceMs: 30_000,
  stallMs: 30_000,
  drainMs: 1_500,
};
