import { dialect, type SetupConnection } from "@adit/codec";
import { describe, expect, test, vi } from "vitest";
import type { ByteStream, Listener, Transport } from "./byte-stream.ts";
import { dialSv2 } from "./dial-sv2.ts";
import { NetworkError } from "./errors.ts";
import { memory } from "./memory/index.ts";
import { secureInitiator } from "./secure.ts";
import { type ListenEvent, type ServeOptions, type Sv2Listeners, serveSv2 } from "./serve-sv2.ts";
import { defaultListenLimits, type ListenLimits } from "./source-limits.ts";
import type { Sv2Connection } from "./sv2-connection.ts";
import { tcp } from "./tcp/index.ts";
import { noiseClient, noiseServer, testClient, testServer } from "./testing/parties.ts";

const { signal } = new AbortController();
const lenient: ListenLimits = {
  ...defaultListenLimits,
  maxPendingPerSource: 1000,
  newPerSourceBurst: 10_000,
  maxPerSource: 1000,
};

describe("serving", () => {
  test("serves both transports with one handler and one status", async () => {
    const inMemory = memory();
    const security = noiseServer();
    await using served = await serve({
      listeners: [
        { transport: tcp(), address: "127.0.0.1:0", security },
        { transport: inMemory, address: "here", security },
      ],
    });
    const [overTcp, overMemory] = served.listeners.status();
    expect(overTcp).toMatchObject({ transport: "tcp", state: "listening", error: null, endpointId: null });
    expect(overTcp?.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    expect(overMemory).toMatchObject({ transport: "memory", state: "listening", address: "here" });
    const clients = await Promise.all([connect(tcp(), overTcp?.address ?? ""), connect(inMemory, "here")]);
    await Promise.all(clients.map(echoOnce));
    expect(
      served.listeners
        .connections()
        .map((connection) => connection.transport)
        .toSorted(),
    ).toEqual(["memory", "tcp"]);
    expect(served.listeners.counts).toMatchObject({ open: 2, pending: 0, accepted: 2, failed: 0 });
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    await vi.waitFor(() => expect(served.listeners.counts.open).toBe(0), 5000);
    expect(served.events.map((event) => event.type).filter((type) => type.startsWith("connection"))).toEqual([
      "connection-opened",
      "connection-opened",
      "connection-closed",
      "connection-closed",
    ]);
  });

  test("goes on with one transport when the other fails to start, tries again, and reports both", async () => {
    const inMemory = memory();
    const flaky = failing(inMemory, 1);
    await using served = await serve({
      listeners: [
        { transport: flaky, address: "flaky", security: "plain" },
        { transport: inMemory, address: "steady", security: "plain" },
      ],
    });
    expect(served.listeners.status().map(({ state }) => state)).toEqual(["failed", "listening"]);
    expect(served.listeners.status()[0]?.error).toMatch(/not today/);
    await using client = await connect(inMemory, "steady", { plain: true });
    await echoOnce(client);
    await vi.waitFor(
      () => expect(served.listeners.status()[0]).toMatchObject({ state: "listening", error: null }),
      5000,
    );
    const types = served.events.filter((event) => event.type.startsWith("listener")).map((event) => event.type);
    expect(types.toSorted()).toEqual(["listener-failed", "listener-up", "listener-up"]);
    await using late = await connect(inMemory, "flaky", { plain: true });
    await echoOnce(late);
  });

  test("starts a listener again that dies while the other and its connections live on", async () => {
    const inMemory = memory();
    const mortal = mortalListeners(inMemory);
    await using served = await serve({
      listeners: [
        { transport: mortal.transport, address: "mortal", security: "plain" },
        { transport: inMemory, address: "steady", security: "plain" },
      ],
    });
    await using old = await connect(inMemory, "mortal", { plain: true });
    await echoOnce(old);
    await mortal.kill();
    await vi.waitFor(() => expect(served.events.map((event) => event.type)).toContain("listener-failed"), 5000);
    await using steady = await connect(inMemory, "steady", { plain: true });
    await echoOnce(steady);
    await vi.waitFor(() => expect(served.listeners.status()[0]?.state).toBe("listening"), 5000);
    await using again = await connect(inMemory, "mortal", { plain: true });
    await echoOnce(again);
    expect(served.listeners.connections()).toHaveLength(3);
  });

  test("rejects when no listener comes up, with the first reason", async () => {
    await using taken = await tcp().listen("127.0.0.1:0", { signal });
    const starting = serve({ listeners: [{ transport: tcp(), address: taken.address, security: "plain" }] });
    await expect(starting).rejects.toMatchObject({ code: "node-initialisation" });
  });

  test("stops accepting when its signal aborts, and keeps connections until it is disposed", async () => {
    const inMemory = memory();
    const controller = new AbortController();
    const served = await serve({
      listeners: [{ transport: inMemory, address: "here", security: "plain" }],
      signal: controller.signal,
    });
    const client = await connect(inMemory, "here", { plain: true });
    controller.abort();
    await vi.waitFor(() => expect(served.listeners.status()[0]?.state).toBe("closed"), 5000);
    await expect(connect(inMemory, "here", { plain: true })).rejects.toMatchObject({ code: "connection-failed" });
    await echoOnce(client);
    const rest = drained(client);
    await Promise.all([served[Symbol.asyncDispose](), rest.then(() => client[Symbol.asyncDispose]())]);
    expect(served.listeners.counts.open).toBe(0);
    expect(served.events.at(-1)).toMatchObject({ type: "connection-closed", error: null });
  });

  test("breaks the connection whose handler throws, and no other", async () => {
    const inMemory = memory();
    await using served = await serve({
      listeners: [{ transport: inMemory, address: "here", security: "plain" }],
      handler: async (connection) => {
        if (connection.setup.deviceId === "bad") throw new Error("the handler broke");
        await echoAll(connection);
      },
    });
    await using good = await connect(inMemory, "here", { plain: true });
    await using bad = await connect(inMemory, "here", { plain: true, deviceId: "bad" });
    await expect(drained(bad)).rejects.toBeInstanceOf(NetworkError);
    await echoOnce(good);
    const closed = served.events.find((event) => event.type === "connection-closed");
    expect(closed).toMatchObject({ error: { message: "the handler broke" } });
  });
});

describe("hostile peers", () => {
  test("that are silent or trickle bytes are cut off at their deadlines, while others are served", async () => {
    const transport = tcp();
    await using served = await serve({
      listeners: [{ transport, address: "127.0.0.1:0", security: noiseServer() }],
      limits: { ...lenient, firstByteTimeoutMs: 1000, handshakeTimeoutMs: 2000, setupTimeoutMs: 2000 },
    });
    const address = served.listeners.status()[0]?.address ?? "";
    const silent = await Promise.all(
      [0, 1, 63, 64].map((bytes) => dialAndSay(transport, address, new Uint8Array(bytes))),
    );
    const handshaken = await transport.dial(address, { signal });
    await secureInitiator(handshaken, noiseClient(), { signal });
    await using client = await connect(transport, address);
    await echoOnce(client);
    await Promise.all(silent.map(async (stream) => expect(await endOf(stream)).toMatch(/end|closed/)));
    await vi.waitFor(() => expect(served.listeners.counts).toMatchObject({ open: 1, pending: 0, failed: 5 }), 10_000);
    const codes = served.events.map((event) =>
      event.type === "handshake-failed" ? (event.error as NetworkError).code : "",
    );
    expect(codes.filter((code) => code !== "")).toEqual(Array.from({ length: 5 }, () => "timed-out"));
    await echoOnce(client);
  });

  test("that speak something else are cut off, and the log says what it was", async () => {
    const transport = tcp();
    await using served = await serve({
      listeners: [{ transport, address: "127.0.0.1:0", security: noiseServer() }],
      limits: { ...lenient, handshakeTimeoutMs: 300, setupTimeoutMs: 300 },
    });
    const address = served.listeners.status()[0]?.address ?? "";
    const texts = [
      "GET / HTTP/1.0\r\n\r\n",
      '{"id":1,"method":"mining.subscribe","params":[]}\n',
      "\x16\x03\x01\x02\x00\x01",
    ];
    for (const text of texts) await endOf(dialAndSay(transport, address, new TextEncoder().encode(text)));
    await vi.waitFor(() => expect(served.listeners.counts.failed).toBe(3), 5000);
    const failures = served.events.filter((event) => event.type === "handshake-failed");
    expect(failures.map(({ error }) => /seems to speak (\w+)/.exec(error.message)?.[1])).toEqual([
      "HTTP",
      "Stratum",
      "TLS",
    ]);
  });

  test("that send a frame after SetupConnection.Error, a hundred times, leave the listener accepting", async () => {
    const transport = tcp();
    await using served = await serve({
      listeners: [{ transport, address: "127.0.0.1:0", security: "plain" }],
    });
    const address = served.listeners.status()[0]?.address ?? "";
    const setup: SetupConnection = { ...blankSetup, protocol: 9 };
    const twice = Buffer.concat([dialect("mining").encode(setup), dialect("mining").encode(setup)]);
    for (let round = 0; round < 100; round++) {
      const stream = await dialAndSay(transport, address, twice);
      await endOf(stream);
      await stream[Symbol.asyncDispose]();
    }
    await vi.waitFor(() => expect(served.listeners.counts).toMatchObject({ open: 0, failed: 100 }), 5000);
    await using client = await connect(transport, address, { plain: true });
    await echoOnce(client);
  });

  test("that come too many or too fast are refused by name, and the connected stay", async () => {
    const transport = tcp();
    await using served = await serve({
      listeners: [{ transport, address: "127.0.0.1:0", security: "plain" }],
      limits: { ...defaultListenLimits, maxPerSource: 2, newPerSourceBurst: 4, newPerSourcePerSec: 0.001 },
    });
    const address = served.listeners.status()[0]?.address ?? "";
    const first = await connect(transport, address, { plain: true });
    await using second = await connect(transport, address, { plain: true });
    expect(await endOf(dialAndSay(transport, address, new Uint8Array(1)))).toMatch(/end|closed/);
    await first[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(served.listeners.counts.open).toBe(1), 5000);
    for (let index = 0; index < 2; index++) {
      const passing = await connect(transport, address, { plain: true });
      await passing[Symbol.asyncDispose]();
      await vi.waitFor(() => expect(served.listeners.counts.open).toBe(1), 5000);
    }
    expect(await endOf(dialAndSay(transport, address, new Uint8Array(1)))).toMatch(/end|closed/);
    expect(served.listeners.counts.refused).toMatchObject({ "max-per-source": 1, "new-per-source": 1 });
    await echoOnce(second);
  });
});

const blankSetup: SetupConnection = {
  name: "SetupConnection",
  protocol: 0,
  minVersion: 2,
  maxVersion: 2,
  flags: 0,
  endpointHost: "",
  endpointPort: 0,
  vendor: "",
  hardwareVersion: "",
  firmware: "",
  deviceId: "",
};

interface Served extends AsyncDisposable {
  readonly listeners: Sv2Listeners;
  readonly events: readonly ListenEvent[];
}

async function serve(
  options: Partial<ServeOptions<"mining">> & Pick<ServeOptions<"mining">, "listeners">,
): Promise<Served> {
  const events: ListenEvent[] = [];
  const listeners = await serveSv2({
    server: testServer,
    limits: lenient,
    handler: echoAll,
    onEvent: (event) => events.push(event),
    signal,
    ...options,
  });
  return { listeners, events, [Symbol.asyncDispose]: () => listeners[Symbol.asyncDispose]() };
}

async function connect(
  transport: Transport,
  address: string,
  options: { readonly plain?: boolean; readonly deviceId?: string } = {},
): Promise<Sv2Connection<"mining">> {
  const security = options.plain === true ? "plain" : noiseClient();
  const stream = await transport.dial(address, { signal });
  return dialSv2(stream, { ...testClient, deviceId: options.deviceId ?? "" }, { security, signal, deadlineMs: 5000 });
}

const reading = new WeakMap<Sv2Connection<"mining">, AsyncIterator<unknown>>();

/** Asks for an update of channel 7 and waits until the server's echo says so. */
async function echoOnce(client: Sv2Connection<"mining">): Promise<void> {
  await client.write({
    name: "UpdateChannel",
    channelId: 7,
    nominalHashRate: 1,
    maximumTarget: new Uint8Array(32),
  } as never);
  const messages = reading.get(client) ?? client.messages[Symbol.asyncIterator]();
  reading.set(client, messages);
  expect((await messages.next()).value).toMatchObject({ message: { name: "UpdateChannelError", channelId: 7 } });
}

async function drained(client: Sv2Connection<"mining">): Promise<void> {
  const messages = reading.get(client) ?? client.messages[Symbol.asyncIterator]();
  while ((await messages.next()).done !== true);
}

async function echoAll(connection: Sv2Connection<"mining">): Promise<void> {
  for await (const { message } of connection.messages) {
    if (message.name !== "UpdateChannel") continue;
    await connection.write({ name: "UpdateChannelError", channelId: message.channelId, errorCode: "echo" });
  }
}

async function dialAndSay(transport: Transport, address: string, bytes: Uint8Array): Promise<ByteStream> {
  const stream = await transport.dial(address, { signal });
  await stream.write(bytes);
  return stream;
}

/** How the stream ends, if not its dialling: "end", or the code of its error. */
async function endOf(stream: ByteStream | Promise<ByteStream>): Promise<string> {
  try {
    for await (const _ of (await stream).source);
    return "end";
  } catch (error) {
    return error instanceof NetworkError ? error.code : String(error);
  }
}

/** The transport, failing to listen the first `times` times. */
function failing(transport: Transport, times: number): Transport {
  let left = times;
  return {
    ...transport,
    listen: async (address, options) => {
      if (left-- > 0)
        throw new NetworkError("node-initialisation", { peer: address, message: `${address}: not today` });
      return transport.listen(address, options);
    },
  };
}

/** The transport, with a way to end its listeners from below. */
function mortalListeners(transport: Transport): { readonly transport: Transport; kill: () => Promise<void> } {
  const listeners: Listener[] = [];
  return {
    transport: {
      ...transport,
      listen: async (address, options) => {
        const listener = await transport.listen(address, options);
        listeners.push(listener);
        return listener;
      },
    },
    kill: async () => {
      await listeners.pop()?.[Symbol.asyncDispose]();
    },
  };
}
