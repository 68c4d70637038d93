import { describe, expect, expectTypeOf, test, vi } from "vitest";
import type { ByteStream, Listener, Transport } from "../byte-stream.ts";
import type { IrohNodeManager } from "../iroh/iroh-node-manager.ts";
import { loopbackNode } from "../iroh/testing/loopback.ts";
import { testRelay } from "../iroh/testing/relay.ts";
import { memory } from "../memory/index.ts";
import { tcp } from "../tcp/index.ts";
import { clientOf } from "./caller.ts";
import { defaultRpcLimits, type RpcLimits } from "./limits.ts";
import { RpcConnection } from "./rpc-connection.ts";
import { RpcServer, type RpcServerEvent } from "./rpc-server.ts";
import type { Handlers } from "./service.ts";
import { implement, ServiceTable } from "./service-table.ts";
import { testService, testServices } from "./testing/services.ts";

const never = new AbortController().signal;
const now = { signal: never };

interface Ends extends AsyncDisposable {
  readonly dialer: Transport;
  readonly listener: Transport;
  readonly address: string;
}

const ends: Readonly<Record<string, () => Promise<Ends>>> = {
  memory: async () => {
    const transport = memory();
    return { dialer: transport, listener: transport, address: "", [Symbol.asyncDispose]: async () => undefined };
  },
  tcp: async () => ({
    dialer: tcp(),
    listener: tcp(),
    address: "127.0.0.1:0",
    [Symbol.asyncDispose]: async () => undefined,
  }),
  iroh: async () => {
    const [server, client] = await Promise.all([loopbackNode(), loopbackNode()]);
    return {
      dialer: client.transport("adit-rpc/1"),
      listener: server.transport("adit-rpc/1"),
      address: "",
      [Symbol.asyncDispose]: async () => {
        await Promise.all([server[Symbol.asyncDispose](), client[Symbol.asyncDispose]()]);
      },
    };
  },
};

/** A server, and a way to connect to it. */
class Scene implements AsyncDisposable {
  readonly services = testServices();
  readonly events: RpcServerEvent[] = [];
  readonly server: RpcServer;
  readonly #ends: Ends;
  readonly #listener: Listener;
  readonly #accepting: Promise<void>;

  private constructor(
    ends: Ends,
    listener: Listener,
    options: { limits?: Partial<RpcLimits>; maxConnections?: number },
  ) {
    this.server = new RpcServer({
      services: this.services.table,
      limits: { ...defaultRpcLimits, ...options.limits },
      maxConnections: options.maxConnections ?? 4,
      admits: () => true,
      onEvent: (event) => this.events.push(event),
    });
    this.#ends = ends;
    this.#listener = listener;
    this.#accepting = this.server.accept(listener);
  }

  static async open(
    over: string,
    options: { limits?: Partial<RpcLimits>; maxConnections?: number } = {},
  ): Promise<Scene> {
    const made = await ends[over]!();
    return new Scene(made, await made.listener.listen(made.address, { signal: never }), options);
  }

  async dial(): Promise<ByteStream> {
    return await this.#ends.dialer.dial(this.#listener.address, { signal: never });
  }

  async connect(limits: Partial<RpcLimits> = {}): Promise<RpcConnection> {
    return new RpcConnection(await this.dial(), { ...defaultRpcLimits, ...limits });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]();
    await this.#accepting;
    await this.server[Symbol.asyncDispose]();
    await this.#ends[Symbol.asyncDispose]();
  }
}

async function take<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

