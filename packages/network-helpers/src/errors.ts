/** Stable codes of NetworkError (requirement A14). */
export type NetworkErrorCode =
  /** The Iroh node or a listening socket could not start. */
  | "node-initialisation"
  /** The peer could not be reached, or refused at the transport. */
  | "connection-failed"
  /** No address is known for the peer: a name that does not resolve, an endpoint id nobody announces. */
  | "peer-discovery-failed"
  /** An address, key or option cannot be used as given. */
  | "invalid-config"
  /** The peer does not serve the asked-for protocol name (ALPN). */
  | "alpn-mismatch"
  /** The Noise handshake did not complete. */
  | "handshake-failed"
  /** The peer's certificate is not signed by the expected authority key. */
  | "authority-mismatch"
  /** The peer's certificate is outside its time of validity. */
  | "certificate-expired"
  /** A deadline passed. */
  | "timed-out"
  /** The connection ended: by the peer, by us, or underneath both. */
  | "closed"
  /** The peer has failed too often, and is left alone for a while. */
  | "breaker-open"
  /** This side is full and did not take the connection. */
  | "refused"
  /** The server answered SetupConnection or RequestExtensions with an error, or we did. */
  | "setup-refused"
  /** The peer broke the protocol. */
  | "protocol-violation"
  /** A frame header announced more than its state allows. */
  | "frame-too-large"
  /** The source opens connections faster than allowed. */
  | "rate-limited"
  /** The optional package @number0/iroh is not installed or did not load (A15). */
  | "iroh-unavailable"
  /** The peer does not read what it is sent. */
  | "slow-consumer";

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
