import { expect, test } from "vitest";
import { HashrateMeter } from "./hashrate-meter.ts";

test("a hashrate meter tells the rate of the last ten seconds, soon after the start and after a change", () => {
  const meter = new HashrateMeter();
  expect(meter.rate(0)).toBe(0);
  let now = 0;
  const run = (ms: number, rate: number): void => {
    for (const end = now + ms; now < end; now += 20) meter.count(rate / 50, now + 20);
  };
  run(2_000, 1_000);
  expect(meter.rate(now)).toBeCloseTo(1_000, -2);
  run(60_000, 5_000);
  expect(Math.abs(meter.rate(now) - 5_000)).toBeLessThan(600);
  expect(meter.rate(now + 20_000)).toBe(0);
});
