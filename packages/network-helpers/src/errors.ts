import type { NetworkErrorCode } from "./error-codes.ts";

export type { NetworkErrorCode } from "./error-codes.ts";

/** A fault of a connection or of a transport. The message says what the operator does next. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  /** Which fault, stable between releases. */
  readonly code: NetworkErrorCode;
  /** The other side, or the address that was dialled or listened on. Empty when there is none. */
  readonly peer: string;

  constructor(
    code: NetworkErrorCode,
    details: { readonly peer: string; readonly message: string; readonly cause?: unknown },
  ) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.peer = details.peer;
  }
}

/**
 * The error for work that `signal` ended: its reason when that is a NetworkError already, `timed-out` for a
 * TimeoutError, `closed` for anything else. `doing` completes the sentence "… while ".
 */
export function abortError(signal: AbortSignal, peer: string, doing: string): NetworkError {
  const cause: unknown = signal.reason;
  if (cause instanceof NetworkError) return cause;
  if (cause instanceof Error && cause.name === "TimeoutError") {
    const message = `${peer}: timed out while ${doing}; check that the peer is up and reachable`;
    return new NetworkError("timed-out", { peer, message, cause });
  }
  return new NetworkError("closed", { peer, message: `${peer}: stopped while ${doing}`, cause });
}

/** Text from a peer made fit for a log line: control characters replaced, at most `limit` characters. */
export function printable(text: string, limit = 64): string {
  const clean = text.slice(0, limit).replace(/[^\x20-\x7e]/g, "?");
  return text.length > limit ? `${clean}...` : clean;
}
