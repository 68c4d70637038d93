import { hex } from "@scure/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recordedStream } from "../testing/parties.ts";
import {
  callId,
  decodeRpcHeader,
  encodeRpcFrame,
  type FrameType,
  frameTypes,
  NO_CALL,
  RPC_HEADER_SIZE,
  type RpcFrame,
} from "./frame.ts";
import { rpcFrames } from "./frame-reader.ts";

const options = { peer: "peer", maxPayload: 64 };

async function collect(chunks: Iterable<Uint8Array>, maxPayload = 64): Promise<readonly RpcFrame[]> {
  const frames: RpcFrame[] = [];
  for await (const frame of rpcFrames(recordedStream(chunks), { maxPayload })) frames.push(frame);
  return frames;
}

const types = Object.keys(frameTypes) as FrameType[];

const anyFrame: fc.Arbitrary<RpcFrame> = fc
  .tuple(fc.constantFrom(...types), fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ maxLength: 64 }))
  .map(([type, id, payload]) => {
    id[0] = 1;
    return { type, id: type === "keepAlive" || type === "goodbye" ? NO_CALL : callId(id), payload };
  });

/** Written down by hand from the layout in docs/decisions/0024-rpc.md. */
const vectors: readonly (readonly [RpcFrame, string])[] = [
  [
    { type: "request", id: "000102030405060708090a0b0c0d0e0f", payload: Uint8Array.of(0x7b, 0x7d) },
    "01 01 000102030405060708090a0b0c0d0e0f 02000000 7b7d",
  ],
  [
    { type: "response", id: "ff0102030405060708090a0b0c0d0eff", payload: new Uint8Array(0x0102).fill(0x20) },
    `01 02 ff0102030405060708090a0b0c0d0eff 02010000 ${"20".repeat(0x0102)}`,
  ],
  [
    { type: "data", id: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", payload: Uint8Array.of(0x31) },
    "01 03 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 01000000 31",
  ],
  [
    { type: "error", id: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", payload: Uint8Array.of(0x7b, 0x7d) },
    "01 04 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 02000000 7b7d",
  ],
  [{ type: "keepAlive", id: NO_CALL, payload: new Uint8Array(0) }, `01 05 ${"00".repeat(16)} 00000000`],
  [
    { type: "cancel", id: "000000000000000000000000000000ff", payload: new Uint8Array(0) },
    "01 06 000000000000000000000000000000ff 00000000",
  ],
  [
    { type: "credit", id: "ff000000000000000000000000000000", payload: Uint8Array.of(0x7b, 0x7d) },
    "01 07 ff000000000000000000000000000000 02000000 7b7d",
  ],
  [{ type: "goodbye", id: NO_CALL, payload: Uint8Array.of(0x7b, 0x7d) }, `01 08 ${"00".repeat(16)} 02000000 7b7d`],
];

describe("the frame layout", () => {
  test.each(vectors)("of %o is as written down", async (frame, text) => {
    const bytes = hex.decode(text.replaceAll(" ", ""));
    expect(encodeRpcFrame(frame)).toEqual(bytes);
    expect(await collect([bytes], 1024)).toEqual([frame]);
  });

  test("has a vector for every type", () => {
    expect(vectors.map(([{ type }]) => type)).toEqual(types);
  });
});

describe("a header is refused", () => {
  const good = encodeRpcFrame({ type: "request", id: "11".repeat(16), payload: new Uint8Array(0) });
  const changed = (at: number, ...bytes: readonly number[]): Uint8Array => {
    const header = good.slice();
    header.set(bytes, at);
    return header;
  };
  test.each([
    ["with version 0", changed(0, 0), "protocol-violation"],
    ["with version 2", changed(0, 2), "protocol-violation"],
    ["with type 0", changed(1, 0), "protocol-violation"],
    ["with type 9", changed(1, 9), "protocol-violation"],
    ["of a request without an id", changed(2, ...new Uint8Array(16)), "protocol-violation"],
    ["of a keep-alive with an id", changed(1, frameTypes.keepAlive), "protocol-violation"],
    ["with one byte too many", changed(18, 65), "frame-too-large"],
    ["with 4 GiB", changed(18, 255, 255, 255, 255), "frame-too-large"],
  ])("%s", (_what, bytes, code) => {
    expect(() => decodeRpcHeader(bytes, options)).toThrow(expect.objectContaining({ code }));
  });

  test("before a byte of its payload has come", async () => {
    await expect(collect([changed(18, 65)])).rejects.toMatchObject({ code: "frame-too-large" });
  });

  test("or gives a header, whatever its bytes are", () => {
    const bytes = fc.uint8Array({ minLength: RPC_HEADER_SIZE, maxLength: RPC_HEADER_SIZE });
    const nearly = bytes.map((random) => Uint8Array.of(1, (random[1] ?? 0) % 10, ...random.subarray(2)));
    fc.assert(
      fc.property(fc.oneof(bytes, nearly), (header) => {
        try {
          expect(decodeRpcHeader(header, options).length).toBeLessThanOrEqual(64);
        } catch (error) {
          expect(error).toMatchObject({ name: "NetworkError", code: /protocol-violation|frame-too-large/ });
        }
      }),
    );
  });
});

function cut(bytes: Uint8Array, at: readonly number[]): readonly Uint8Array[] {
  const places = [0, ...at.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return places.slice(1).flatMap((end, index) => {
    const piece = bytes.slice(places[index], end);
    return piece.length === 0 ? [] : [piece];
  });
}

function joined(frames: readonly RpcFrame[]): Uint8Array {
  return Uint8Array.from(frames.flatMap((frame) => [...encodeRpcFrame(frame)]));
}

describe("the frame reader", () => {
  test("gives the same frames for every way to cut their bytes up", async () => {
    const cuts = fc.array(fc.nat(), { maxLength: 64 });
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 8 }), cuts, async (frames, places) => {
        expect(await collect(cut(joined(frames), places))).toEqual(frames);
      }),
    );
  });

  test("gives the same frames byte by byte", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 3 }), async (frames) => {
        expect(await collect([...joined(frames)].map((byte) => Uint8Array.of(byte)))).toEqual(frames);
      }),
      { numRuns: 20 },
    );
  });

  test("tells an end inside a frame from an end between two, wherever it is", async () => {
    await fc.assert(
      fc.asyncProperty(anyFrame, fc.nat(), async (frame, place) => {
        const bytes = encodeRpcFrame(frame);
        const kept = place % bytes.length;
        const reading = collect(kept === 0 ? [] : [bytes.slice(0, kept)]);
        if (kept === 0) await expect(reading).resolves.toEqual([]);
        else await expect(reading).rejects.toMatchObject({ code: "closed" });
      }),
    );
  });
});
