import { describe, expect, test } from "vitest";
import type { ClientEffect } from "./client-events.ts";
import { ClientSession } from "./client-session.ts";
import { encodeRpcFrame, type FrameType, NO_CALL, type RpcFrame } from "./frame.ts";
import { defaultRpcLimits, type RpcLimits } from "./limits.ts";
import { encodePayload, noPayload } from "./messages.ts";
import type { ServerEffect } from "./server-events.ts";
import { ServerSession } from "./server-session.ts";
import { decodeFrame } from "./testing/frames.ts";

const id = "01".repeat(16);
const other = "02".repeat(16);

function server(limits: Partial<RpcLimits> = {}): ServerSession {
  return new ServerSession({
    peer: "peer",
    limits: { ...defaultRpcLimits, ...limits },
    kindOf: (_service, method) => (method === "watch" ? "stream" : method === "get" ? "call" : undefined),
    now: 0,
  });
}

function client(limits: Partial<RpcLimits> = {}): ClientSession {
  return new ClientSession({ peer: "peer", limits: { ...defaultRpcLimits, ...limits }, now: 0 });
}

function frame(
  type: FrameType,
  value?: unknown,
  of: string = id,
): { readonly type: "frame"; readonly frame: RpcFrame } {
  const payload = value === undefined ? noPayload : encodePayload(value);
  return { type: "frame", frame: { type, id: of, payload } };
}

function request(
  method: string,
  more: { readonly deadline_ms?: number | null; readonly window?: number } = {},
  of = id,
) {
  return frame("request", { service: "s", method, deadline_ms: 1000, window: 100, input: {}, ...more }, of);
}

/** Effects as a reader sees them: frames by type and content. */
function shown(effects: readonly (ServerEffect | ClientEffect)[]): readonly unknown[] {
  return effects.map((effect) => {
    if (effect.type === "send") {
      const { type, payload } = decodeFrame(effect.bytes);
      const text = new TextDecoder().decode(payload);
      return [type, text === "" ? undefined : (JSON.parse(text) as unknown)];
    }
    if (effect.type === "close") return ["close", effect.error?.code ?? null];
    if (effect.type === "ended")
      return ["ended", "output" in effect.outcome ? effect.outcome.output : effect.outcome.code];
    return [effect.type];
  });
}

const error = (code: string): unknown => expect.objectContaining({ code });

const call = (of = id, deadlineMs: number | null = 1000, kind: "call" | "stream" = "call") =>
  ({
    type: "call",
    request: { id: of, service: "s", method: kind === "call" ? "get" : "watch", kind, input: {}, deadlineMs },
  }) as const;

