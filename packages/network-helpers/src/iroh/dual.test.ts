import { encodeHeader, type Frame } from "@adit/codec";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ByteStream, Listener } from "../byte-stream.ts";
import { gated } from "../dual/testing/dual-pair.ts";
import { miningClient, miningServer, type Sender } from "../dual/testing/histories.ts";
import { numbersOf } from "../dual/testing/interleave.ts";
import { difference, type Event } from "../dual/testing/meaning.ts";
import type { FrameConnection } from "../frame-connection.ts";
import { type ClientSecurity, type ServerSecurity, secureInitiator, secureResponder } from "../secure.ts";
import { noiseClient, noiseServer } from "../testing/parties.ts";
import { loadIroh } from "./binding.ts";
import type { IrohNodeManager } from "./iroh-node-manager.ts";
import { exposedGc } from "./testing/gc.ts";
import { linkedNodes } from "./testing/linked.ts";
import { loopbackNode } from "./testing/loopback.ts";
import { rawEndpoint } from "./testing/raw.ts";
import { clearLink, randomFrom } from "./testing/udp-link.ts";

const never = { signal: new AbortController().signal };
const noise = { client: noiseClient(), server: noiseServer() };
const dual = { alpn: "test/dual", dial: true, onFallback: () => undefined };

interface Parties {
  readonly client: IrohNodeManager;
  readonly server: IrohNodeManager;
  readonly address?: string;
}

interface Security {
  readonly client: ClientSecurity;
  readonly server: ServerSecurity;
}

/** A connection with two streams between two nodes; `wrap` may stand between the server and its stream. */
async function connected(
  { client, server, address }: Parties,
  security: Security = { client: "plain", server: "plain" },
  wrap: (stream: ByteStream) => ByteStream = (stream) => stream,
): Promise<readonly [FrameConnection, FrameConnection, Listener]> {
  const listener = await server.transport("test", dual).listen("", never);
  const accepting = listener.streams[Symbol.asyncIterator]()
    .next()
    .then((next) => secureResponder(wrap((next as { value: ByteStream }).value), security.server, never));
  const stream = await client.transport("test", dual).dial(address ?? listener.address, never);
  const [here, there] = await Promise.all([secureInitiator(stream, security.client, never), accepting]);
  there.reader.setMaxPayload(1 << 20);
  return [here, there, listener];
}

async function nodes(): Promise<Parties & AsyncDisposable> {
  const [client, server] = await Promise.all([loopbackNode(), loopbackNode()]);
  const dispose = (): Promise<unknown> => Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
  return { client, server, [Symbol.asyncDispose]: async () => void (await dispose()) };
}

/** A frame of a message of that name, with a number and some bytes in its payload. */
function frame(name: string, number: number, size = 40): Uint8Array {
  const bytes = new Uint8Array(6 + size);
  bytes.set(encodeHeader({ ...numbersOf(name), channelMsg: false, length: size }));
  new DataView(bytes.buffer).setUint32(6, number, true);
  return bytes;
}

