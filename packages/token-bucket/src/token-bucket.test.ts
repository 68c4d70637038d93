import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TokenBucket, type TokenRate } from "./token-bucket.ts";

describe("a token bucket", () => {
  test("lets the burst through, then the rate, and is not fooled by a clock that stands still or goes back", () => {
    const bucket = new TokenBucket({ burst: 3, perSecond: 2 }, 0);
    expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
    expect([499, 500, 500, 400, 900].map((now) => bucket.take(now))).toEqual([false, true, false, false, true]);
    expect(bucket.isFull(1500)).toBe(false);
    expect(bucket.isFull(10_000)).toBe(true);
  });

  test("gives several at once or none of them", () => {
    const bucket = new TokenBucket({ burst: 5, perSecond: 1 }, 0);
    expect([bucket.take(0, 3), bucket.take(0, 3), bucket.take(0, 2), bucket.take(0)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  const rate: fc.Arbitrary<TokenRate> = fc.record({
    burst: fc.integer({ min: 1, max: 50 }),
    perSecond: fc.double({ min: 0.01, max: 100, noNaN: true }),
  });
  const steps = fc.array(fc.tuple(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: 1, max: 5 })));

  test("never lets more through than the burst and what the time that passed gives, wherever the clock jumps", () => {
    fc.assert(
      fc.property(rate, steps, (of, all) => {
        const bucket = new TokenBucket(of, 0);
        let now = 0;
        let passed = 0;
        let taken = 0;
        for (const [elapsed, count] of all) {
          now += elapsed;
          passed += Math.max(0, elapsed);
          if (bucket.take(now, count)) taken += count;
          expect(taken).toBeLessThanOrEqual(of.burst + (passed / 1000) * of.perSecond + 1e-6);
        }
      }),
    );
  });

  test("refuses nobody who keeps to the rate, whatever held him back for as long as the burst lasts", () => {
    fc.assert(
      fc.property(rate, fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 20 }), (of, pauses) => {
        const bucket = new TokenBucket(of, 0);
        const interval = 1000 / of.perSecond;
        let due = 0;
        for (const held of pauses) {
          // So many intervals without a word; then what has come due in them, at once.
          const count = Math.min(held, of.burst);
          due += count;
          for (let at = 0; at < count; at++) expect(bucket.take(due * interval * (1 + 1e-9) + 1e-6)).toBe(true);
        }
      }),
    );
  });
});
