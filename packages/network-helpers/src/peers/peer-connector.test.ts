import { describe, expect, onTestFinished, test, vi } from "vitest";
import { aborted } from "../deadline.ts";
import { NetworkError } from "../errors.ts";
import type { PeerConnectorParts } from "./connector-parts.ts";
import type { PeerEvent } from "./effects.ts";
import { PeerConnector } from "./peer-connector.ts";

const never = new AbortController().signal;

class FakeConnection implements AsyncDisposable {
  readonly got: string[] = [];
  readonly end: () => void;
  readonly ended: Promise<void>;
  disposed = false;

  constructor() {
    let end = (): void => {};
    this.ended = new Promise((resolve) => {
      end = resolve;
    });
    this.end = end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
  }
}

/** A connector over fake connections and a fake clock; what the test gives takes precedence. */
function setUp(parts: Partial<PeerConnectorParts<FakeConnection, string>> = {}) {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const connections: FakeConnection[] = [];
  const events: PeerEvent[] = [];
  const connector = new PeerConnector<FakeConnection, string>({
    dial: async () => {
      const connection = new FakeConnection();
      connections.push(connection);
      return connection;
    },
    messages: { deliver: async ({ got }, message) => void got.push(message), sizeOf: (message) => message.length },
    random: () => 0.5,
    onEvent: (event) => void events.push(event),
    ...parts,
  });
  return { connector, connections, events };
}

const down = async (): Promise<never> => {
  throw new NetworkError("connection-failed", { peer: "a", message: "a: down" });
};

describe("sending to peers", () => {
  test("dials once, delivers in order, and tells each sender what became of its message", async () => {
    const { connector, connections } = setUp();
    const outcomes = await Promise.all(["1", "2", "3"].map((message) => connector.send("a", message)));
    expect(outcomes).toEqual([{ kind: "delivered" }, { kind: "delivered" }, { kind: "delivered" }]);
    expect(connections.map(({ got }) => got)).toEqual([["1", "2", "3"]]);
    await connector[Symbol.asyncDispose]();
    expect(connections[0]?.disposed).toBe(true);
  });

  test("keeps messages for a peer that is away, and lets them expire", async () => {
    const { connector, events } = setUp({ dial: down });
    const outcome = connector.send("a", "1");
    await vi.advanceTimersByTimeAsync(300_000);
    expect(await outcome).toEqual({ kind: "expired" });
    const types = events.map(({ type }) => type);
    expect(types.slice(0, 6)).toEqual([...Array(5).fill("peer-dial-failed"), "breaker-opened"]);
    expect(types.slice(6, 9)).toEqual(["breaker-half-opened", "peer-dial-failed", "breaker-opened"]);
    await connector[Symbol.asyncDispose]();
  });

  test("gives a delivery ten seconds, then drops its connection and tries the next", async () => {
    let stuck = true;
    const { connector, connections } = setUp({
      messages: {
        deliver: async ({ got }, message, { signal }) => {
          if (stuck) await aborted(signal);
          signal.throwIfAborted();
          got.push(message);
        },
        sizeOf: () => 1,
      },
    });
    const outcome = connector.send("a", "1");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(connections[0]?.disposed).toBe(true);
    stuck = false;
    await vi.advanceTimersByTimeAsync(500);
    expect(await outcome).toEqual({ kind: "delivered" });
    expect(connections.map(({ got }) => got)).toEqual([[], ["1"]]);
    await connector[Symbol.asyncDispose]();
  });

  test("says why a message was dropped", async () => {
    const { connector } = setUp({ messages: { deliver: down, sizeOf: () => 1 } });
    const outcome = connector.send("a", "1");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await outcome).toMatchObject({ kind: "dropped", attempts: 3, error: { message: "a: down" } });
    await connector[Symbol.asyncDispose]();
  });

  test("is refused by a connector that was given no way to deliver", async () => {
    const connector = new PeerConnector<FakeConnection>({ dial: async () => new FakeConnection() });
    await expect(connector.send("a", undefined as never)).rejects.toMatchObject({ code: "invalid-config" });
  });
});

