import { describe, expect, test, vi } from "vitest";
import type { ByteStream, Transport } from "../byte-stream.ts";
import { memory } from "../memory/index.ts";
import { tcp } from "../tcp/index.ts";
import { streamPair } from "../testing/parties.ts";
import { callId, encodeRpcFrame, type FrameType, frameTypes, NO_CALL } from "./frame.ts";
import { defaultRpcLimits, type RpcLimits } from "./limits.ts";
import { encodePayload, noPayload } from "./messages.ts";
import { RpcConnection } from "./rpc-connection.ts";
import { RpcServer, type RpcServerEvent } from "./rpc-server.ts";
import { testServices } from "./testing/services.ts";

const now = { signal: new AbortController().signal };

function idOf(n: number): string {
  const bytes = new Uint8Array(16);
  bytes.set([1, n >> 16, (n >> 8) & 255, n & 255]);
  return callId(bytes);
}

function frame(type: FrameType, id: string, value?: unknown): Uint8Array {
  return encodeRpcFrame({ type, id, payload: value === undefined ? noPayload : encodePayload(value) });
}

function request(n: number, method: string, input: unknown): Uint8Array {
  return frame("request", idOf(n), { service: "test", method, deadline_ms: 60_000, window: 0, input });
}

/** Asks for a stream that could go on for long. */
function count(n: number, window: number, filler: number): Uint8Array {
  const input = { to: 1_000_000, filler };
  return frame("request", idOf(n), { service: "test", method: "count", deadline_ms: null, window, input });
}

/** A served stream, and the raw other end of it. */
async function served(transport: Transport, address: string, limits: Partial<RpcLimits> = {}) {
  const services = testServices();
  const events: RpcServerEvent[] = [];
  const server = new RpcServer({
    services: services.table,
    limits: { ...defaultRpcLimits, ...limits },
    maxConnections: 4,
    admits: () => true,
    onEvent: (event) => events.push(event),
  });
  const [attacker, accepted] = await streamPair(transport, address);
  server.serve(accepted);
  const end = async (): Promise<RpcServerEvent> => {
    await vi.waitFor(() => expect(events.map(({ type }) => type)).toEqual(["connected", "disconnected"]), 10_000);
    expect(server.connections).toBe(0);
    return events[1]!;
  };
  return { services, attacker, server, end };
}

const places = [
  ["memory", () => memory(), ""],
  ["tcp", () => tcp(), "127.0.0.1:0"],
] as const;

describe.each(places)("a hostile caller over %s is disconnected", (_name, make, address) => {
  const broken: readonly (readonly [string, Uint8Array, string])[] = [
    ["another version", Uint8Array.of(2, ...frame("keepAlive", NO_CALL).subarray(1)), "protocol-violation"],
    ["plain HTTP", new TextEncoder().encode("GET /metrics HTTP/1.1\r\n\r\n"), "protocol-violation"],
    [
      "a type that does not exist",
      Uint8Array.of(1, 99, ...frame("keepAlive", NO_CALL).subarray(2)),
      "protocol-violation",
    ],
    [
      "a length of 4 GiB",
      Uint8Array.of(1, frameTypes.request, ...new Uint8Array(16).fill(1), 255, 255, 255, 255),
      "frame-too-large",
    ],
    ["a response", frame("response", idOf(1), 1), "protocol-violation"],
    ["an id used twice", Uint8Array.of(...request(1, "hang", null), ...request(1, "hang", null)), "protocol-violation"],
    ["a request that is nested without end", nested(), "protocol-violation"],
  ];

  test.each(broken)("for %s", async (_what, bytes, code) => {
    const { attacker, end } = await served(make(), address);
    attacker.write(bytes).catch(() => undefined);
    expect(await end()).toMatchObject({ error: { code } });
    await expect(drained(attacker)).resolves.toBeUndefined();
  });

  test("for a frame that it never finishes, by the silence in it", async () => {
    const { attacker, end } = await served(make(), address, { silenceMs: 50 });
    await attacker.write(request(1, "hang", null).subarray(0, 40));
    expect(await end()).toMatchObject({ error: { code: "timed-out" } });
  });

  test("for never reading what it asked for", async () => {
    const { attacker, end, services } = await served(make(), address, { stallMs: 100, keepAliveMs: 50 });
    for (let n = 0; n < 60; n += 1) {
      await attacker.write(count(n, 2 ** 31 - 1, 60_000));
    }
    expect(await end()).toMatchObject({ error: { code: "slow-consumer" } });
    const made = services.counted;
    expect(made).toBeLessThan(1000);
    await vi.waitFor(() => expect(services.reports.length).toBeGreaterThan(0));
  });
});

