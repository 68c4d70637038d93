import { describe, expect, test } from "vitest";
import { NetworkError } from "../errors.ts";
import { classifyFault, closeCodeOf, irohError } from "./fault.ts";

const PLACE = "(/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/iroh-1.0.2/src/endpoint.rs:1060:20)";
const BACKTRACE =
  "\n\nStack backtrace:\n   0: <anyhow::Error>::msg::<alloc::string::String>\n   1: anyhow::__private::format_err";
const CONNECTING = `ConnectError::Connecting ${PLACE}\nCaused by:\n    ConnectingError::ConnectionError ${PLACE}\n    `;
const CONNECT = `ConnectError::Connect ${PLACE}\nCaused by:\n    `;

/** Recorded from @number0/iroh 1.1.0 on Node 20: the message with RUST_BACKTRACE=0, with it set to 1, and what both mean. */
const recorded = [
  [
    "aborted by peer: the cryptographic handshake failed: error 120: peer doesn't support any known protocol",
    CONNECTING,
    "alpn",
    "alpn-mismatch",
  ],
  [
    "the cryptographic handshake failed: error 48: invalid peer certificate: UnknownIssuer",
    CONNECTING,
    "wrong-identity",
    "handshake-failed",
  ],
  ["aborted by peer: the server refused to accept a new connection", CONNECTING, "refused", "refused"],
  ["timed out", CONNECTING, "timeout", "timed-out"],
  ["Connecting to ourself is not supported", CONNECT, "self-dial", "invalid-config"],
  ["No addressing information available", CONNECT, "no-address", "peer-discovery-failed"],
  ["Endpoint is closed", CONNECT, "local-closed", "closed"],
  [
    "Address already in use (os error 98)",
    `Failed to bind sockets ${PLACE}\nCaused by:\n    `,
    "addr-in-use",
    "node-initialisation",
  ],
  [
    "Cannot assign requested address (os error 99)",
    `Failed to bind sockets ${PLACE}\nCaused by:\n    `,
    "addr-unavailable",
    "node-initialisation",
  ],
  [
    'TransportError(Error { code: Code::crypto(78), frame: None, reason: "peer doesn\'t support any known protocol", crypto: Some(NoApplicationProtocol) })',
    "",
    "alpn",
    "alpn-mismatch",
  ],
  ["Reset(42)", "", "stream-reset", "closed"],
  ["Stopped(9)", "", "stream-stopped", "closed"],
  ["ClosedStream { _private: () }", "", "stream-ended", "closed"],
  ["FinishedEarly(0)", "", "stream-ended", "closed"],
  ["ConnectionLost(LocallyClosed)", "", "local-closed", "closed"],
  ["closed", "", "local-closed", "closed"],
  ["ConnectionLost(TimedOut)", "", "timeout", "timed-out"],
  ["ConnectionLost(Reset)", "", "transport", "connection-failed"],
  ["something new", "", "unknown", "connection-failed"],
] as const;

describe("the classifier", () => {
  test.each(recorded)("reads %j in both shapes", (...[flat, outer, kind, code]) => {
    for (const message of [flat, `${outer}${flat}${BACKTRACE}`]) {
      const fault = classifyFault(new Error(message));
      expect(fault.kind).toBe(kind);
      expect(fault.text).not.toMatch(/\n|\.rs:|backtrace/i);
      const error = irohError(new Error(message), "peer-id");
      expect(error).toMatchObject({ name: "NetworkError", code, peer: "peer-id" });
      expect(error.message).not.toMatch(/\n|\.rs:|Stack backtrace/);
      expect(error.cause).toBeInstanceOf(Error);
    }
  });

  test.each([
    ['ConnectionLost(ApplicationClosed(ApplicationClose { error_code: 77, reason: b"by\\"e\\n" }))', 77, 'by\\"e\\n'],
    ['ApplicationClosed(ApplicationClose { error_code: 2, reason: b"" })', 2, ""],
    ['closed by peer: by"e\n (code 77)', 77, 'by"e?'],
    ["closed by peer: 3", 3, ""],
  ])("reads code and reason a peer closed with from %j", (message, code, reason) => {
    for (const text of [message, message + BACKTRACE]) {
      expect(classifyFault(new Error(text))).toMatchObject({ kind: "peer-closed", code, reason });
    }
  });

  test("is not fooled by a close reason that imitates another fault", () => {
    const message =
      'ConnectionLost(ApplicationClosed(ApplicationClose { error_code: 0, reason: b"timed out (code 2)" }))';
    expect(classifyFault(message)).toMatchObject({ kind: "peer-closed", code: 0 });
    expect(irohError(message, "p").code).toBe("closed");
  });

  test("keeps text from the network to one printable line of bounded length", () => {
    const fault = classifyFault(`closed by peer: ${"\u001b[31mé".repeat(1000)} (code 1)`);
    expect(fault.reason).toMatch(/^[\x20-\x7e]{1,210}$/);
  });

  test("calls a close for overload or policy refused, and every other one closed", () => {
    const codes = ["0", "1", "2", "3", "4", "77"].map((code) => irohError(`closed by peer: ${code}`, "p").code);
    expect(codes).toEqual(["closed", "closed", "refused", "refused", "closed", "closed"]);
  });

  test("takes anything that can be thrown, and passes a NetworkError through", () => {
    const own = new NetworkError("rate-limited", { peer: "p", message: "slow down" });
    expect(irohError(own, "q")).toBe(own);
    expect(irohError(undefined, "q").code).toBe("connection-failed");
    expect(classifyFault("timed out").kind).toBe("timeout");
  });
});

test("tells the peer only the code of an error, never its text", () => {
  const error = (code: NetworkError["code"]): NetworkError =>
    new NetworkError(code, { peer: "p", message: "/etc/secret" });
  expect(closeCodeOf(error("protocol-violation"))).toEqual({ code: 1n, text: "protocol-violation" });
  expect(closeCodeOf(error("slow-consumer"))).toEqual({ code: 2n, text: "slow-consumer" });
  expect(closeCodeOf(error("refused"))).toEqual({ code: 3n, text: "refused" });
  expect(closeCodeOf(error("timed-out"))).toEqual({ code: 0n, text: "timed-out" });
  expect(closeCodeOf(new Error("/etc/secret"))).toEqual({ code: 0n, text: "aborted" });
});
