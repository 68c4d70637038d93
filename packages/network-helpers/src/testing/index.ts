import { describe, expect, test, vi } from "vitest";
import type { ByteStream, Listener, Transport } from "../byte-stream.ts";
import { NetworkError } from "../errors.ts";

/** What the suite needs of a transport. Made fresh for every test and disposed after it. */
export interface TransportFixture extends AsyncDisposable {
  /** Opens the streams. May be the same object as `listener`. */
  readonly dialer: Transport;
  /** Accepts the streams. Its limits must let 1,000 streams of one peer through. */
  readonly listener: Transport;
  /** What to listen on, with a port the system chooses. */
  readonly address: string;
  /** A well-formed address nobody listens on. */
  readonly nowhere: string;
  /** An address that swallows packets, so that dialling hangs; left out where there is none. */
  readonly blackHole?: string;
  /** What `info().transport` must say. */
  readonly kind: Transport["kind"];
}

/** Sizes, for transports that are slow. */
export interface TransportSuiteOptions {
  /** Bytes of a large transfer, 4 MiB unless told. */
  readonly bulkBytes?: number;
  /** Streams opened and closed in the leak test, 1,000 unless told. */
  readonly streams?: number;
  /** More bytes than any window between a writer and a reader that does not read; 64 MiB unless told. */
  readonly stallBytes?: number;
}

const never = new AbortController().signal;

/** The contract of ByteStream, Transport and Listener (style rule R.suite). Every transport's tests call it. */
export function transportSuite(
  name: string,
  make: () => Promise<TransportFixture>,
  options: TransportSuiteOptions = {},
): void {
  describe(`${name} keeps the transport contract`, () => {
    deliverySuite(make, options.bulkBytes ?? 4 << 20);
    endingSuite(make);
    backpressureSuite(make, options.stallBytes ?? 64 << 20);
    diallingSuite(make);
    listenerSuite(make, options.streams ?? 1000);
  });
}

function deliverySuite(make: () => Promise<TransportFixture>, bulkBytes: number): void {
  test("delivers everything written before a graceful close", () =>
    withPair(make, async (a, b) => {
      const writing = a.write(pattern(bulkBytes, 1)).then(() => a[Symbol.asyncDispose]());
      const got = await readAll(b);
      await Promise.all([writing, b[Symbol.asyncDispose]()]);
      expect(same(got, pattern(bulkBytes, 1))).toBe(true);
    }));

  test("delivers a last word followed by an immediate close, a hundred times", async () => {
    await using fixture = await make();
    await using listener = await fixture.listener.listen(fixture.address, { signal: never });
    const accepted = listener.streams[Symbol.asyncIterator]();
    for (let round = 0; round < 100; round++) {
      const [a, b] = await connect(fixture, listener, accepted);
      await b.write(Uint8Array.of(round));
      const closing = b[Symbol.asyncDispose]();
      expect([...(await readAll(a))]).toEqual([round]);
      await Promise.all([closing, a[Symbol.asyncDispose]()]);
    }
  });

  test("carries large transfers both ways at once intact", () =>
    withPair(make, async (a, b) => {
      const [fromB, fromA] = await Promise.all([
        readExactly(a, bulkBytes),
        readExactly(b, bulkBytes),
        writeInChunks(a, pattern(bulkBytes, 2)),
        writeInChunks(b, pattern(bulkBytes, 3)),
      ]);
      expect(same(fromA, pattern(bulkBytes, 2))).toBe(true);
      expect(same(fromB, pattern(bulkBytes, 3))).toBe(true);
    }));

  test("keeps the order of writes nobody awaited", () =>
    withPair(make, async (a, b) => {
      const writes = Array.from({ length: 500 }, (_, index) => a.write(Uint8Array.of(index >> 8, index & 255)));
      const got = await readExactly(b, 1000);
      await Promise.all(writes);
      expect(Array.from({ length: 500 }, (_, index) => (got[2 * index]! << 8) | got[2 * index + 1]!)).toEqual(
        Array.from({ length: 500 }, (_, index) => index),
      );
    }));

  test("hands out chunks that are plain Uint8Arrays, never empty", () =>
    withPair(make, async (a, b) => {
      const writing = (async () => {
        await a.write(new Uint8Array(0));
        await a.write(Uint8Array.of(1, 2, 3));
        await a[Symbol.asyncDispose]();
      })();
      for await (const chunk of b.source) {
        expect(Object.getPrototypeOf(chunk)).toBe(Uint8Array.prototype);
        expect(chunk.length).toBeGreaterThan(0);
      }
      await Promise.all([writing, b[Symbol.asyncDispose]()]);
    }));

  test("refuses a second iteration of its source", () =>
    withPair(make, async (a, b) => {
      await a.write(Uint8Array.of(1));
      expect((await readExactly(b, 1)).length).toBe(1);
      await expect((async () => b.source[Symbol.asyncIterator]().next())()).rejects.toThrow();
    }));

  test("reports its transport, its peer, its age and the bytes each way", () =>
    withPair(make, async (a, b, fixture) => {
      const before = Date.now();
      await a.write(pattern(1000, 4));
      await readExactly(b, 1000);
      for (const stream of [a, b]) {
        const info = stream.info();
        expect(info.transport).toBe(fixture.kind);
        expect(info.peer).not.toBe("");
        expect(info.since).toBeLessThanOrEqual(before + 1000);
        expect(info.since).toBeGreaterThan(before - 60_000);
      }
      expect(a.info()).toMatchObject({ bytesIn: 0 });
      expect(b.info()).toMatchObject({ bytesOut: 0 });
      expect(a.info().bytesOut).toBe(1001);
      expect(b.info().bytesIn).toBe(1001);
    }));
}

