import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FrameCipher, plainCipher } from "./frame-cipher.ts";
import type { StreamFrameConnection } from "./frame-connection.ts";
import { Inbox } from "./inbox.ts";
import { concat, frame, framesOver, loopCipher, take } from "./testing/frames.ts";
import { recordedStream } from "./testing/parties.ts";

describe("the frame reader", () => {
  const frames = [0, 1, 5, 100, 3].map((size) => frame(size));

  test.each(["noise", "plain"] as const)(
    "reads the same %s frames however the bytes are cut up",
    async (encryption) => {
      const readCut = async (sizes: readonly number[]): Promise<void> => {
        const cipher = loopCipher(encryption);
        const wire = concat(frames.map((plain) => cipher.seal(plain)));
        const payloads = await take(reading(cut(wire, sizes), cipher), frames.length + 1);
        expect(payloads).toEqual(frames.map((plain) => plain.subarray(6)));
      };
      const length = frames.reduce((sum, plain) => sum + loopCipher(encryption).seal(plain).length, 0);
      for (let at = 1; at <= length; at++) await readCut([at, length]);
      await readCut([1]);
      await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), readCut));
    },
  );

  test("hands out payloads that later bytes do not overwrite", async () => {
    const wire = concat(Array.from({ length: 200 }, (_, index) => frame(index)));
    const payloads = await take(reading(cut(wire, [7, 50, 300, 1]), plainCipher), 201);
    expect(payloads).toEqual(Array.from({ length: 200 }, (_, index) => frame(index).subarray(6)));
  });

  test("reads a hundred frames from one segment", async () => {
    const wire = concat(Array.from({ length: 100 }, () => frame(40)));
    expect((await take(reading([wire], plainCipher), 101)).length).toBe(100);
  });

  test("reads a 4 MiB frame from small chunks in linear time and memory", async () => {
    const wire = frame(4 << 20);
    const inbox = new Inbox(recordedStream(cut(wire, [1460])).source);
    const started = performance.now();
    expect(await inbox.fill(wire.length)).toBe(true);
    const taken = inbox.take(wire.length);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(taken.buffer.byteLength).toBeLessThanOrEqual(2 * wire.length + 4096);
    expect(Buffer.compare(taken, wire)).toBe(0);
  });

  test("hands out without a pull what has been pulled already, and only whole frames", async () => {
    const wire = concat([frame(3), frame(4), frame(5)]);
    const { reader } = reading(cut(wire, [20, 100]), plainCipher);
    expect(reader.takeArrived()).toBeUndefined();
    const frames = reader.frames[Symbol.asyncIterator]();
    expect((await frames.next()).value?.payload).toEqual(frame(3).subarray(6));
    expect(reader.takeArrived()?.payload).toEqual(frame(4).subarray(6));
    expect(reader.takeArrived()).toBeUndefined();
    expect((await frames.next()).value?.payload).toEqual(frame(5).subarray(6));
    expect((await frames.next()).done).toBe(true);
    expect(reader.takeArrived()).toBeUndefined();
    expect(reader.framesIn).toBe(3);
  });

  test("breaks off without a pull as with one", async () => {
    const stream = recordedStream([concat([frame(3), frame(40)])]);
    const { reader } = framesOver(stream, plainCipher);
    await reader.frames[Symbol.asyncIterator]().next();
    reader.setMaxPayload(39);
    expect(() => reader.takeArrived()).toThrow(expect.objectContaining({ code: "frame-too-large" }));
    expect(stream.aborted.length).toBe(1);
  });

  test("refuses a second iteration", async () => {
    const { reader } = reading([frame(1)], plainCipher);
    expect((await reader.frames[Symbol.asyncIterator]().next()).done).toBe(false);
    expect(() => reader.frames[Symbol.asyncIterator]()).toThrow();
  });
});

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length]!;
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return chunks;
}

function reading(chunks: readonly Uint8Array[], cipher: FrameCipher): StreamFrameConnection {
  return framesOver(recordedStream(chunks), cipher);
}
