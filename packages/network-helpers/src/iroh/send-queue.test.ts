import fc from "fast-check";
import { expect, test } from "vitest";
import { SendQueue } from "./send-queue.ts";

test("gives back exactly the bytes pushed, in order, in full blocks, however pushes and takes alternate", () => {
  const step = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant("take" as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 32 }), (steps, blockSize) => {
      const queue = new SendQueue(blockSize);
      const pushed: number[] = [];
      const taken: number[] = [];
      const take = (): void => {
        const waiting = pushed.length - taken.length;
        expect(queue.bytes).toBe(waiting);
        const block = queue.take();
        expect(block.length).toBe(Math.min(waiting, blockSize));
        taken.push(...block);
      };
      for (const now of steps) {
        if (now === "take") take();
        else {
          queue.push(now);
          pushed.push(...now);
        }
      }
      while (queue.bytes > 0) take();
      expect(taken).toEqual(pushed);
    }),
  );
});

test("stays right while thousands of chunks pass through and it is never empty", () => {
  const queue = new SendQueue(3);
  queue.push(Uint8Array.of(0, 0));
  let next = 0;
  let expected = 0;
  const seen: number[] = [];
  while (seen.length < 20_000) {
    queue.push(Uint8Array.of(next >> 8, next & 255));
    next = (next + 1) & 0xffff;
    seen.push(...queue.take().subarray(0, 2));
    if (queue.bytes > 5_000) while (queue.bytes > 10) seen.push(...queue.take());
    expected += 1;
  }
  expect(expected).toBeGreaterThan(1_024);
});

test("copies nothing of a block that lies in one of the arrays pushed", () => {
  const queue = new SendQueue(4);
  const pushed = Uint8Array.of(1, 2, 3, 4, 5, 6);
  queue.push(pushed);
  queue.push(Uint8Array.of(7, 8));
  expect(queue.take()).toEqual(pushed.subarray(0, 4));
  expect(queue.take()).toEqual(Uint8Array.of(5, 6, 7, 8));
  queue.push(pushed);
  expect(queue.take().buffer).toBe(pushed.buffer);
});

test("forgets what waits when cleared", () => {
  const queue = new SendQueue(8);
  queue.push(Uint8Array.of(1, 2, 3));
  queue.clear();
  expect(queue.bytes).toBe(0);
  expect(queue.take().length).toBe(0);
});