describe("using connections to peers", () => {
  test("shares one connection, and keeps it until nobody has used it for long", async () => {
    const { connector, connections } = setUp();
    const same = await Promise.all([1, 2].map(() => connector.use("a", async (one) => one, { signal: never })));
    expect(same).toEqual([connections[0], connections[0]]);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(connections[0]?.disposed).toBe(true);
    expect(connector.stats().counts.closed.idle).toBe(1);
    await connector[Symbol.asyncDispose]();
  });

  test("is told what the dial failed with, and at once when the breaker is open", async () => {
    const dial = vi.fn(down);
    const { connector } = setUp({ dial, options: { breakerFailures: 1 } });
    const use = (): Promise<unknown> => connector.use("a", async () => 1, { signal: never });
    await expect(use()).rejects.toMatchObject({ code: "connection-failed", message: "a: down" });
    await expect(use()).rejects.toMatchObject({ code: "breaker-open" });
    expect(dial).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(30_000);
    await expect(use()).rejects.toMatchObject({ code: "connection-failed" });
    await connector[Symbol.asyncDispose]();
  });

  test("is refused when every connection is in use", async () => {
    const { connector } = setUp({ options: { maxConnections: 1 } });
    const controller = new AbortController();
    const using = connector.use("a", (_, { signal }) => aborted(signal), { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(0);
    const second = connector.use("b", async () => 1, { signal: never });
    await expect(second).rejects.toMatchObject({ code: "refused", peer: "b" });
    controller.abort();
    await using;
    await expect(connector.use("b", async () => 1, { signal: never })).resolves.toBe(1);
    await connector[Symbol.asyncDispose]();
  });

  test("can be called off while it waits", async () => {
    const { connector } = setUp({ dial: (_, { signal }) => aborted(signal).then(down) });
    const controller = new AbortController();
    const waiting = connector.use("a", async () => 1, { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "closed" });
    await expect(connector.use("a", async () => 1, { signal: controller.signal })).rejects.toMatchObject({
      code: "closed",
    });
    await connector[Symbol.asyncDispose]();
  });

  test("a NetworkError of the work breaks the connection, another error does not, nor one after an abort", async () => {
    const { connector, connections } = setUp();
    const throwing = (fault: Error): Promise<unknown> => {
      const work = async (): Promise<never> => {
        throw fault;
      };
      return connector.use("a", work, { signal: never }).catch((caught: unknown) => caught);
    };
    const fault = new NetworkError("timed-out", { peer: "a", message: "a: silent" });
    expect(await throwing(new Error("no such method"))).toMatchObject({ message: "no such method" });
    const controller = new AbortController();
    const late = async (): Promise<never> => {
      controller.abort();
      throw fault;
    };
    await expect(connector.use("a", late, { signal: controller.signal })).rejects.toBe(fault);
    expect(connections[0]?.disposed).toBe(false);
    expect(await throwing(fault)).toBe(fault);
    expect(connections[0]?.disposed).toBe(true);
    await connector[Symbol.asyncDispose]();
  });
});

describe("watching over connections", () => {
  test("closes one that fails its health check, or does not finish it", async () => {
    const answers = [async () => {}, down, () => new Promise<void>(() => {})];
    const { connector, connections } = setUp({ check: async () => answers.shift()?.() });
    const use = (): Promise<unknown> => connector.use("a", async () => 1, { signal: never });
    await use();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(connections[0]?.disposed).toBe(false);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(connections[0]?.disposed).toBe(true);
    await vi.advanceTimersByTimeAsync(500);
    await use();
    await vi.advanceTimersByTimeAsync(39_999);
    expect(connections[1]?.disposed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(connections[1]?.disposed).toBe(true);
    await connector[Symbol.asyncDispose]();
  });

  test("notices one that ends by itself, and dials again when it is wanted", async () => {
    const { connector, connections, events } = setUp({ ended: (connection) => connection.ended });
    await connector.send("a", "1");
    connections[0]?.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(connector.stats().connections).toEqual({ dialling: 0, open: 0, closing: 0 });
    expect(events.at(-1)).toEqual({ type: "peer-closed", peer: "a", reason: "ended" });
    const second = connector.send("a", "2");
    await vi.advanceTimersByTimeAsync(500);
    expect(await second).toEqual({ kind: "delivered" });
    await connector[Symbol.asyncDispose]();
  });

  test("gives a dial ten seconds, and closes a connection that still comes", async () => {
    let finish: (late: FakeConnection) => void = () => {};
    const dial = (): Promise<FakeConnection> =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const { connector, events } = setUp({ dial, options: { messageTtlMs: 9_000 } });
    const outcome = connector.send("a", "1");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await outcome).toEqual({ kind: "expired" });
    expect(events[0]).toMatchObject({ type: "peer-dial-failed", error: { code: "timed-out" } });
    const late = new FakeConnection();
    finish(late);
    await vi.advanceTimersByTimeAsync(0);
    expect(late.disposed).toBe(true);
    await connector[Symbol.asyncDispose]();
  });

  test("does not wait for a connection that does not close, nor mind one that fails to", async () => {
    const { connector, connections } = setUp({ options: { maxConnections: 1 } });
    await connector.send("a", "1");
    const [first] = connections;
    if (first !== undefined) first[Symbol.asyncDispose] = () => new Promise(() => {});
    const second = connector.send("b", "2");
    await vi.advanceTimersByTimeAsync(4_999);
    expect(connections).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await second).toEqual({ kind: "delivered" });
    const [, other] = connections;
    if (other !== undefined) other[Symbol.asyncDispose] = down;
    await connector[Symbol.asyncDispose]();
    expect(connector.stats().connections).toEqual({ dialling: 0, open: 0, closing: 0 });
  });
});

test("a disposed connector refuses what waits and what comes, breaks off dials, and leaves no timer behind", async () => {
  const { connector } = setUp({ dial: (_, { signal }) => aborted(signal).then(down) });
  const waiting = connector.send("a", "1");
  const using = connector.use("b", async () => 1, { signal: never });
  const disposing = connector[Symbol.asyncDispose]();
  expect(await waiting).toEqual({ kind: "refused", reason: "stopped" });
  await expect(using).rejects.toMatchObject({ code: "closed" });
  await disposing;
  expect(await connector.send("a", "2")).toEqual({ kind: "refused", reason: "stopped" });
  expect(vi.getTimerCount()).toBe(0);
});