describe("the serving side", () => {
  test("starts a call and answers with what its handler gives", () => {
    const session = server();
    expect(session.handle(request("get"), 0)).toEqual([{ type: "start", id, service: "s", method: "get", input: {} }]);
    expect(shown(session.handle({ type: "settled", id, outcome: { output: { a: 1 } } }, 5))).toEqual([
      ["response", { a: 1 }],
    ]);
    expect(session.calls).toBe(0);
  });

  test("ends a call at its deadline, once, and lets nothing follow", () => {
    const session = server();
    session.handle(request("get", { deadline_ms: 250 }), 100);
    expect(session.wakeAt).toBe(350);
    expect(session.handle({ type: "tick" }, 349)).toEqual([]);
    expect(shown(session.handle({ type: "tick" }, 350))).toEqual([["abort"], ["error", error("deadline-exceeded")]]);
    expect(session.handle({ type: "tick" }, 351)).toEqual([]);
    expect(session.handle({ type: "settled", id, outcome: { output: 1 } }, 400)).toEqual([]);
  });

  test("cuts a deadline to its own longest, also for a call without one", () => {
    const session = server({ maxDeadlineMs: 50 });
    session.handle(request("get", { deadline_ms: 1_000_000 }), 0);
    session.handle(request("get", { deadline_ms: null }, other), 10);
    expect(session.wakeAt).toBe(50);
    expect(shown(session.handle({ type: "tick" }, 60))).toEqual([
      ["abort"],
      ["error", error("deadline-exceeded")],
      ["abort"],
      ["error", error("deadline-exceeded")],
    ]);
  });

  test("counts a cancelled call until its handler has noticed", () => {
    const session = server({ maxCalls: 1 });
    session.handle(request("get"), 0);
    expect(shown(session.handle(frame("cancel"), 1))).toEqual([["abort"], ["error", error("cancelled")]]);
    expect(shown(session.handle(request("get", {}, other), 2))).toEqual([["error", error("too-many-calls")]]);
    session.handle({ type: "settled", id, outcome: { output: 1 } }, 3);
    expect(shown(session.handle(request("get", {}, other), 4))).toEqual([["start"]]);
  });

  test("takes as many calls at once as it may, and refuses the next", () => {
    const session = server({ maxCalls: 2 });
    expect(shown(session.handle(request("get"), 0))).toEqual([["start"]]);
    expect(shown(session.handle(request("get", {}, other), 0))).toEqual([["start"]]);
    expect(shown(session.handle(request("get", {}, "03".repeat(16)), 0))).toEqual([["error", error("too-many-calls")]]);
  });

  test("says so when a method does not exist, an answer is too long, and a stream's item is", () => {
    const session = server({ maxPayload: 300 });
    expect(shown(session.handle(request("nothing"), 0))).toEqual([["error", error("not-found")]]);
    session.handle(request("get"), 0);
    const long = "x".repeat(300);
    const answered = session.handle({ type: "settled", id, outcome: { output: long } }, 0);
    expect(shown(answered)).toEqual([["error", error("payload-too-large")]]);
    session.handle(request("watch"), 0);
    const item = session.handle({ type: "item", id, value: long }, 0);
    expect(shown(item)).toEqual([["abort"], ["error", error("payload-too-large")]]);
  });

  test("asks a stream for items while there is credit, and again when some has come", () => {
    const session = server();
    expect(shown(session.handle(request("watch", { window: 30 }), 0))).toEqual([["start"], ["pull"]]);
    // Each item costs its header of 22 bytes and its payload of one.
    expect(shown(session.handle({ type: "item", id, value: 1 }, 0))).toEqual([["data", 1], ["pull"]]);
    expect(shown(session.handle({ type: "item", id, value: 2 }, 0))).toEqual([["data", 2]]);
    expect(session.handle(frame("credit", { bytes: 16 }), 0)).toEqual([]);
    expect(shown(session.handle(frame("credit", { bytes: 1 }), 0))).toEqual([["pull"]]);
    expect(shown(session.handle({ type: "settled", id, outcome: { output: null } }, 0))).toEqual([["response", null]]);
  });

  test("does not ask a stream for items while half of what may wait waits", () => {
    const session = server({ maxWaiting: 60 });
    session.handle(request("watch"), 0);
    expect(shown(session.handle({ type: "item", id, value: 1 }, 0))).toEqual([["data", 1], ["pull"]]);
    expect(shown(session.handle({ type: "item", id, value: 2 }, 0))).toEqual([["data", 2]]);
    expect(shown(session.handle({ type: "written", bytes: 23 }, 0))).toEqual([["pull"]]);
  });

  test("cuts a peer off that lets more wait than it may, and aborts its calls", () => {
    const session = server({ maxWaiting: 200 });
    session.handle(request("get"), 0);
    const effects = Array.from({ length: 5 }, (_, index) =>
      shown(session.handle(request("nothing", {}, `0${index + 2}`.repeat(16)), 0)),
    );
    expect(effects.at(2)).toEqual([["close", "slow-consumer"], ["abort"]]);
    expect(effects.slice(3).flat()).toEqual([]);
  });

  test("cuts a peer off that reads nothing for too long, however much it says", () => {
    const session = server({ stallMs: 1000, keepAliveMs: 100 });
    session.handle(request("nothing"), 0);
    for (let now = 100; now < 1000; now += 100) {
      expect(session.handle(frame("keepAlive", undefined, NO_CALL), now)).toEqual([]);
      expect(session.handle({ type: "tick" }, now)).toEqual([]);
    }
    expect(session.wakeAt).toBe(1000);
    expect(shown(session.handle({ type: "tick" }, 1000))).toEqual([["close", "slow-consumer"]]);
  });

  test("says goodbye: streams end, a call may finish, new ones are refused, then it closes", () => {
    const session = server();
    session.handle(request("get"), 0);
    session.handle(request("watch", {}, other), 0);
    expect(shown(session.handle({ type: "goodbye", reason: "stop" }, 0))).toEqual([
      ["goodbye", { reason: "stop" }],
      ["abort"],
      ["error", error("going-away")],
    ]);
    const late = "03".repeat(16);
    expect(shown(session.handle(request("get", {}, late), 1))).toEqual([["error", error("going-away")]]);
    expect(shown(session.handle({ type: "settled", id, outcome: { output: 1 } }, 2))).toEqual([
      ["response", 1],
      ["close", null],
    ]);
    expect(session.wakeAt).toBe(Number.POSITIVE_INFINITY);
  });

  test("waits for a call after its goodbye no longer than it may", () => {
    const session = server({ drainMs: 100 });
    session.handle(request("get", { deadline_ms: 10_000 }), 0);
    session.handle({ type: "goodbye", reason: "stop" }, 50);
    expect(session.wakeAt).toBe(150);
    expect(shown(session.handle({ type: "tick" }, 150))).toEqual([
      ["abort"],
      ["error", error("going-away")],
      ["close", null],
    ]);
  });

  test("closes when the peer has said goodbye and its calls are done", () => {
    const session = server();
    session.handle(request("get"), 0);
    expect(session.handle(frame("goodbye", { reason: "done" }, NO_CALL), 1)).toEqual([]);
    const last = session.handle({ type: "settled", id, outcome: { output: 1 } }, 2);
    expect(shown(last)).toEqual([
      ["response", 1],
      ["close", null],
    ]);
  });

  test.each([
    ["a response", frame("response", 1)],
    ["stream data", frame("data", 1)],
    ["an error", frame("error", { code: "internal", message: "" })],
    ["a request that is no JSON", { type: "frame", frame: { type: "request", id, payload: Uint8Array.of(0x7b) } }],
    [
      "a request that is no UTF-8",
      { type: "frame", frame: { type: "request", id, payload: Uint8Array.of(0x22, 255, 0x22) } },
    ],
    ["a request of another form", frame("request", { service: "s" })],
    ["a request with a negative deadline", request("get", { deadline_ms: -1 })],
    ["a request with a window beyond any", request("get", { window: 2 ** 31 })],
  ] as const)("disconnects a peer for %s, and aborts its calls", (_what, input) => {
    const session = server();
    session.handle(request("get", {}, other), 0);
    expect(shown(session.handle(input, 0))).toEqual([["close", "protocol-violation"], ["abort"]]);
  });

  test("disconnects a peer for an id used twice at once, a credit of no form, and a call after its goodbye", () => {
    for (const last of [request("get"), frame("credit", { bytes: -5 })]) {
      const session = server();
      session.handle(request("get"), 0);
      expect(shown(session.handle(last, 0))).toEqual([["close", "protocol-violation"], ["abort"]]);
    }
    const session = server();
    session.handle(request("get"), 0);
    session.handle(frame("goodbye", { reason: "" }, NO_CALL), 0);
    expect(shown(session.handle(request("get", {}, other), 0))[0]).toEqual(["close", "protocol-violation"]);
  });

  test("ignores a cancel and a credit that crossed the end of their call", () => {
    const session = server();
    expect(session.handle(frame("cancel"), 0)).toEqual([]);
    expect(session.handle(frame("credit", { bytes: 5 }), 0)).toEqual([]);
  });
});

