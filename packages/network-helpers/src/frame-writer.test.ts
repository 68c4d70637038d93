import { describe, expect, test } from "vitest";
import type { ByteStream } from "./byte-stream.ts";
import { NetworkError } from "./errors.ts";
import { plainCipher } from "./frame-cipher.ts";
import { Inbox } from "./inbox.ts";
import { secureInitiator, secureResponder } from "./secure.ts";
import { tcp } from "./tcp/index.ts";
import { concat, frame, framesOver, loopCipher } from "./testing/frames.ts";
import { recordedStream, streamPair } from "./testing/parties.ts";

const never = { signal: new AbortController().signal };

describe("the frame writer", () => {
  test("keeps one write in flight and merges what waits, in order", async () => {
    const stream = recordedStream([]);
    const gates: (() => void)[] = [];
    const gated: ByteStream = {
      ...stream,
      write: (bytes) => {
        stream.writes.push(bytes);
        return new Promise((resolve) => gates.push(resolve));
      },
    };
    const { writer } = framesOver(gated, plainCipher);
    const first = writer.write(frame(1));
    await Promise.resolve();
    await Promise.resolve();
    const rest = [writer.write(frame(2)), writer.writeAll([frame(3), frame(4)]), writer.write(frame(5))];
    expect(stream.writes.length).toBe(1);
    gates.shift()?.();
    await first;
    await Promise.resolve();
    expect(stream.writes.length).toBe(2);
    expect(stream.writes[1]).toEqual(concat([2, 3, 4, 5].map((size) => frame(size))));
    gates.shift()?.();
    await Promise.all(rest);
    await writer.end();
    await expect(writer.write(frame(1))).rejects.toMatchObject({ code: "closed" });
  });

  test.each(["noise", "plain"] as const)(
    "writes frames together as it writes each alone, with %s",
    async (encryption) => {
      const frames = [0, 1, 40, 65_519, 70_000, 3].map((size) => frame(size));
      const together = recordedStream([]);
      await framesOver(together, loopCipher(encryption)).writer.writeAll(frames);
      const alone = recordedStream([]);
      const { writer } = framesOver(alone, loopCipher(encryption));
      for (const plain of frames) await writer.write(plain);
      expect(together.writes.length).toBe(1);
      expect(Buffer.compare(concat(together.writes), concat(alone.writes))).toBe(0);
    },
  );

  test("does not copy a plain frame that travels alone", async () => {
    const stream = recordedStream([]);
    const alone = frame(100);
    await framesOver(stream, plainCipher).writer.write(alone);
    expect(stream.writes[0]).toBe(alone);
  });

  test("breaks off at a frame whose header lies, and sends nothing of its batch", async () => {
    const stream = recordedStream([]);
    const { writer } = framesOver(stream, loopCipher("noise"));
    await expect(writer.writeAll([frame(1), frame(9).subarray(0, 12)])).rejects.toMatchObject({ code: "bad-length" });
    await expect(writer.write(frame(1))).rejects.toMatchObject({ code: "bad-length" });
    expect(stream.writes).toEqual([]);
  });

  test("cuts off a caller that does not await a peer that does not read", async () => {
    const [stream, silent] = await streamPair();
    const { writer } = framesOver(stream, plainCipher);
    const outcomes = await Promise.allSettled(Array.from({ length: 30 }, () => writer.write(frame(64 * 1024))));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: "slow-consumer" } });
    await expect(new Inbox(silent.source).fill(1)).rejects.toMatchObject({ code: "closed" });
  });

  test("slows a writer whose peer does not read, and breaks off its close in bounded time", async () => {
    const [dialled, accepted] = await streamPair(tcp(), "127.0.0.1:0");
    const client = await secureInitiator(dialled, "plain", never);
    await secureResponder(accepted, "plain", never);
    let written = 0;
    const writing = (async () => {
      for (; written < 1000; written++) await client.writer.write(frame(65_000));
    })();
    writing.catch(() => undefined);
    const started = performance.now();
    await client[Symbol.asyncDispose]();
    expect(performance.now() - started).toBeLessThan(5000);
    await expect(writing).rejects.toBeInstanceOf(NetworkError);
    expect(written).toBeLessThan(1000);
  });
});
