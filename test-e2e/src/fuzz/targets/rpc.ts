import { NetworkError } from "@adit/network-helpers";
import {
  type ClientEffect,
  ClientSession,
  defaultRpcLimits,
  encodeRpcFrame,
  type RpcFrame,
  rpcFrames,
  type ServerEffect,
  ServerSession,
} from "@adit/network-helpers/rpc";
import fc from "fast-check";
import { anyBytes, damagedOneOf, utf8 } from "../arbitraries.ts";
import { rule, type Target } from "../target.ts";

const limits = { ...defaultRpcLimits, maxPayload: 200, maxCalls: 3, window: 50, maxWaiting: 600 };
const ids = [1, 2, 3, 4].map((digit) => `${digit}0`.repeat(16));
const none = "0".repeat(32);

function frame(type: RpcFrame["type"], id: string, value?: unknown): Uint8Array {
  return encodeRpcFrame({ type, id, payload: value === undefined ? new Uint8Array(0) : utf8(JSON.stringify(value)) });
}

function request(method: string, of: string): Uint8Array {
  return frame("request", of, { service: "s", method, deadline_ms: 1000, window: 50, input: { a: [1] } });
}

function frames(one: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const some = fc.array(fc.constantFrom(...one), { maxLength: 8 });
  const whole = some.map((all) => Uint8Array.from(Buffer.concat(all)));
  return fc.oneof(damagedOneOf(whole), anyBytes(200));
}

const dictionary = [
  ...["request", "response", "data", "error", "cancel", "credit"].map((type) =>
    frame(type as RpcFrame["type"], ids[0] ?? "").subarray(0, 18),
  ),
  frame("goodbye", none, { reason: "" }),
  ...['"service"', '"method"', '"deadline_ms"', '"window"', '"input"', '"code"', '"bytes"'].map(utf8),
];

/** The frames in bytes, up to where they are none. */
async function framesIn(bytes: Uint8Array): Promise<readonly RpcFrame[]> {
  const read: RpcFrame[] = [];
  const source = (async function* () {
    yield bytes;
  })();
  try {
    for await (const one of rpcFrames({ peer: "fuzz", source }, limits)) read.push(one);
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
  }
  return read;
}

/** Nothing but the end of calls may follow a close. */
function checkEnd(effects: readonly (ServerEffect | ClientEffect)[], isClosed: boolean): boolean {
  const at = effects.findIndex(({ type }) => type === "close");
  const after = isClosed ? effects : at === -1 ? [] : effects.slice(at + 1);
  rule(
    after.every(({ type }) => type === "abort" || type === "ended"),
    "something follows the end of the connection",
  );
  return isClosed || at !== -1;
}

/** What a caller sends to a role: nothing of it runs more handlers than may run, or lets more wait than may wait. */
export const fromCallers: Target<Uint8Array> = {
  inputs: frames([
    ...ids.flatMap((id) => [request("call", id), request("stream", id), frame("cancel", id)]),
    frame("credit", ids[0] ?? "", { bytes: 100 }),
    frame("keepAlive", none),
    frame("goodbye", none, { reason: "done" }),
  ]),
  async run(bytes) {
    const kindOf = (_service: string, method: string) => (method === "stream" ? "stream" : "call");
    const session = new ServerSession({ peer: "fuzz", limits, kindOf, now: 0 });
    let isClosed = false;
    let waiting = 0;
    const take = (effects: readonly ServerEffect[]): void => {
      isClosed = checkEnd(effects, isClosed);
      for (const effect of effects) {
        if (effect.type === "send") waiting += effect.bytes.length;
        if (effect.type === "pull") take(session.handle({ type: "item", id: effect.id, value: "x".repeat(40) }, 0));
      }
      rule(session.calls <= limits.maxCalls, `${session.calls} calls are under way`);
      rule(waiting <= limits.maxWaiting + limits.maxPayload, `${waiting} bytes wait for a peer that does not read`);
    };
    for (const one of await framesIn(bytes)) take(session.handle({ type: "frame", frame: one }, 0));
    take(session.handle({ type: "lost", error: null }, 0));
    rule(isClosed && session.wakeAt === Number.POSITIVE_INFINITY, "a connection that is lost goes on");
  },
  guided: { maxLength: 600, dictionary },
};

/** What a role sends to its operator: each call ends once, and no more is kept of a stream than was asked for. */
export const fromServers: Target<Uint8Array> = {
  inputs: frames([
    ...ids.flatMap((id) => [frame("response", id, 1), frame("data", id, "x".repeat(100))]),
    frame("error", ids[0] ?? "", { code: "internal", message: "\u001b[2J" }),
    frame("keepAlive", none),
    frame("goodbye", none, { reason: "stop" }),
  ]),
  async run(bytes) {
    const session = new ClientSession({ peer: "fuzz", limits, now: 0 });
    const ends = new Map<string, number>();
    let kept = 0;
    let isClosed = false;
    const take = (effects: readonly ClientEffect[]): void => {
      isClosed = checkEnd(effects, isClosed);
      for (const effect of effects) {
        if (effect.type === "item") kept += effect.bytes;
        if (effect.type === "ended") ends.set(effect.id, (ends.get(effect.id) ?? 0) + 1);
      }
    };
    const [call = "", stream = "", cancelled = ""] = ids;
    const deadlineMs = null;
    for (const [id, kind] of [
      [call, "call"],
      [stream, "stream"],
      [cancelled, "stream"],
    ] as const) {
      const request = { id, service: "s", method: kind, kind, input: null, deadlineMs };
      take(session.handle({ type: "call", request }, 0));
    }
    take(session.handle({ type: "cancel", id: cancelled }, 0));
    for (const one of await framesIn(bytes)) take(session.handle({ type: "frame", frame: one }, 0));
    take(session.handle({ type: "lost", error: null }, 0));
    rule(kept <= limits.window + limits.maxPayload + 22, `${kept} bytes of a stream are kept`);
    rule(
      [call, stream, cancelled].every((id) => ends.get(id) === 1),
      "a call did not end, or ended twice",
    );
  },
  guided: { maxLength: 600, dictionary },
};
