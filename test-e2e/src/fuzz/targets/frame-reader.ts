import { decodeHeader, type Frame, HEADER_SIZE } from "@adit/codec";
import {
  type ByteStream,
  type FrameConnection,
  NetworkError,
  secureInitiator,
  secureResponder,
} from "@adit/network-helpers";
import { ACT2_SIZE, type Ciphers, initiator, pureCrypto, ResponderIdentity } from "@adit/noise";
import fc from "fast-check";
import { anyBytes, type Damage, damage, damaged, entropyOf, sequence } from "../arbitraries.ts";
import { rule, type Target } from "../target.ts";

/** What comes in over one connection, and how the transport cuts it up. */
interface Arrival {
  readonly security: "plain" | "noise";
  readonly frames: readonly { readonly size: number; readonly type: number }[];
  readonly junk: Uint8Array;
  readonly damages: readonly Damage[];
  /** Sizes of chunks, used over and over. */
  readonly cuts: readonly number[];
  readonly maxPayload: number;
}

function arrivals(security: Arrival["security"]): fc.Arbitrary<Arrival> {
  return fc.record({
    security: fc.constant(security),
    frames: sequence(fc.record({ size: fc.oneof(fc.nat(60), fc.nat(3_000)), type: fc.nat(0xff) }), 8),
    junk: fc.oneof({ weight: 3, arbitrary: fc.constant(new Uint8Array(0)) }, { weight: 1, arbitrary: anyBytes(64) }),
    damages: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(damage, { maxLength: 2 }) },
    ),
    cuts: fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 }),
    maxPayload: fc.constantFrom(50, 1_000, 4_200_000),
  });
}

/** Frames as they are, in chunks: what is read does not depend on where they are cut. */
export const plainReader: Target<Arrival> = { inputs: arrivals("plain"), run: (arrival) => readPlain(arrival) };

/** A handshake and sealed frames, in chunks. */
export const sealedReader: Target<Arrival> = { inputs: arrivals("noise"), run: (arrival) => readSealed(arrival) };

/** A stream whose bytes are all known; it keeps what is written to it. */
class ChunkStream implements ByteStream {
  readonly peer = "fuzz";
  readonly source: AsyncIterable<Uint8Array>;
  readonly written: Uint8Array[] = [];
  aborted: Error | undefined;

  constructor(chunks: () => Iterable<Uint8Array>) {
    this.source = {
      async *[Symbol.asyncIterator]() {
        yield* chunks();
      },
    };
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.written.push(bytes);
  }

  abort(reason: Error): void {
    this.aborted ??= reason;
  }

  info(): ReturnType<ByteStream["info"]> {
    const unknown = { endpointId: null, path: null, rttMs: null } as const;
    return { transport: "memory", peer: this.peer, ...unknown, since: 0, bytesIn: 0, bytesOut: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, index = 0; at < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    yield bytes.slice(at, at + size);
    at += size;
  }
}

async function readPlain(arrival: Arrival): Promise<void> {
  const whole = damaged(Buffer.concat([...arrival.frames.map(frameOf), arrival.junk]), arrival.damages);
  const stream = new ChunkStream(() => cut(whole, arrival.cuts));
  await using connection = await secureInitiator(stream, "plain", { signal: new AbortController().signal });
  const { frames, end } = await readAll(connection, arrival.maxPayload);
  const expected = parse(whole, arrival.maxPayload);
  rule(
    frames.length === expected.frames.length,
    `${frames.length} frames were read, ${expected.frames.length} were sent`,
  );
  for (const [index, frame] of expected.frames.entries())
    rule(same(frame, frames[index]), "a frame was read as another");
  rule(end === expected.end, `reading ended with ${end}, not ${expected.end}`);
  rule((stream.aborted !== undefined) === (end !== "end"), "a broken connection was kept, or a whole one broken");
}

const identity = new ResponderIdentity({
  crypto: pureCrypto,
  entropy: entropyOf(9),
  authoritySecretKey: new Uint8Array(32).fill(9),
  certValiditySec: 3_600,
  ephemeralPool: 0,
});

async function readSealed(arrival: Arrival): Promise<void> {
  const { bytes: act1, next } = initiator({ crypto: pureCrypto, entropy: entropyOf(1), authority: null }).act1();
  // The frames can only be sealed once the responder has answered, which it does before it pulls further.
  const stream: ChunkStream = new ChunkStream(function* () {
    yield* cut(act1, arrival.cuts);
    const { ciphers } = next.act2(Buffer.concat(stream.written).subarray(0, ACT2_SIZE), Date.now());
    yield* cut(sealedBytes(arrival, ciphers), arrival.cuts);
  });
  await using connection = await secureResponder(
    stream,
    { noise: { crypto: pureCrypto, identity } },
    { signal: new AbortController().signal },
  );
  const { frames } = await readAll(connection, arrival.maxPayload);
  rule(frames.length <= arrival.frames.length, "more frames were read than were sent");
  for (const [index, frame] of frames.entries()) {
    const sent = arrival.frames[index];
    rule(sent !== undefined && same(plainFrame(sent), frame), "a sealed frame was read as another");
  }
}

function sealedBytes({ frames, junk, damages }: Arrival, { sealer }: Ciphers): Uint8Array {
  return damaged(Buffer.concat([...frames.map((frame) => sealer.seal(frameOf(frame))), junk]), damages);
}

/** How a connection's frames ended: at the peer's end, or with the code of the error. */
async function readAll(connection: FrameConnection, maxPayload: number): Promise<{ frames: Frame[]; end: string }> {
  connection.reader.setMaxPayload(maxPayload);
  const frames: Frame[] = [];
  try {
    for await (const frame of connection.reader.frames) frames.push({ ...frame, payload: frame.payload.slice() });
    return { frames, end: "end" };
  } catch (error) {
    if (error instanceof NetworkError) return { frames, end: error.code };
    throw error;
  }
}

/** What a reader that has all bytes at once would read. */
function parse(bytes: Uint8Array, maxPayload: number): { readonly frames: readonly Frame[]; readonly end: string } {
  const frames: Frame[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    if (rest.length < HEADER_SIZE) return { frames, end: "closed" };
    const { length, ...header } = decodeHeader(rest);
    if (length > maxPayload) return { frames, end: "frame-too-large" };
    if (rest.length < HEADER_SIZE + length) return { frames, end: "closed" };
    frames.push({ ...header, payload: rest.subarray(HEADER_SIZE, HEADER_SIZE + length) });
    rest = rest.subarray(HEADER_SIZE + length);
  }
  return { frames, end: "end" };
}

function frameOf({ size, type }: { readonly size: number; readonly type: number }): Uint8Array {
  const frame = new Uint8Array(HEADER_SIZE + size).fill(type, HEADER_SIZE);
  frame.set([0, 0, type, size & 0xff, size >> 8, 0]);
  return frame;
}

function plainFrame(sent: { readonly size: number; readonly type: number }): Frame {
  const { length: _length, ...header } = decodeHeader(frameOf(sent));
  return { ...header, payload: frameOf(sent).subarray(HEADER_SIZE) };
}

function same(one: Frame, other: Frame | undefined): boolean {
  return (
    other !== undefined &&
    one.extensionType === other.extensionType &&
    one.channelMsg === other.channelMsg &&
    one.messageType === other.messageType &&
    Buffer.compare(one.payload, other.payload) === 0
  );
}