describe("a hostile caller", () => {
  test("that floods with calls, and does not read that they are too many, is disconnected", async () => {
    const { attacker, end } = await served(memory(), "", { maxWaiting: 4000, maxCalls: 1 });
    for (let n = 0; n < 20_000; n += 500) {
      const flood = Array.from({ length: 500 }, (_, index) => request(n + index, "hang", null));
      attacker.write(Uint8Array.from(flood.flatMap((bytes) => [...bytes]))).catch(() => undefined);
    }
    expect(await end()).toMatchObject({ error: { code: "slow-consumer" } });
  });

  test("that never gives credit gets what it had credit for, and the handler waits", async () => {
    const { attacker, services } = await served(memory(), "");
    await attacker.write(count(1, 100, 0));
    await attacker.write(request(2, "add", { a: 1, b: 2 }));
    const answer = await read(attacker, (bytes) => new TextDecoder().decode(bytes).endsWith("3"));
    expect(answer).toBe(true);
    expect(services.counted).toBe(3);
    attacker.abort(new Error("enough"));
  });

  test("that opens and says nothing is dropped after the silence, with nothing left behind", async () => {
    const { end } = await served(memory(), "", { silenceMs: 30 });
    expect(await end()).toMatchObject({ error: { code: "timed-out" } });
  });
});

describe("a hostile server", () => {
  async function called(bytes: (id: string) => Uint8Array): Promise<unknown> {
    const [dialled, accepted] = await streamPair();
    const connection = new RpcConnection(dialled);
    const calling = connection.call({ service: "test", method: "add" }, null, now).catch((error: unknown) => error);
    const pieces = accepted.source[Symbol.asyncIterator]();
    let got: Uint8Array = new Uint8Array(0);
    while (got.length < 44) got = Uint8Array.from([...got, ...((await pieces.next()).value ?? [])]);
    // Behind the first keep-alive of 22 bytes comes the request.
    await accepted.write(bytes(callId(got.slice(24, 40)))).catch(() => undefined);
    const error = await calling;
    expect(error).toMatchObject({ name: "RpcError", code: "connection-lost" });
    return ((await connection.closed) as { code?: unknown } | null)?.code;
  }

  test.each([
    ["answers a call that was not made", () => frame("response", idOf(7), 1)],
    ["sends items of a call", (id: string) => frame("data", id, 1)],
    ["asks for something itself", () => request(1, "add", null)],
    ["answers in no JSON", (id: string) => encodeRpcFrame({ type: "response", id, payload: Uint8Array.of(0x7b) })],
  ])("that %s loses its client", async (_what, bytes) => {
    expect(await called(bytes)).toBe("protocol-violation");
  });

  test("that announces more than a payload may have loses its client before it has sent it", async () => {
    const code = await called((id) => {
      const bytes = frame("response", id, 1);
      new DataView(bytes.buffer).setUint32(18, defaultRpcLimits.maxPayload + 1, true);
      return bytes;
    });
    expect(code).toBe("frame-too-large");
  });
});

/** A megabyte of open brackets, as far as a payload goes. */
function nested(): Uint8Array {
  return encodeRpcFrame({ type: "request", id: idOf(1), payload: new Uint8Array(500_000).fill(0x5b) });
}

async function drained(stream: ByteStream): Promise<void> {
  try {
    for await (const _ of stream.source);
  } catch {
    // Broken is as good as ended.
  }
}

async function read(stream: ByteStream, until: (bytes: Uint8Array) => boolean): Promise<boolean> {
  for await (const bytes of stream.source) if (until(bytes)) return true;
  return false;
}
