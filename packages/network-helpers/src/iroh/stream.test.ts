import { expect, test } from "vitest";
import { type Iroh, loadIroh, type NativeBiStream, type NativeConnection } from "./binding.ts";
import { defaultLiveness } from "./liveness.ts";
import { IrohStream } from "./stream.ts";
import { type RawEndpoint, rawEndpoint } from "./testing/raw.ts";
import { readExactly } from "./testing/streams.ts";

/** What a recording stream half saw of the calls made on it. */
interface Calls {
  calls: number;
  inFlight: number;
  mostInFlight: number;
  readonly sizes: number[];
}

/** A real stream whose native reads and writes are counted on their way through. */
function recorded(bi: NativeBiStream): {
  readonly bi: NativeBiStream;
  readonly writes: Calls;
  readonly reads: Calls;
} {
  const fresh = (): Calls => ({ calls: 0, inFlight: 0, mostInFlight: 0, sizes: [] });
  const writes = fresh();
  const reads = fresh();
  const { send, recv } = bi;
  const through = async <T>(record: Calls, size: number, call: () => Promise<T>): Promise<T> => {
    record.calls += 1;
    record.inFlight += 1;
    record.mostInFlight = Math.max(record.mostInFlight, record.inFlight);
    record.sizes.push(size);
    try {
      return await call();
    } finally {
      record.inFlight -= 1;
    }
  };
  return {
    writes,
    reads,
    bi: {
      send: {
        writeAll: (bytes) => through(writes, bytes.length, () => send.writeAll(bytes)),
        finish: () => send.finish(),
        stopped: () => send.stopped(),
      },
      recv: { read: (limit) => through(reads, limit, () => recv.read(limit)) },
    },
  };
}

interface Pair extends AsyncDisposable {
  readonly iroh: Iroh;
  readonly endpoint: RawEndpoint;
  readonly here: NativeConnection;
  readonly there: NativeConnection;
}

async function connected(): Promise<Pair> {
  const iroh = await loadIroh();
  const [endpoint, other] = await Promise.all([rawEndpoint(), rawEndpoint()]);
  other.native.setAlpns([iroh.nativeText("test")]);
  const accepting = other.native.acceptNext().then(async (incoming) => (await incoming!.accept()).connect());
  const here = await endpoint.connect(other.address, "test");
  return {
    iroh,
    endpoint,
    here,
    there: await accepting,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([endpoint[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
    },
  };
}

function streamOver({ iroh, endpoint, here }: Pair, bi: NativeBiStream): IrohStream {
  return new IrohStream({
    iroh,
    parts: { endpoint: endpoint.native, connection: here, bi },
    accepted: false,
    settings: { relay: "disabled", liveness: defaultLiveness, closeTimeoutMs: 2_000, writeStallMs: 30_000 },
    onClosed: () => undefined,
  });
}

test("merges small writes, cuts large ones, and has one native write in flight", async () => {
  await using pair = await connected();
  const { bi, writes } = recorded(await pair.here.openBi());
  const stream = streamOver(pair, bi);
  await Promise.all(Array.from({ length: 2_000 }, () => stream.write(new Uint8Array(40))));
  await stream.write(new Uint8Array(50_000));
  const peer = await pair.there.acceptBi();
  const ending = stream[Symbol.asyncDispose]();
  let got = 0;
  for (let bytes = await peer.recv.read(65_536); bytes.length > 0; bytes = await peer.recv.read(65_536))
    got += bytes.length;
  await ending;
  expect(got).toBe(130_000);
  expect(writes.mostInFlight).toBe(1);
  expect(Math.max(...writes.sizes)).toBe(8_192);
  expect(writes.calls).toBeLessThanOrEqual(20);
});

test("has one native read of 4 KiB pending, however many pulls wait, and none that nobody asked for", async () => {
  await using pair = await connected();
  const { bi, reads } = recorded(await pair.here.openBi());
  const stream = streamOver(pair, bi);
  await stream.write(Uint8Array.of(1));
  const peer = await pair.there.acceptBi();
  expect(reads.calls).toBe(0);
  const source = stream.source[Symbol.asyncIterator]();
  const pulls = [source.next(), source.next(), source.next()];
  for (const byte of [1, 2, 3]) {
    await peer.send.writeAll([byte]);
    expect((await pulls[byte - 1])?.value).toEqual(Uint8Array.of(byte));
  }
  expect(reads).toMatchObject({ calls: 3, mostInFlight: 1, sizes: [4_096, 4_096, 4_096] });
  stream.abort(new Error("test over"));
});

test("fails writes once the peer stops reading, and goes on reading what it sends", async () => {
  await using pair = await connected();
  const stream = streamOver(pair, await pair.here.openBi());
  await stream.write(Uint8Array.of(1));
  const peer = (await pair.there.acceptBi()) as NativeBiStream & { recv: { stop(code: bigint): Promise<void> } };
  await peer.recv.stop(9n);
  const writing = (async () => {
    for (;;) await stream.write(new Uint8Array(1_000));
  })();
  await expect(writing).rejects.toMatchObject({ name: "NetworkError", code: "closed" });
  await peer.send.writeAll([7]);
  expect(await readExactly(stream.source[Symbol.asyncIterator](), 1)).toEqual(Uint8Array.of(7));
  stream.abort(new Error("test over"));
});