/** The numbers of the next `count` frames, or of all until the end. */
async function numbers({ reader }: FrameConnection, count = Infinity): Promise<readonly number[]> {
  const got: number[] = [];
  const frames: AsyncIterator<Frame> = reader.frames[Symbol.asyncIterator]();
  while (got.length < count) {
    const next = await frames.next();
    if (next.done === true) break;
    got.push(Buffer.from(next.value.payload).readUInt32LE(0));
  }
  return got;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each([
  ["noise", noise],
  ["plain", { client: "plain", server: "plain" }],
] as const)("two Iroh streams with %s", (encryption, security) => {
  test("are one connection to both sides", async () => {
    await using pair = await nodes();
    const [here, there] = await connected(pair, security);
    await Promise.all([
      here.writer.writeAll([frame("CloseChannel", 1), frame("SubmitSharesExtended", 2), frame("CloseChannel", 3)]),
      there.writer.writeAll([frame("NewExtendedMiningJob", 4), frame("SetGroupChannel", 5)]),
    ]);
    expect((await numbers(there, 3)).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
    expect(await numbers(here, 2)).toEqual([4, 5]);
    expect(here.info()).toMatchObject({ transport: "iroh", streams: 2, encryption, framesOut: 3, framesIn: 2 });
    expect(there.info()).toMatchObject({ streams: 2, bytesIn: here.info().bytesOut, bytesOut: here.info().bytesIn });
    expect(pair.server.stats()).toMatchObject({ streams: 1, alpns: ["test", "test/dual"] });
  });

  test("deliver the last words on both before they close, time after time", async () => {
    await using pair = await nodes();
    for (let round = 0; round < 15; round++) {
      const [here, there, listener] = await connected(pair, security);
      const closing = here.writer
        .writeAll([frame("SubmitSharesExtended", 1, 5_000), frame("CloseChannel", 2), frame("UpdateChannel", 3)])
        .then(() => here[Symbol.asyncDispose]());
      expect((await numbers(there)).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
      await Promise.all([closing, there[Symbol.asyncDispose](), listener[Symbol.asyncDispose]()]);
    }
    await vi.waitFor(() => expect(pair.server.stats().streams).toBe(0), 10_000);
  });

  test("are kept from the garbage collector, both of them", async () => {
    const gc = exposedGc();
    await using pair = await nodes();
    const [here, there] = await connected(pair, security);
    for (let round = 0; round < 20; round++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await here.writer.writeAll([frame("SubmitSharesExtended", 1), frame("CloseChannel", 2)]);
    expect(await numbers(there, 2)).toEqual([1, 2]);
    await Promise.all([here[Symbol.asyncDispose](), there[Symbol.asyncDispose]()]);
  });

  test("break together, on both sides", async () => {
    await using pair = await nodes();
    const [here, there] = await connected(pair, security);
    const reason = new Error("enough");
    const [reading, readingThere] = [numbers(here), numbers(there)];
    here.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(readingThere).rejects.toMatchObject({ code: "closed" });
    for (const name of ["CloseChannel", "SubmitSharesExtended"]) {
      await expect(here.writer.write(frame(name, 1))).rejects.toBe(reason);
    }
  });
});

describe("dialling with two streams", () => {
  test("uses one where the peer knows one only, and says so", async () => {
    await using pair = await nodes();
    await using listener = await pair.server.transport("test").listen("", never);
    const onFallback = vi.fn<(address: string) => void>();
    const stream = await pair.client.transport("test", { ...dual, onFallback }).dial(listener.address, never);
    expect(stream.secondStream).toBeUndefined();
    expect(onFallback).toHaveBeenCalledExactlyOnceWith(listener.address);
    stream.abort(new Error("test over"));
  });

  test("leaves those alone who dial with one", async () => {
    await using pair = await nodes();
    await using listener = await pair.server.transport("test", dual).listen("", never);
    const accepting = listener.streams[Symbol.asyncIterator]().next();
    const stream = await pair.client.transport("test", { ...dual, dial: false }).dial(listener.address, never);
    await stream.write(Uint8Array.of(1));
    expect((await accepting).value?.secondStream).toBeUndefined();
  });

  test("fails as any dial does for every other reason", async () => {
    await using pair = await nodes();
    const onFallback = vi.fn<(address: string) => void>();
    const dialling = pair.client.transport("test", { ...dual, onFallback }).dial(pair.server.endpointId, never);
    await expect(dialling).rejects.toMatchObject({ code: "peer-discovery-failed" });
    expect(onFallback).not.toHaveBeenCalled();
  });

  test("is given up when the second stream does not come in time", async () => {
    await using raw = await rawEndpoint();
    await using server = await loopbackNode();
    await using listener = await server.transport("test", dual).listen("", never);
    const { toNative } = await loadIroh();
    const connection = await raw.connect(listener.address, dual.alpn);
    await (await connection.openBi()).send.writeAll(toNative(Uint8Array.of(1)));
    const stream = (await listener.streams[Symbol.asyncIterator]().next()).value!;
    const serving = secureResponder(stream, "plain", { signal: AbortSignal.timeout(50) });
    await expect(serving).rejects.toMatchObject({ code: "timed-out" });
    await vi.waitFor(() => expect(connection.closeReason()).not.toBeNull(), 10_000);
  });
});

describe("the order of two Iroh streams", () => {
  test.each([
    ["a pool's", miningServer, 1],
    ["a client's", miningClient, 2],
  ] as const)("keeps %s messages what they are under loss, delay and reordering", async (_, sender, seed) => {
    const conditions = { loss: 0.05, delayMs: 5, jitterMs: 10 };
    await using pair = await linkedNodes({ conditions: clearLink, seed });
    const [here, there] = await connected(pair, noise);
    pair.link.set(conditions);
    const history = historyOf(sender, 600, seed);
    const writing = sendPaced(here, history);
    const got = (await numbers(there, history.length)).flatMap((number) => history[number] ?? []);
    await writing;
    expect(difference(sender.before, history, got)).toBeUndefined();
    // The streams did overtake each other: frames were held back, and what may move has moved.
    expect(there.info().holds.total).toBeGreaterThan(0);
    expect(got).not.toEqual(history);
    expect(pair.link.counts.dropped).toBeGreaterThan(0);
  });

  test("lets control through to a data stream that is full and waits for it", async () => {
    await using pair = await nodes();
    let open = true;
    let release: () => void = () => undefined;
    const gate = (): Promise<void> => (open ? Promise.resolve() : new Promise((go) => (release = go)));
    const [here, there] = await connected(pair, { client: "plain", server: "plain" }, (stream) => {
      const { secondStream } = stream;
      return Object.assign(gated(stream, gate), { secondStream });
    });
    open = false;
    await here.writer.write(frame("CloseChannel", 0));
    const receiving = numbers(there, 401);
    let written = 0;
    const writing = (async () => {
      for (; written < 400; written++) await here.writer.write(frame("SetTarget", written + 1, 10_000));
    })();
    await vi.waitFor(() => {
      expect(there.info().holds.now).toBe(1);
      expect(here.info().bytesOut).toBeGreaterThan(1_200_000);
    }, 20_000);
    expect(written).toBeLessThan(400);
    open = true;
    release();
    await writing;
    expect(await receiving).toEqual(Array.from({ length: 401 }, (_, index) => index));
    await Promise.all([here[Symbol.asyncDispose](), there[Symbol.asyncDispose]()]);
  });

  test("is kept when one stream is read late, and costs no frame", async () => {
    await using pair = await nodes();
    const random = randomFrom(3);
    const late = async (): Promise<void> => {
      for (let turns = Math.floor(random() * 20); turns > 0; turns--) await new Promise((go) => setImmediate(go));
    };
    const [here, there] = await connected(pair, noise, (stream) => {
      const second = stream.secondStream!;
      return Object.assign(stream, {
        secondStream: async (options: typeof never) => gated(await second(options), late),
      });
    });
    const history = historyOf(miningServer, 600, 9);
    const writing = sendPaced(here, history);
    const got = (await numbers(there, history.length)).flatMap((number) => history[number] ?? []);
    await writing;
    expect(difference(miningServer.before, history, got)).toBeUndefined();
    expect(there.info().holds.total).toBeGreaterThan(0);
  });
});

/** What a sender sends, by chance; few channels close, so that there is always something to send on both streams. */
function historyOf(sender: Sender, length: number, seed: number): readonly Event[] {
  const random = randomFrom(seed);
  const history: Event[] = [];
  while (history.length < length) {
    const possible = sender
      .next([...sender.before, ...history])
      .filter(({ name }) => name !== "Reconnect" && (name !== "CloseChannel" || random() < 0.01));
    history.push(possible[Math.floor(random() * possible.length)]!);
  }
  return history;
}

/** Sends a history in small pieces, so that they travel in datagrams of their own. */
async function sendPaced({ writer }: FrameConnection, history: readonly Event[]): Promise<void> {
  for (const [index, { name }] of history.entries()) {
    await writer.write(frame(name, index));
    if (index % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