function endingSuite(make: () => Promise<TransportFixture>): void {
  test("rejects pending reads and writes with the reason of an abort, on both sides with an error", () =>
    withPair(make, async (a, b) => {
      const reason = new Error("enough");
      const readingHere = readAll(a);
      const readingThere = readAll(b);
      a.abort(reason);
      a.abort(new Error("a later reason"));
      await expect(readingHere).rejects.toBe(reason);
      await expect(readingThere).rejects.toBeInstanceOf(NetworkError);
      await expect(a.write(Uint8Array.of(1))).rejects.toBe(reason);
      await expect(writeUntilItFails(b)).rejects.toBeInstanceOf(NetworkError);
    }));

  test("rejects a write that waits for a silent reader when it is aborted", () =>
    withPair(make, async (a) => {
      const reason = new Error("no patience");
      const writing = writeUntilItFails(a);
      await vi.waitFor(() => expect(a.info().bytesOut).toBeGreaterThan(0));
      a.abort(reason);
      await expect(writing).rejects.toBe(reason);
    }));

  test("ends the peer's source and a local pending pull when it is disposed, and refuses later writes", () =>
    withPair(make, async (a, b) => {
      const here = readAll(a);
      const there = readAll(b).then(() => b[Symbol.asyncDispose]());
      await Promise.all([a[Symbol.asyncDispose](), a[Symbol.asyncDispose]()]);
      expect((await here).length).toBe(0);
      await there;
      await expect(a.write(Uint8Array.of(1))).rejects.toMatchObject({ name: "NetworkError", code: "closed" });
    }));

  test("lets a peer that was told goodbye still answer before it closes", () =>
    withPair(make, async (a, b) => {
      const told = (async () => {
        await readAll(b);
        await b.write(pattern(1000, 5)).catch(() => undefined);
        await b[Symbol.asyncDispose]();
      })();
      await a[Symbol.asyncDispose]();
      await expect(told).resolves.toBeUndefined();
    }));

  test("gives up on a graceful close after about two seconds when the peer never reads", () =>
    withPair(make, async (a) => {
      const writing = writeUntilItFails(a);
      writing.catch(() => undefined);
      await vi.waitFor(() => expect(a.info().bytesOut).toBeGreaterThan(0));
      const started = performance.now();
      await a[Symbol.asyncDispose]();
      expect(performance.now() - started).toBeLessThan(4000);
      await expect(writing).rejects.toBeInstanceOf(Error);
    }));
}

function backpressureSuite(make: () => Promise<TransportFixture>, stallBytes: number): void {
  test("slows the writer of a slow reader and nobody else", async () => {
    await using fixture = await make();
    await using listener = await fixture.listener.listen(fixture.address, { signal: never });
    const accepted = listener.streams[Symbol.asyncIterator]();
    const [slowA, slowB] = await connect(fixture, listener, accepted);
    const [quickA, quickB] = await connect(fixture, listener, accepted);
    const echoing = echo(quickB);
    const answers = exactReader(quickA);
    const chunk = pattern(1 << 16, 6);
    let written = 0;
    const writing = (async () => {
      while (written < stallBytes) {
        await slowA.write(chunk);
        written += chunk.length;
      }
    })();
    for (let last = -1; last !== written; ) {
      last = written;
      for (let ping = 0; ping < 50; ping++) {
        await quickA.write(Uint8Array.of(ping));
        expect([...(await answers(1))]).toEqual([ping]);
      }
    }
    expect(written).toBeLessThan(stallBytes);
    const reason = new Error("test over");
    for (const stream of [slowA, slowB]) stream.abort(reason);
    await expect(writing).rejects.toBe(reason);
    await Promise.all([quickA[Symbol.asyncDispose](), echoing]);
  });
}

