/** Why a call did not give its result. Stable: they are on the wire, in metrics, and in an operator's scripts. */
export const rpcErrorCodes = [
  /** There is no such service or method, or it is not served here. */
  "not-found",
  /** The input does not have the declared form. */
  "invalid-input",
  /** The answer does not have the declared form: the peer runs another version. */
  "invalid-answer",
  /** The method exists, but this role has nothing behind it. */
  "not-supported",
  /** The caller may not do this. */
  "not-allowed",
  /** As many calls are under way on the connection as it may have. */
  "too-many-calls",
  /** The input or the answer is longer than a payload may be. */
  "payload-too-large",
  /** The call's deadline passed. */
  "deadline-exceeded",
  /** The caller no longer wants the result. */
  "cancelled",
  /** The peer, or this side, has said goodbye: it takes no new calls. */
  "going-away",
  /** The connection ended before the answer came. */
  "connection-lost",
  /** The method failed; the log of the side that ran it says why. */
  "internal",
] as const;

/** One of {@link rpcErrorCodes}. */
export type RpcErrorCode = (typeof rpcErrorCodes)[number];

const known: ReadonlySet<string> = new Set(rpcErrorCodes);

/** A call that failed, while its connection may be well. A handler throws it to say why. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** Which fault, stable between releases. */
  readonly code: RpcErrorCode;

  constructor(code: RpcErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The error that a peer's code and message stand for. A code of a later version is an `internal` one that names it. */
export function receivedError(code: string, message: string): RpcError {
  return known.has(code)
    ? new RpcError(code as RpcErrorCode, message)
    : new RpcError("internal", `${code}: ${message}`);
}
