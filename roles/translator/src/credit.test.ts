import { workOf } from "@adit/bitcoin";
import { defaultVardiffOptions } from "@adit/channels";
import { expect, test } from "vitest";
import { Bench } from "./testing/bench.ts";
import type { BenchMiner } from "./testing/bench-miner.ts";

/** Miners of very different speed, one of which speeds up tenfold, over new jobs and new tips. */
function simulate(aggregateChannels: boolean): { bench: Bench; hashes: number; proven: bigint; shares: number } {
  const bench = new Bench({
    miners: { sharesPerMinute: 60, startHashrate: 100 },
    upstream: { aggregateChannels },
    pool: { sharesPerMinute: 60, vardiff: defaultVardiffOptions },
  });
  bench.newTip();
  bench.connect();
  const miners = [bench.join("a.slow"), bench.join("a.fast"), bench.join("a.growing")];
  const speeds = [40, 600, 60];
  let hashes = 0;
  let proven = 0n;
  let shares = 0;
  const dig = (miner: BenchMiner, speed: number): void => {
    const channels = [...bench.observer.channels.values()];
    // The channels are opened in the miners' order.
    const channel = aggregateChannels ? channels[0] : channels[miners.indexOf(miner)];
    const target = channel?.activeJob?.target;
    if (target === undefined) throw new Error("the pool gave no job");
    const hits = miner.hashes(speed, target);
    hashes += speed;
    proven += BigInt(hits) * workOf(target);
    shares += hits;
  };
  for (let second = 1; second <= 240; second += 1) {
    if (second === 90) speeds[2] = 600;
    for (const [at, miner] of miners.entries()) dig(miner, speeds[at] ?? 0);
    bench.tick();
    if (second % 60 === 0) bench.newTip();
    else if (second % 10 === 0) bench.newWork();
  }
  return { bench, hashes, proven, shares };
}

test.each([
  ["on one channel", true],
  ["each on its own channel", false],
])("miners %s are credited upstream for exactly the hashes that meet the upstream's targets", (_where, aggregate) => {
  const { bench, hashes, proven, shares } = simulate(aggregate);
  const credited = bench.recorded.reduce((sum, { work }) => sum + work, 0n);
  const squares = bench.recorded.reduce((sum, { work }) => sum + Number(work) ** 2, 0);
  expect(bench.rejected).toEqual([]);
  expect(bench.recorded).toHaveLength(shares);
  expect(credited).toBe(proven);
  // And that is what the miners hashed, as far as luck allows: five standard deviations.
  expect(Math.abs(Number(credited) - hashes)).toBeLessThan(5 * Math.sqrt(squares));
  // The targets did move: the growing miner would prove nothing had everything stayed as it was.
  expect(bench.sent("UpdateChannel").length).toBeGreaterThan(0);
  expect(new Set(bench.recorded.map(({ work }) => work)).size).toBeGreaterThan(2);
});
