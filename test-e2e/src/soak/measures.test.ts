import { describe, expect, test } from "vitest";
import { Histogram } from "./histogram.ts";
import { lowerEnvelope, slopePerHour } from "./slope.ts";

const HOUR_MS = 3_600_000;

describe("the histogram", () => {
  test("has percentiles that are never too low and at most 13 % too high, over its whole range", () => {
    for (const scale of [0.1, 1, 250, 900]) {
      const histogram = new Histogram();
      for (let value = 1; value <= 1_000; value += 1) histogram.add(value * scale);
      for (const share of [0.5, 0.9, 0.99, 0.999]) {
        const exact = share * 1_000 * scale;
        const answer = histogram.percentile(share) ?? 0;
        expect(answer).toBeGreaterThanOrEqual(exact * 0.999);
        expect(answer).toBeLessThanOrEqual(exact * 1.13);
      }
      expect(histogram.largest).toBe(1_000 * scale);
      expect(histogram.count).toBe(1_000);
    }
  });

  test("takes what is below and above its range without growing", () => {
    const histogram = new Histogram();
    const size = histogram.counts().counts.length;
    for (const value of [0, 1e-9, 1e12]) histogram.add(value);
    expect(histogram.counts().counts).toHaveLength(size);
    expect(histogram.percentile(0.1)).toBeLessThanOrEqual(0.01);
    expect(histogram.percentile(1)).toBe(1e12);
  });

  test("knows nothing when nothing was added", () => {
    expect(new Histogram().percentile(0.5)).toBeNull();
  });

  test("merged from two halves equals one that saw everything", () => {
    const [whole, left, right] = [new Histogram(), new Histogram(), new Histogram()];
    for (let value = 1; value <= 100; value += 1) {
      whole.add(value);
      (value % 3 === 0 ? left : right).add(value);
    }
    left.merge(right.counts());
    expect(left.counts()).toEqual(whole.counts());
    expect(new Histogram(whole.counts()).percentile(0.9)).toBe(whole.percentile(0.9));
  });
});

describe("the slope", () => {
  test("is that of the line the points lie on", () => {
    const points = [0, 1, 2, 5].map((hour) => ({ at: 1.7e12 + hour * HOUR_MS, value: 40 + 7 * hour }));
    expect(slopePerHour(points)).toBeCloseTo(7, 6);
  });

  test("is not moved by noise that is the same on both sides", () => {
    const points = Array.from({ length: 1_000 }, (_, at) => ({ at: at * 10_000, value: 50 + (at % 2 === 0 ? 5 : -5) }));
    expect(Math.abs(slopePerHour(points) ?? Number.NaN)).toBeLessThan(0.05);
  });

  test("is unknown of a single time", () => {
    expect(slopePerHour([])).toBeNull();
    expect(slopePerHour([{ at: 5, value: 1 }])).toBeNull();
  });

  test("of a heap's lower envelope does not see its collections", () => {
    const sawtooth = Array.from({ length: 720 }, (_, at) => ({ at: at * 10_000, value: 30 + (at % 11) * 4 }));
    const lowest = lowerEnvelope(sawtooth, 120_000);
    expect(lowest).toHaveLength(60);
    expect(lowest.every(({ value }) => value === 30)).toBe(true);
    expect(slopePerHour(lowest)).toBe(0);
  });
});
