import { expect, test } from "vitest";
import { Bench } from "./testing/bench.ts";

/** The steps of the trace since it was emptied that are about ends. */
function goodbyes(bench: Bench): readonly string[] {
  return bench.trace.filter((step) => /CloseChannel|^end/.test(step));
}

test("a jd-client that stops tells its pool that the channel is not needed any more, and ends the session", () => {
  const bench = new Bench();
  bench.newTip();
  bench.join().mine();
  bench.trace.length = 0;
  bench.feed({ type: "stop" });
  expect(goodbyes(bench)).toEqual(["pool 0: CloseChannel", "end 0"]);
  expect(bench.upstream.named("CloseChannel")).toMatchObject([{ reasonCode: "shutting-down" }]);
  bench.tick(60);
  expect(bench.trace.filter((step) => step.startsWith("begin"))).toEqual([]);
});

test("shares that no pool has answered are counted until it does: those on their way, and those kept for a job", () => {
  const bench = new Bench();
  bench.newTip();
  const miner = bench.join();
  for (const name of ["SubmitSharesExtended", "DeclareMiningJob"] as const) bench.upstream.held.add(name);
  miner.mine();
  bench.newTemplate();
  miner.mine();
  miner.mine();
  expect(bench.core.pendingShares).toBe(3);
  bench.upstream.release();
  expect([bench.core.pendingShares, bench.upstream.credited]).toEqual([0, 3]);
});

test("what is left without an answer when it stops is counted, once each", () => {
  const bench = new Bench();
  bench.newTip();
  const miner = bench.join();
  for (const name of ["SubmitSharesExtended", "DeclareMiningJob"] as const) bench.upstream.held.add(name);
  miner.mine();
  bench.newTemplate();
  miner.mine();
  bench.feed({ type: "stop" });
  const counted = [bench.count("sharesUnanswered"), bench.count("sharesDiscarded", "session-ended")];
  expect([...counted, bench.core.pendingShares]).toEqual([1, 1, 0]);
});

test("a session that was left, and still takes late shares, is told goodbye like the one that is mined for", () => {
  const bench = new Bench({ upstreamCount: 2 });
  bench.newTip();
  bench.join();
  bench.upstream.crash();
  bench.upstream.isUp = true;
  bench.tick(13);
  expect(bench.core.status().mining_for).toBe("upstream-0");
  bench.trace.length = 0;
  bench.feed({ type: "stop" });
  expect(goodbyes(bench).toSorted()).toEqual(["end 0", "end 1", "pool 0: CloseChannel", "pool 1: CloseChannel"]);
});

test("a jd-client that has no pool yet stops without a word to any", () => {
  const bench = new Bench({
    prepare: (upstream) => {
      upstream.isMute = true;
    },
  });
  bench.feed({ type: "stop" });
  expect(goodbyes(bench)).toEqual(["end -"]);
});
