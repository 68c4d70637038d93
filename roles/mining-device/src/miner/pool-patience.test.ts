import { expect, test } from "vitest";
import { PoolPatience } from "./pool-patience.ts";

const SECOND = 1000;

function ticks(
  patience: PoolPatience,
  [from, to]: readonly [number, number],
  state: Parameters<PoolPatience["tick"]>[1],
) {
  for (let second = from; second <= to; second += 1) {
    const reason = patience.tick(second * SECOND, state);
    if (reason !== undefined) return { second, reason };
  }
  return undefined;
}

test("a pool without work is left after half a minute, also when it had some", () => {
  const patience = new PoolPatience(0);
  expect(ticks(patience, [1, 29], { working: false, resting: false })).toBeUndefined();
  expect(ticks(patience, [30, 3600], { working: true, resting: false })).toBeUndefined();
  expect(ticks(patience, [3601, 3700], { working: false, resting: false })).toEqual({
    second: 3630,
    reason: "the pool gives no work",
  });
});

test("a pool that answers none of too many shares is left after half a minute, one that answers some is not", () => {
  const patience = new PoolPatience(0);
  const state = { working: true, resting: true };
  expect(ticks(patience, [1, 30], state)).toBeUndefined();
  patience.answered();
  expect(ticks(patience, [31, 60], state)).toBeUndefined();
  expect(ticks(patience, [61, 100], state)).toEqual({ second: 61, reason: "the pool answers no shares" });
});

test("faults are borne one a minute and sixteen at once", () => {
  const patience = new PoolPatience(0);
  for (let minute = 0; minute < 100; minute += 1) {
    expect(patience.broke(minute * 60 * SECOND, "bad-target")).toBeUndefined();
  }
  const reasons = Array.from({ length: 20 }, () => patience.broke(100 * 60 * SECOND, "bad-target"));
  expect(reasons.findIndex((reason) => reason !== undefined)).toBe(16);
  expect(reasons.at(-1)).toBe("the pool keeps breaking the protocol: bad-target");
});
