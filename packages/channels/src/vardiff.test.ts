import { describe, expect, test } from "vitest";
import { defaultVardiffOptions, Vardiff, type VardiffChannel } from "./vardiff.ts";

const TERA = 1e12;

function vardiff(channel: Partial<VardiffChannel> = {}, now = 0): Vardiff {
  const options = { ...defaultVardiffOptions, sharesPerMinute: 6, minHashrate: 1, hashrate: TERA };
  return new Vardiff({ ...options, ...channel }, now);
}

/** Ticks every second from `from` to `to`, in seconds, with evenly spaced shares; returns the changes. */
function live(
  subject: Vardiff,
  [from, to]: readonly [number, number],
  secondsPerShare = Number.POSITIVE_INFINITY,
): number[] {
  const changes: number[] = [];
  for (let second = from + 1; second <= to; second++) {
    const shares = Math.floor(second / secondsPerShare) - Math.floor((second - 1) / secondsPerShare);
    for (let share = 0; share < shares; share++) subject.share(second * 1000);
    const change = subject.tick(second * 1000);
    if (change !== undefined) changes.push(change);
  }
  return changes;
}

describe("vardiff", () => {
  test("leaves a channel alone that sends what it should", () => {
    const subject = vardiff();
    expect(live(subject, [0, 7200], 10)).toEqual([]);
    expect(subject.hashrate).toBe(TERA);
  });

  test("eases an idle channel on ticks alone, first within two minutes, then less and less often", () => {
    const subject = vardiff();
    expect(live(subject, [0, 120])).not.toEqual([]);
    const [first, second] = [live(subject, [120, 3600]), live(subject, [3600, 7200])];
    expect(first.length).toBeGreaterThan(second.length);
    expect([...first, ...second].every((hashrate, index, all) => hashrate < (all[index - 1] ?? TERA))).toBe(true);
  });

  test("stops easing at the floor", () => {
    const subject = vardiff({ minHashrate: TERA / 2 });
    live(subject, [0, 7200]);
    expect(subject.hashrate).toBe(TERA / 2);
    expect(live(subject, [7200, 14_400])).toEqual([]);
  });

  test("moves at most by the largest step at once", () => {
    const subject = vardiff();
    for (let share = 0; share < 1_000; share++) subject.share(share);
    expect(subject.tick(1_000)).toBe(8 * TERA);
  });

  test("does not tighten further on shares that came before the change", () => {
    const subject = vardiff();
    for (let share = 0; share < 1_000; share++) subject.share(share);
    subject.tick(1_000);
    expect(subject.tick(2_000)).toBeUndefined();
    for (let share = 0; share < 3; share++) subject.share(2_500);
    expect(subject.tick(3_000)).toBeGreaterThan(8 * TERA);
  });

  test.each([Number.NaN, 0, -5, Number.POSITIVE_INFINITY])(
    "takes a claimed hashrate of %d for the floor",
    (hashrate) => {
      expect(vardiff({ hashrate, minHashrate: 1e9 }).hashrate).toBe(1e9);
      const subject = vardiff();
      subject.reset(hashrate, 0);
      expect(subject.hashrate).toBe(1);
    },
  );

  test.each([Number.NaN, 0, -1])("takes a floor of %d for 1 H/s", (minHashrate) => {
    expect(vardiff({ minHashrate, hashrate: 0 }).hashrate).toBe(1);
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    "refuses to aim at %d shares a minute",
    (sharesPerMinute) => {
      expect(() => vardiff({ sharesPerMinute })).toThrow(RangeError);
    },
  );

  test("goes on from a clock that stepped backwards", () => {
    const subject = vardiff({}, 3_600_000);
    expect(live(subject, [0, 30])).toEqual([]);
    expect(live(subject, [30, 120])).not.toEqual([]);
  });

  test("takes a clock that jumped a day ahead for a short pause", () => {
    const subject = vardiff();
    live(subject, [0, 600], 10);
    expect(subject.tick(86_400_000)).toBeUndefined();
  });

  test("counts neither time nor shares while a deferred change waits for its job", () => {
    const subject = vardiff({ deferred: true });
    const [eased] = live(subject, [0, 120]);
    expect(eased).toBeLessThan(TERA);
    expect(live(subject, [120, 7200], 1)).toEqual([]);
    subject.applied(7_200_000);
    expect(subject.hashrate).toBe(eased);
    expect(live(subject, [7200, 7320], 0.2)).not.toEqual([]);
  });

  test("starts anew from a reset", () => {
    const subject = vardiff();
    live(subject, [0, 3600]);
    subject.reset(2 * TERA, 3_600_000);
    expect(subject.hashrate).toBe(2 * TERA);
    expect(live(subject, [3600, 7200], 10)).toEqual([]);
  });

  test("finds the hashrate from the shares of several targets together", () => {
    const subject = vardiff({ hashrate: 1e9 });
    const real = 500e9;
    let owed = 0;
    for (let second = 1; second <= 600; second++) {
      owed += real / subject.hashrate / 10;
      for (; owed >= 1; owed--) subject.share(second * 1000);
      subject.tick(second * 1000);
    }
    expect(subject.hashrate).toBeGreaterThan(real * 0.9);
    expect(subject.hashrate).toBeLessThan(real * 1.1);
  });
});