describe("the calling side", () => {
  test("carries the deadline in the request, and gives the answer", () => {
    const session = client();
    expect(shown(session.handle(call(), 0))).toEqual([
      ["request", { service: "s", method: "get", deadline_ms: 1000, window: 0, input: {} }],
    ]);
    expect(shown(session.handle(frame("response", { a: 1 }), 1))).toEqual([["ended", { a: 1 }]]);
  });

  test("ends a call at its deadline itself, tells the peer, and takes the late answer for what it is", () => {
    const session = client();
    session.handle(call(id, 250), 100);
    expect(session.wakeAt).toBe(350);
    expect(shown(session.handle({ type: "tick" }, 350))).toEqual([
      ["ended", "deadline-exceeded"],
      ["cancel", undefined],
    ]);
    expect(session.calls).toBe(1);
    expect(session.handle(frame("response", 1), 400)).toEqual([]);
    expect(session.calls).toBe(0);
    expect(shown(session.handle(frame("response", 1), 401))).toEqual([["close", "protocol-violation"]]);
  });

  test("disconnects a peer that never ends a cancelled call", () => {
    const session = client({ stallMs: 500 });
    session.handle(call(), 0);
    expect(shown(session.handle({ type: "cancel", id }, 10))).toEqual([
      ["ended", "cancelled"],
      ["cancel", undefined],
    ]);
    session.handle({ type: "written", bytes: 1000 }, 10);
    expect(session.wakeAt).toBe(510);
    expect(shown(session.handle({ type: "tick" }, 510))).toEqual([["close", "timed-out"]]);
  });

  test("makes as many calls at once as it may, cancelled ones included, and refuses the next itself", () => {
    const session = client({ maxCalls: 1 });
    session.handle(call(), 0);
    expect(shown(session.handle(call(other), 0))).toEqual([["ended", "too-many-calls"]]);
    session.handle({ type: "cancel", id }, 0);
    expect(shown(session.handle(call(other), 0))).toEqual([["ended", "too-many-calls"]]);
    session.handle(frame("error", { code: "cancelled", message: "" }), 0);
    expect(shown(session.handle(call(other), 0))).toMatchObject([["request", {}]]);
  });

  test("refuses a request that is longer than a payload may be", () => {
    expect(shown(client({ maxPayload: 50 }).handle(call(), 0))).toEqual([["ended", "payload-too-large"]]);
  });

  test("gives credit back by halves of the window", () => {
    const session = client({ window: 100 });
    session.handle(call(id, null, "stream"), 0);
    const item = session.handle(frame("data", 1), 0);
    expect(item).toEqual([{ type: "item", id, value: 1, bytes: 23 }]);
    session.handle(frame("data", 2), 0);
    session.handle(frame("data", 3), 0);
    expect(session.handle({ type: "consumed", id, bytes: 23 }, 0)).toEqual([]);
    expect(session.handle({ type: "consumed", id, bytes: 23 }, 0)).toEqual([]);
    expect(shown(session.handle({ type: "consumed", id, bytes: 23 }, 0))).toEqual([["credit", { bytes: 69 }]]);
    expect(shown(session.handle(frame("response", null), 0))).toEqual([["ended", null]]);
  });

  test("disconnects a peer that sends more stream data than it has credit for", () => {
    const session = client({ window: 30 });
    session.handle(call(id, null, "stream"), 0);
    session.handle(frame("data", 1), 0);
    session.handle(frame("data", 2), 0);
    expect(shown(session.handle(frame("data", 3), 0))).toEqual([
      ["close", "protocol-violation"],
      ["ended", "connection-lost"],
    ]);
  });

  test("does so also for a stream that it has cancelled", () => {
    const session = client({ window: 30 });
    session.handle(call(id, null, "stream"), 0);
    session.handle({ type: "cancel", id }, 0);
    expect(session.handle(frame("data", 1), 0)).toEqual([]);
    session.handle(frame("data", 2), 0);
    expect(shown(session.handle(frame("data", 3), 0))).toEqual([["close", "protocol-violation"]]);
  });

  test.each([
    ["a response to nothing", frame("response", 1, other)],
    ["an error for nothing", frame("error", { code: "internal", message: "" }, other)],
    ["stream data for nothing", frame("data", 1, other)],
    ["stream data for a call", frame("data", 1)],
    ["a request", request("get", {}, other)],
    ["a cancel", frame("cancel")],
    ["a credit", frame("credit", { bytes: 1 })],
    ["an error of another form", frame("error", { code: 5 })],
    ["an answer that is no JSON", { type: "frame", frame: { type: "response", id, payload: noPayload } }],
  ] as const)("disconnects a peer for %s, and its calls end", (_what, input) => {
    const session = client();
    session.handle(call(), 0);
    expect(shown(session.handle(input, 0))).toEqual([
      ["close", "protocol-violation"],
      ["ended", "connection-lost"],
    ]);
    expect(shown(session.handle(call(other), 0))).toEqual([["ended", "connection-lost"]]);
  });

  test("keeps the codes it knows and names one it does not know", () => {
    const session = client();
    session.handle(call(), 0);
    expect(shown(session.handle(frame("error", { code: "not-supported", message: "no" }), 0))).toEqual([
      ["ended", "not-supported"],
    ]);
    session.handle(call(other), 0);
    expect(session.handle(frame("error", { code: "of-tomorrow", message: "no" }, other), 0)).toMatchObject([
      { outcome: { code: "internal", message: "of-tomorrow: no" } },
    ]);
  });

  test("makes no calls after the peer's goodbye, and closes when its own are done", () => {
    const session = client();
    session.handle(call(), 0);
    expect(session.handle(frame("goodbye", { reason: "stop" }, NO_CALL), 0)).toEqual([]);
    expect(shown(session.handle(call(other), 0))).toEqual([["ended", "going-away"]]);
    expect(shown(session.handle(frame("response", 1), 0))).toEqual([
      ["ended", 1],
      ["close", null],
    ]);
  });

  test("says goodbye itself: streams end, calls may finish, for a time", () => {
    const session = client({ drainMs: 100 });
    session.handle(call(), 0);
    session.handle(call(other, null, "stream"), 0);
    expect(shown(session.handle({ type: "goodbye", reason: "done" }, 0))).toEqual([
      ["ended", "cancelled"],
      ["cancel", undefined],
      ["goodbye", { reason: "done" }],
    ]);
    expect(session.wakeAt).toBe(100);
    expect(shown(session.handle({ type: "tick" }, 100))).toEqual([
      ["close", null],
      ["ended", "going-away"],
    ]);
  });
});

describe("both sides", () => {
  test("send a keep-alive when they have been silent, and none while bytes wait", () => {
    const session = client({ keepAliveMs: 100, silenceMs: 1000 });
    expect(shown(session.open(0))).toEqual([["keepAlive", undefined]]);
    expect(session.handle({ type: "tick" }, 100)).toEqual([]);
    session.handle(
      { type: "written", bytes: encodeRpcFrame(frame("keepAlive", undefined, NO_CALL).frame).length },
      150,
    );
    expect(shown(session.handle({ type: "tick" }, 150))).toEqual([["keepAlive", undefined]]);
  });

  test("take a peer for dead that is silent for too long, and end its calls", () => {
    const caller = client({ silenceMs: 1000 });
    caller.handle(call(id, 5000), 0);
    expect(shown(caller.handle({ type: "tick" }, 1000))).toEqual([
      ["close", "timed-out"],
      ["ended", "connection-lost"],
    ]);
    const served = server({ silenceMs: 1000 });
    served.handle(request("get", { deadline_ms: 5000 }), 0);
    expect(shown(served.handle({ type: "tick" }, 1000))).toEqual([["close", "timed-out"], ["abort"]]);
  });
});
