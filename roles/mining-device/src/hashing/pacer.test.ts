import { describe, expect, test } from "vitest";
import { Pacer } from "./pacer.ts";

/** Hashes done in `ms` by a thread that hashes at `speed` a second and oversleeps each pause by `oversleep`. */
function run(pacer: Pacer, options: { ms: number; speed: number; oversleep: number }): number {
  let hashes = 0;
  for (let now = 0; now < options.ms; ) {
    const wait = pacer.wait(now);
    if (wait > 0) {
      now += wait + options.oversleep;
      continue;
    }
    const batch = pacer.batch(4096);
    now += (batch * 1000) / options.speed;
    pacer.spend(batch, now);
    hashes += batch;
  }
  return hashes;
}

describe("a pacer", () => {
  test.each([5, 100, 1_000, 50_000, 400_000])("holds %i hashes a second although sleeps last too long", (rate) => {
    const hashes = run(new Pacer(rate), { ms: 60_000, speed: 2_000_000, oversleep: 1.3 });
    expect(Math.abs(hashes - rate * 60)).toBeLessThanOrEqual(Math.max(rate * 0.02, 2));
  });

  test("lets a thread run free without a limit, and when it is slower than the limit", () => {
    expect(run(new Pacer(0), { ms: 1_000, speed: 100_000, oversleep: 0 })).toBeCloseTo(100_000, -4);
    expect(run(new Pacer(1_000_000), { ms: 1_000, speed: 100_000, oversleep: 0 })).toBeCloseTo(100_000, -4);
  });

  test("does not make up for an hour of idling with a burst", () => {
    const pacer = new Pacer(1_000);
    pacer.spend(10, 0);
    let burst = 0;
    for (const now = 3_600_000; pacer.wait(now) === 0; burst += 10) pacer.spend(10, now);
    expect(burst).toBeLessThanOrEqual(270);
  });
});