function diallingSuite(make: () => Promise<TransportFixture>): void {
  test("rejects a dial to nobody with a NetworkError that names the address", async () => {
    await using fixture = await make();
    const error = await fixture.dialer.dial(fixture.nowhere, { signal: AbortSignal.timeout(5000) }).catch(identity);
    expect(error).toBeInstanceOf(NetworkError);
    expect(["connection-failed", "peer-discovery-failed", "timed-out"]).toContain((error as NetworkError).code);
    expect((error as NetworkError).peer).not.toBe("");
  });

  test("rejects a dial whose signal has aborted with closed, and one that timed out with timed-out", async () => {
    await using fixture = await make();
    const stopped = fixture.dialer.dial(fixture.nowhere, { signal: AbortSignal.abort(new Error("stop")) });
    await expect(stopped).rejects.toMatchObject({ name: "NetworkError", code: "closed" });
    const late = fixture.dialer.dial(fixture.nowhere, { signal: AbortSignal.abort(timeoutReason()) });
    await expect(late).rejects.toMatchObject({ name: "NetworkError", code: "timed-out" });
  });

  test("gives up a dial that hangs when its signal aborts", async ({ skip }) => {
    await using fixture = await make();
    if (fixture.blackHole === undefined) {
      skip();
      return;
    }
    const controller = new AbortController();
    const dialling = fixture.dialer.dial(fixture.blackHole, { signal: controller.signal });
    controller.abort(timeoutReason());
    await expect(dialling).rejects.toMatchObject({ name: "NetworkError", code: "timed-out" });
  });

  test("refuses an address it cannot read with invalid-config", async () => {
    await using fixture = await make();
    if (fixture.kind === "memory") return;
    await expect(fixture.dialer.dial("not an address", { signal: never })).rejects.toMatchObject({
      name: "NetworkError",
      code: "invalid-config",
    });
  });
}

function listenerSuite(make: () => Promise<TransportFixture>, streams: number): void {
  test("accepts others while a dialler says nothing", async () => {
    await using fixture = await make();
    await using listener = await fixture.listener.listen(fixture.address, { signal: never });
    const accepted = listener.streams[Symbol.asyncIterator]();
    const silent = await Promise.all(
      [1, 2, 3].map(() => fixture.dialer.dial(listener.address, { signal: AbortSignal.timeout(10_000) })),
    );
    const speaking = await fixture.dialer.dial(listener.address, { signal: AbortSignal.timeout(10_000) });
    const writing = speaking.write(Uint8Array.of(7));
    const seen: ByteStream[] = [];
    const first = await new Promise<number>((resolve, reject) => {
      const accept = async (): Promise<void> => {
        for (let taken = 0; taken < 4; taken++) {
          const next = await accepted.next();
          if (next.done === true) return;
          seen.push(next.value);
          readExactly(next.value, 1).then(
            (bytes) => resolve(bytes[0]!),
            () => undefined,
          );
        }
      };
      accept().catch(reject);
    });
    expect(first).toBe(7);
    await writing;
    for (const stream of [...silent, speaking, ...seen]) stream.abort(new Error("test over"));
  });

  test("stops accepting when disposed and keeps the streams it handed out", async () => {
    await using fixture = await make();
    const listener = await fixture.listener.listen(fixture.address, { signal: never });
    const accepted = listener.streams[Symbol.asyncIterator]();
    const [a, b] = await connect(fixture, listener, accepted);
    const ended = accepted.next();
    await listener[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
    expect((await ended).done).toBe(true);
    await expect(
      fixture.dialer.dial(listener.address, { signal: AbortSignal.timeout(2000) }).then(firstByteOf),
    ).rejects.toBeInstanceOf(NetworkError);
    const echoing = echo(b);
    await a.write(Uint8Array.of(9));
    expect([...(await readExactly(a, 1))]).toEqual([9]);
    await Promise.all([a[Symbol.asyncDispose](), echoing]);
  });

  test("stops listening when its signal aborts", async () => {
    await using fixture = await make();
    const controller = new AbortController();
    await using listener = await fixture.listener.listen(fixture.address, { signal: controller.signal });
    const ended = listener.streams[Symbol.asyncIterator]().next();
    controller.abort();
    expect((await ended).done).toBe(true);
  });

  test("opens and closes many streams without leaking a handle", { timeout: 120_000 }, async () => {
    await using fixture = await make();
    await using listener = await fixture.listener.listen(fixture.address, { signal: never });
    const accepted = listener.streams[Symbol.asyncIterator]();
    const round = async (index: number): Promise<void> => {
      const [a, b] = await connect(fixture, listener, accepted);
      const echoing = echo(b);
      if (index % 4 === 3) {
        a.abort(new Error("every fourth is broken"));
        await echoing.catch(() => undefined);
        return;
      }
      await a.write(Uint8Array.of(1));
      await readExactly(a, 1);
      await Promise.all([a[Symbol.asyncDispose](), echoing]);
    };
    for (let index = 0; index < 4; index++) await round(index);
    const before = process.getActiveResourcesInfo().length;
    for (let index = 0; index < streams; index++) await round(index);
    await vi.waitFor(() => expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before + 2), 10_000);
  });
}