describe.each(["memory", "tcp", "iroh"])("RPC over %s", (over) => {
  test("answers many calls at once on one connection, each with its own answer", async () => {
    await using scene = await Scene.open(over);
    await using connection = await scene.connect();
    const { add } = clientOf(testService, connection);
    const sums = await Promise.all(
      Array.from({ length: 60 }, (_, n) => add({ a: n, b: 1000 }, { signal: new AbortController().signal })),
    );
    expect(sums).toEqual(Array.from({ length: 60 }, (_, n) => n + 1000));
    expect(connection.info().transport).toBe(over);
    expect(scene.services.reports).toHaveLength(60);
    expect(scene.services.reports[0]).toMatchObject({ service: "test", method: "add", transport: over, result: "ok" });
  });

  test("carries a payload of many pieces both ways, in any script", async () => {
    await using scene = await Scene.open(over);
    await using connection = await scene.connect();
    const text = "Ωλ🜚 ".repeat(20_000);
    expect(await clientOf(testService, connection).echo(text, now)).toBe(text);
  });

  test("streams every item in order, and ends", async () => {
    await using scene = await Scene.open(over);
    await using connection = await scene.connect();
    const items = await take(clientOf(testService, connection).count({ to: 500 }, now), Number.POSITIVE_INFINITY);
    expect(items.map(({ n }) => n)).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  test("holds a stream back whose reader does not read, while calls go on beside it", async () => {
    await using scene = await Scene.open(over);
    await using connection = await scene.connect();
    const client = clientOf(testService, connection);
    const reader = client.count({ to: 1000, filler: 1000 }, now)[Symbol.asyncIterator]();
    expect((await reader.next()).value).toMatchObject({ n: 0 });
    await vi.waitFor(() => expect(scene.services.counted).toBeGreaterThan(50));
    expect(await client.add({ a: 1, b: 2 }, now)).toBe(3);
    const held = scene.services.counted;
    expect(await client.add({ a: 1, b: 2 }, now)).toBe(3);
    expect(scene.services.counted).toBe(held);
    expect(held * 1000).toBeLessThan(2 * defaultRpcLimits.window);
    for (let n = 1; n < 1000; n += 1) expect((await reader.next()).value).toMatchObject({ n });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test("tells the handler when its caller leaves a stream, cancels a call, or lets its deadline pass", async () => {
    await using scene = await Scene.open(over);
    await using connection = await scene.connect();
    const client = clientOf(testService, connection);
    expect(await take(client.wait(null, now), 1)).toEqual([null]);
    await vi.waitFor(() => expect(scene.services.aborts).toMatchObject([{ code: "cancelled" }]));
    const stop = new AbortController();
    const cancelled = client.hang(null, { signal: stop.signal });
    stop.abort();
    await expect(cancelled).rejects.toMatchObject({ name: "RpcError", code: "cancelled" });
    await vi.waitFor(() => expect(scene.services.aborts).toHaveLength(2));
    const late = client.hang(null, { signal: never, deadlineMs: 30 });
    await expect(late).rejects.toMatchObject({ code: "deadline-exceeded" });
    await vi.waitFor(() => expect(scene.services.aborts).toHaveLength(3));
    expect(scene.services.reports.map(({ result }) => result).slice(0, 2)).toEqual(["cancelled", "cancelled"]);
    expect(scene.services.reports[2]?.result).toMatch(/deadline-exceeded|cancelled/);
  });

  test("says goodbye when the server stops: streams end, the connection closes, nothing is left", async () => {
    await using scene = await Scene.open(over);
    const connection = await scene.connect();
    const client = clientOf(testService, connection);
    const reader = client.wait(null, now)[Symbol.asyncIterator]();
    await reader.next();
    await scene.server[Symbol.asyncDispose]();
    await expect(reader.next()).rejects.toMatchObject({ code: "going-away" });
    expect(await connection.closed).toBeNull();
    await expect(client.add({ a: 1, b: 1 }, now)).rejects.toMatchObject({ code: "connection-lost" });
    expect(scene.events.map(({ type }) => type)).toEqual(["connected", "disconnected"]);
    expect(scene.server.connections).toBe(0);
  });

  test("tells handlers when the connection breaks, and callers why", async () => {
    await using scene = await Scene.open(over);
    const stream = await scene.dial();
    const connection = new RpcConnection(stream);
    const hanging = clientOf(testService, connection).hang(null, now);
    await vi.waitFor(() => expect(scene.server.connections).toBe(1));
    const { add } = clientOf(testService, connection);
    expect(await add({ a: 1, b: 1 }, now)).toBe(2);
    stream.abort(new Error("pulled the plug"));
    await expect(hanging).rejects.toMatchObject({ code: "connection-lost" });
    await vi.waitFor(() => expect(scene.services.aborts).toMatchObject([{ code: "connection-lost" }]));
    await vi.waitFor(() => expect(scene.server.connections).toBe(0));
  });
});

test("clients and handlers have the types of the declaration", () => {
  const caller = { call: async () => null, stream: async function* () {} };
  const client = clientOf(testService, caller);
  expectTypeOf(client.add).parameter(0).toEqualTypeOf<{ a: number; b: number }>();
  expectTypeOf(client.add).returns.resolves.toEqualTypeOf<number>();
  expectTypeOf(client.count).parameter(0).toEqualTypeOf<{ to: number; filler?: number | undefined }>();
  expectTypeOf(client.count).returns.toEqualTypeOf<AsyncIterable<{ n: number; filler: string }>>();
  expectTypeOf<Handlers<typeof testService.methods>["count"]>()
    .parameter(0)
    .toEqualTypeOf<{ to: number; filler: number }>();
  // @ts-expect-error the declaration has more methods
  expect(() => new ServiceTable([implement(testService, { echo: (text) => text })], () => undefined)).toThrow(
    "test.add has no handler",
  );
});

describe("a call that fails", () => {
  test("says why, with the handler's own code, and with no secret of the server", async () => {
    await using scene = await Scene.open("memory");
    await using connection = await scene.connect();
    const client = clientOf(testService, connection);
    await expect(client.refuse(null, now)).rejects.toMatchObject({
      code: "not-supported",
      message: "there is nothing behind it",
    });
    const failing = client.fail(null, now);
    await expect(failing).rejects.toMatchObject({ code: "internal" });
    await expect(failing).rejects.not.toThrow("secret");
    expect(scene.services.reports.at(-1)).toMatchObject({
      result: "internal",
      cause: new Error("a secret of the server"),
    });
    await expect(client.lie(null, now)).rejects.toMatchObject({ code: "internal" });
  });

  test("with an input of another form is refused on both sides", async () => {
    await using scene = await Scene.open("memory");
    await using connection = await scene.connect();
    await expect(clientOf(testService, connection).add({ a: 1 } as never, now)).rejects.toMatchObject({
      code: "invalid-input",
      message: expect.stringContaining("test.add: b:") as string,
    });
    const raw = connection.call({ service: "test", method: "add" }, { a: 1 }, now);
    await expect(raw).rejects.toMatchObject({ code: "invalid-input" });
    const items = connection.stream({ service: "test", method: "count" }, {}, now);
    await expect(items.next()).rejects.toMatchObject({ code: "invalid-input" });
  });

  test("of another service, method or kind is refused", async () => {
    await using scene = await Scene.open("memory");
    await using connection = await scene.connect();
    for (const name of [
      { service: "toString", method: "constructor" },
      { service: "test", method: "none" },
      { service: "", method: "add" },
    ]) {
      if (name.service === "") continue;
      await expect(connection.call(name, null, now)).rejects.toMatchObject({ code: "not-found" });
    }
  });

  test("with an answer of another form says so", async () => {
    await using scene = await Scene.open("memory");
    await using connection = await scene.connect();
    const { echo } = clientOf(testService, {
      call: async () => 5,
      stream: (name, input, options) => connection.stream(name, input, options),
    });
    await expect(echo("", now)).rejects.toMatchObject({ code: "invalid-answer" });
  });

  test("because too many are under way leaves the others alone, on either side's count", async () => {
    await using scene = await Scene.open("memory", { limits: { maxCalls: 2 } });
    await using connection = await scene.connect();
    const client = clientOf(testService, connection);
    const stop = new AbortController();
    const hanging = [client.hang(null, { signal: stop.signal }), client.hang(null, { signal: stop.signal })];
    await expect(client.add({ a: 1, b: 1 }, now)).rejects.toMatchObject({ code: "too-many-calls" });
    stop.abort();
    for (const one of hanging) await expect(one).rejects.toMatchObject({ code: "cancelled" });
    await vi.waitFor(async () => expect(await client.add({ a: 1, b: 1 }, now)).toBe(2));
  });

  test("when its signal has aborted before it began is cancelled", async () => {
    await using scene = await Scene.open("memory");
    await using connection = await scene.connect();
    const call = clientOf(testService, connection).add({ a: 1, b: 1 }, { signal: AbortSignal.abort() });
    await expect(call).rejects.toMatchObject({ code: "cancelled" });
  });
});

describe("an RPC server", () => {
  test("is reached by its endpoint id through a relay, by whom it allows and its node does not", async () => {
    await using relay = await testRelay();
    const options = { relay: [{ url: relay.url }] };
    await using caller = await loopbackNode(options);
    await using stranger = await loopbackNode(options);
    await using node = await loopbackNode({ ...options, allowedPeers: [stranger.endpointId] });
    const transport = node.transportFor("adit-rpc/1", new Set([caller.endpointId]));
    await using listener = await transport.listen("", { signal: never });
    await using server = new RpcServer({
      services: testServices().table,
      maxConnections: 4,
      admits: () => true,
      onEvent: () => undefined,
    });
    const accepting = server.accept(listener);
    await node.online({ signal: AbortSignal.timeout(10_000) });
    const address = `${node.endpointId}?relay=${relay.url}`;
    const dial = (from: IrohNodeManager) => from.transport("adit-rpc/1").dial(address, { signal: never });
    await using connection = new RpcConnection(await dial(caller));
    expect(await clientOf(testService, connection).add({ a: 1, b: 2 }, now)).toBe(3);
    expect(relay.forwarded()).toBeGreaterThan(0);
    const turnedAway = (async () => {
      await using other = new RpcConnection(await dial(stranger));
      return await clientOf(testService, other).add({ a: 1, b: 2 }, now);
    })();
    await expect(turnedAway).rejects.toThrow(/not-allowed/);
    await listener[Symbol.asyncDispose]();
    await accepting;
  });

  test("refuses connections beyond its limit, and whom it does not admit", async () => {
    await using scene = await Scene.open("memory", { maxConnections: 1 });
    await using first = await scene.connect();
    expect(await clientOf(testService, first).add({ a: 1, b: 1 }, now)).toBe(2);
    const second = await scene.connect();
    await expect(clientOf(testService, second).add({ a: 1, b: 1 }, now)).rejects.toMatchObject({
      code: "connection-lost",
    });
    expect(scene.events).toContainEqual(expect.objectContaining({ type: "refused", reason: "max-connections" }));
  });
});
