import { NetworkError, type NetworkErrorCode, printable } from "../errors.ts";

/** What went wrong, as far as the native binding's text tells. */
export type IrohFaultKind =
  | "peer-closed"
  | "local-closed"
  | "timeout"
  | "stream-reset"
  | "stream-stopped"
  | "stream-ended"
  | "wrong-identity"
  | "alpn"
  | "refused"
  | "no-address"
  | "self-dial"
  | "addr-in-use"
  | "addr-unavailable"
  | "transport"
  | "unknown";

/** One classified failure of the native binding, which discriminates by message text alone. */
export interface IrohFault {
  readonly kind: IrohFaultKind;
  /** Application code the peer closed, reset or stopped with; null for the other kinds. */
  readonly code: number | null;
  /** Text the peer gave for closing, escaped and cut; empty when none. It comes from the network. */
  readonly reason: string;
  /** The innermost cause as one line, without source paths and backtrace. */
  readonly text: string;
}

/** Application codes this software closes a QUIC connection with. */
export const closeCodes: {
  readonly normal: bigint;
  readonly protocolError: bigint;
  readonly overload: bigint;
  readonly policy: bigint;
  readonly shuttingDown: bigint;
} = { normal: 0n, protocolError: 1n, overload: 2n, policy: 3n, shuttingDown: 4n };

const MAX_TEXT = 200;
const SOURCE_PLACE = / \(\S+\.rs:\d+(?::\d+)?\)/g;

/** Patterns hold for both shapes of message: the short one, and the one with places and a backtrace under RUST_BACKTRACE=1. */
const patterns: readonly (readonly [IrohFaultKind, RegExp])[] = [
  ["peer-closed", /ApplicationClosed?\s*\{ error_code: (?<code>\d+), reason: b"(?<reason>(?:[^"\\]|\\.)*)"/],
  ["peer-closed", /closed by peer: (?<reason>.*) \(code (?<code>\d+)\)/s],
  ["peer-closed", /closed by peer: (?<code>\d+)/],
  ["local-closed", /LocallyClosed|Endpoint is closed|^closed$/],
  ["timeout", /TimedOut|timed out/],
  ["stream-reset", /^Reset\((?<code>\d+)\)/],
  ["stream-stopped", /^Stopped\((?<code>\d+)\)/],
  ["stream-ended", /ClosedStream|FinishedEarly/],
  ["wrong-identity", /UnknownIssuer|error 48/],
  ["alpn", /NoApplicationProtocol|error 120|known protocol/],
  ["refused", /refused to accept/],
  ["no-address", /No addressing information/],
  ["self-dial", /ourself/],
  ["addr-in-use", /Address already in use|Only one usage of each socket address/],
  [
    "addr-unavailable",
    /Cannot assign requested address|Address family not supported|address is not valid in its context/,
  ],
  ["transport", /TransportError|Reset by peer|INTERNAL_ERROR|VersionMismatch|ConnectionLost/],
];

/** Classifies what the native binding threw, or the text of `closeReason()`. Never throws. */
export function classifyFault(error: unknown): IrohFault {
  const full = (error instanceof Error ? error.message : String(error)).split(/\n+Stack backtrace/)[0] ?? "";
  // The innermost cause says most; outer lines are names of Rust types.
  const text = printable(full.split("\n").at(-1)?.replace(SOURCE_PLACE, "").trim() ?? "", MAX_TEXT);
  for (const [kind, pattern] of patterns) {
    const groups = pattern.exec(full);
    if (groups === null) continue;
    const code = groups.groups?.["code"];
    return {
      kind,
      code: code === undefined ? null : Number(code),
      reason: printable(groups.groups?.["reason"] ?? "", MAX_TEXT),
      text,
    };
  }
  return { kind: "unknown", code: null, reason: "", text };
}

const outcomes: Readonly<Record<Exclude<IrohFaultKind, "peer-closed">, readonly [NetworkErrorCode, string]>> = {
  "local-closed": ["closed", "this side has closed the Iroh connection; dial again if it is still wanted"],
  timeout: [
    "timed-out",
    "the Iroh peer does not answer; check that it runs, that its addresses or relay are current, and that UDP passes",
  ],
  "stream-reset": ["closed", "the Iroh peer reset the stream; see its log for why, then dial again"],
  "stream-stopped": ["closed", "the Iroh peer stopped reading; see its log for why, then dial again"],
  "stream-ended": ["closed", "the Iroh stream has already ended; dial again if it is still wanted"],
  "wrong-identity": [
    "handshake-failed",
    "another endpoint id answers at this address; check the configured endpoint id and addresses",
  ],
  alpn: [
    "alpn-mismatch",
    "the Iroh peer does not offer this ALPN; set the same alpn (protocol and Noise mode) on both sides",
  ],
  refused: ["refused", "the Iroh peer refused the connection; it may be full, wait before dialling again"],
  "no-address": [
    "peer-discovery-failed",
    "no address is known for this endpoint id; configure a ticket, direct addresses or a relay, or use relay = default",
  ],
  "self-dial": ["invalid-config", "the address is this node's own endpoint id; configure the peer's instead"],
  "addr-in-use": [
    "node-initialisation",
    "the UDP port is already in use; stop the other process or change the bind address",
  ],
  "addr-unavailable": ["node-initialisation", "this machine does not have the bind address; change the bind address"],
  transport: ["connection-failed", "the Iroh connection failed below the application; dial again"],
  unknown: ["connection-failed", "the Iroh connection failed; dial again, and report this text if it stays"],
};

/** Wraps whatever the binding threw about `peer`. A NetworkError passes through; the original stays as `cause`. */
export function irohError(error: unknown, peer: string): NetworkError {
  if (error instanceof NetworkError) return error;
  const fault = classifyFault(error);
  if (fault.kind === "peer-closed") {
    return new NetworkError(peerClosedCode(fault.code), { peer, message: peerClosed(fault), cause: error });
  }
  const [code, advice] = outcomes[fault.kind];
  return new NetworkError(code, { peer, message: `${advice} (iroh: ${fault.text})`, cause: error });
}

/** The application code and the reason text to tell the peer when a stream is aborted with `reason`. */
export function closeCodeOf(reason: Error): { readonly code: bigint; readonly text: string } {
  if (!(reason instanceof NetworkError)) return { code: closeCodes.normal, text: "aborted" };
  switch (reason.code) {
    case "protocol-violation":
    case "frame-too-large":
    case "handshake-failed":
      return { code: closeCodes.protocolError, text: reason.code };
    case "slow-consumer":
    case "rate-limited":
      return { code: closeCodes.overload, text: reason.code };
    case "refused":
    case "setup-refused":
      return { code: closeCodes.policy, text: reason.code };
    default:
      return { code: closeCodes.normal, text: reason.code };
  }
}

function peerClosedCode(code: number | null): NetworkErrorCode {
  return code === Number(closeCodes.overload) || code === Number(closeCodes.policy) ? "refused" : "closed";
}

function peerClosed(fault: IrohFault): string {
  const said = fault.reason === "" ? "" : ` saying "${fault.reason}"`;
  switch (peerClosedCode(fault.code)) {
    case "refused":
      return `the Iroh peer closed the connection with code ${fault.code}${said}; it is full or does not allow this endpoint id, wait before dialling again`;
    default:
      return `the Iroh peer closed the connection with code ${fault.code ?? "none"}${said}; dial again`;
  }
}