/** Runs `body` with the two ends of one stream, and breaks what is left of it afterwards. */
async function withPair(
  make: () => Promise<TransportFixture>,
  body: (a: ByteStream, b: ByteStream, fixture: TransportFixture) => Promise<void>,
): Promise<void> {
  await using fixture = await make();
  await using listener = await fixture.listener.listen(fixture.address, { signal: never });
  const [a, b] = await connect(fixture, listener, listener.streams[Symbol.asyncIterator]());
  try {
    await body(a, b, fixture);
  } finally {
    for (const stream of [a, b]) stream.abort(new Error("test over"));
  }
}

/**
 * Dials and accepts one stream. The dialler says one byte first, which is read here: some transports (QUIC) do not show
 * a stream to the acceptor before its first byte.
 */
async function connect(
  fixture: TransportFixture,
  listener: Listener,
  accepted: AsyncIterator<ByteStream>,
): Promise<[ByteStream, ByteStream]> {
  const a = await fixture.dialer.dial(listener.address, { signal: AbortSignal.timeout(10_000) });
  await a.write(Uint8Array.of(0x5a));
  const next = await accepted.next();
  if (next.done === true) throw new Error("the listener ended");
  return [a, await withoutFirstByte(next.value)];
}

/** The stream without the byte `connect` wrote; its counters start after that byte too. */
async function withoutFirstByte(stream: ByteStream): Promise<ByteStream> {
  const iterator = stream.source[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true || first.value[0] !== 0x5a) throw new Error("the first byte did not arrive");
  let held: Uint8Array | undefined = first.value.length > 1 ? first.value.subarray(1) : undefined;
  let iterated = false;
  const source: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]() {
      if (iterated) return stream.source[Symbol.asyncIterator]();
      iterated = true;
      return {
        next: async () => {
          if (held === undefined) return iterator.next();
          const value = held;
          held = undefined;
          return { done: false, value };
        },
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
  return {
    peer: stream.peer,
    source,
    write: (bytes) => stream.write(bytes),
    abort: (reason) => stream.abort(reason),
    info: () => stream.info(),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}

async function readAll(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.source) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

/** Reads `length` bytes and no more; the rest of the source is left. Call once a stream. */
function readExactly(stream: ByteStream, length: number): Promise<Uint8Array> {
  return exactReader(stream)(length);
}

function exactReader(stream: ByteStream): (length: number) => Promise<Uint8Array> {
  const iterator = stream.source[Symbol.asyncIterator]();
  let buffered = Buffer.alloc(0);
  return async (length) => {
    const chunks = [buffered];
    let size = buffered.length;
    while (size < length) {
      const next = await iterator.next();
      if (next.done === true) throw new Error(`the stream ended after ${size} of ${length} bytes`);
      chunks.push(Buffer.from(next.value));
      size += next.value.length;
    }
    const all = Buffer.concat(chunks);
    buffered = all.subarray(length);
    return new Uint8Array(all.subarray(0, length));
  };
}

async function firstByteOf(stream: ByteStream): Promise<Uint8Array> {
  await stream.write(Uint8Array.of(1));
  return readExactly(stream, 1).catch((error: unknown) => {
    if (error instanceof NetworkError) throw error;
    throw new NetworkError("closed", { peer: stream.peer, message: "ended without a byte", cause: error });
  });
}

/** Sends back what comes in until the peer ends, then ends. */
async function echo(stream: ByteStream): Promise<void> {
  for await (const chunk of stream.source) await stream.write(chunk);
  await stream[Symbol.asyncDispose]();
}

async function writeInChunks(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += 10_000) await stream.write(bytes.subarray(at, at + 10_000));
}

async function writeUntilItFails(stream: ByteStream): Promise<void> {
  for (;;) await stream.write(new Uint8Array(1 << 16));
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function identity<T>(value: T): T {
  return value;
}

function timeoutReason(): DOMException {
  return new DOMException("too late", "TimeoutError");
}

/** Bytes that differ at every offset a lost or repeated chunk could shift them by. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}
