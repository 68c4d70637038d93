import { decodeTransaction, MAX_TARGET } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { Bench, SOLO_SCRIPT, serverOptions } from "./testing/bench.ts";
import { payoutScript, type TestUpstream } from "./testing/test-upstream.ts";

/** Who the block would pay that a miner is at. */
function paid(bench: Bench): Uint8Array | undefined {
  const [miner] = bench.miners;
  return decodeTransaction(miner!.coinbase).outputs[0]?.script;
}

describe("miners", () => {
  test("go over to the next upstream and back, on the same channel and with every share credited", () => {
    const bench = new Bench({ upstreamCount: 2 });
    const [first, second] = bench.upstreams;
    bench.newTip();
    const miner = bench.join();
    const { channel } = miner;
    miner.mine();
    expect([paid(bench), first!.credited]).toEqual([payoutScript(0), 1]);
    first!.crash();
    expect([paid(bench), bench.core.status().mining_for]).toEqual([payoutScript(1), "upstream-1"]);
    for (let share = 0; share < 3; share += 1) miner.mine();
    expect(second!.credited).toBe(3);
    first!.isUp = true;
    bench.tick(20);
    expect([paid(bench), bench.core.status().mining_for]).toEqual([payoutScript(0), "upstream-0"]);
    miner.mine();
    expect([first!.credited, miner.channel === channel, miner.accepted, miner.rejected]).toEqual([2, true, 5, []]);
    expect(bench.trace.filter((step) => /^(begin|end)/.test(step))).toEqual(["begin 0", "end -", "begin 1", "begin 0"]);
  });

  test("mine alone while no upstream is there, and for the first that comes back", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.upstream.crash();
    expect(paid(bench)).toEqual(SOLO_SCRIPT);
    miner.mine();
    expect([miner.accepted, bench.count("sharesSolo"), bench.count("sharesDiscarded")]).toEqual([1, 1, 0]);
    bench.upstream.isUp = true;
    bench.tick(4);
    // It was ready before and failed: it is held down.
    expect(paid(bench)).toEqual(SOLO_SCRIPT);
    bench.tick(10);
    expect(paid(bench)).toEqual(payoutScript(0));
    miner.mine();
    expect([bench.upstream.credited, bench.count("switches", "upstream-ready")]).toEqual([1, 1]);
  });

  test("have work at once when the upstream fails for a job of theirs, and what they kept for it is counted", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.upstream.held.add("DeclareMiningJob");
    bench.newTemplate();
    miner.mine();
    bench.upstream.declarationError = "invalid-job";
    bench.upstream.release();
    expect(paid(bench)).toEqual(SOLO_SCRIPT);
    expect([
      bench.count("sharesDiscarded", "session-ended"),
      bench.count("sessionFailures", "declaration-refused"),
    ]).toEqual([1, 1]);
    miner.mine();
    expect(miner.accepted).toBe(2);
  });

  test("find late shares of the upstream that was left, and those still go to it for a while", () => {
    const bench = new Bench({ upstreamCount: 2 });
    const [first, second] = bench.upstreams;
    bench.newTip();
    const miner = bench.join();
    first!.crash();
    const old = miner.job;
    first!.isUp = true;
    bench.tick(13);
    expect(bench.core.status().mining_for).toBe("upstream-0");
    miner.mine({ job: old });
    expect([second!.credited, miner.rejected]).toEqual([1, []]);
    bench.tick(11);
    expect(bench.trace.at(-1)).toBe("end 1");
    miner.mine({ job: old });
    expect([second!.credited, bench.count("sharesDiscarded", "session-ended")]).toEqual([1, 1]);
  });

  test("find shares of a job that the upstream they left takes only then, and those still go to it", () => {
    const bench = new Bench({ upstreamCount: 2 });
    const [first, second] = bench.upstreams;
    bench.newTip();
    const miner = bench.join();
    first!.crash();
    first!.isUp = true;
    bench.tick(8);
    second!.held.add("SetCustomMiningJob");
    bench.newTemplate();
    miner.mine();
    bench.tick(5);
    expect([bench.core.status().mining_for, bench.core.status().cached_shares]).toEqual(["upstream-0", 1]);
    second!.release();
    expect([second!.credited, bench.core.status().cached_shares]).toEqual([1, 0]);
  });

  test("get no work before it is known whom they mine for", () => {
    const bench = new Bench({ upstreamCount: 1 });
    expect(bench.core.isServing).toBe(false);
    bench.newTip();
    expect(bench.core.isServing).toBe(true);
    const alone = new Bench({ upstreamCount: 2, soloAfterMs: 5000 });
    for (const upstream of alone.upstreams) upstream.crash();
    expect(alone.core.status().mining_for).toBe("solo");
  });

  test("that are many keep their places in the search space when the upstream's extranonce is another", () => {
    const bench = new Bench({ upstreamCount: 2 });
    bench.newTip();
    const miners = [bench.join(), bench.join(), bench.join()];
    const places = () => miners.map(({ job }) => job.extranoncePrefix);
    const before = places().map((prefix) => prefix.slice(-2));
    bench.upstreams[0]!.crash();
    expect(places().map((prefix) => prefix.slice(-2))).toEqual(before);
    expect(places().map((prefix) => prefix[0])).toEqual([0x11, 0x11, 0x11]);
    for (const miner of miners) miner.mine();
    // The pool's target is for the three of them together.
    const sent = 3 - bench.count("sharesBelowUpstreamTarget");
    expect([bench.upstreams[1]!.credited, bench.count("sharesRejectedUpstream")]).toEqual([sent, 0]);
  });
});

const mute = (upstream: TestUpstream): void => {
  upstream.isMute = true;
};

test("an upstream that does not come up is given up after a while, and the next is used meanwhile", () => {
  const bench = new Bench({ upstreamCount: 2, prepare: (upstream) => upstream.place === 0 && mute(upstream) });
  bench.tick(2);
  expect(bench.core.status().mining_for).toBe("upstream-1");
  bench.tick(27);
  expect(bench.count("sessionFailures")).toBe(0);
  bench.tick(1);
  expect(bench.count("sessionFailures", "connection-timeout")).toBe(1);
});

test("an upstream whose extranonce leaves no room in the coinbase is left, and nothing of it stays", () => {
  const bench = new Bench({ upstreamCount: 2, server: { ...serverOptions, coinbaseTag: "x".repeat(75) } });
  bench.newTip();
  const miner = bench.join();
  expect(bench.count("sessionFailures", "extranonce-unusable")).toBe(2);
  expect(bench.core.status().mining_for).toBe("solo");
  const steps = (what: string) => bench.trace.filter((step) => step.startsWith(what)).length;
  expect([steps("begin"), steps("end")]).toEqual([2, 2]);
  expect(bench.upstreams.map(({ session }) => session)).toEqual([undefined, undefined]);
  expect(paid(bench)).toEqual(SOLO_SCRIPT);
  miner.mine();
  expect(miner.accepted).toBe(1);
});

test("an upstream that is not needed any more before it is ready is ended at once", () => {
  const bench = new Bench({ upstreamCount: 2, prepare: mute });
  bench.tick(2);
  bench.trace.length = 0;
  bench.upstream.wake();
  expect(bench.core.status().mining_for).toBe("upstream-0");
  expect(bench.trace.filter((step) => step.startsWith("end"))).toEqual(["end -"]);
});

test("an upstream that fails in the moment in which it is taken does not keep the session of another alive", () => {
  const server = { ...serverOptions, coinbaseTag: "x".repeat(75) };
  const bench = new Bench({ upstreamCount: 2, server, prepare: mute });
  bench.newTip();
  bench.tick(2);
  bench.upstream.wake();
  const steps = (what: string) => bench.trace.filter((step) => step.startsWith(what)).length;
  const busy = bench.core.status().upstreams.filter(({ state }) => state !== "resting").length;
  expect([steps("begin") - steps("end"), busy]).toEqual([1, 1]);
});

test("miners' targets are never harder than the pool's, and their own again in solo mining", () => {
  const bench = new Bench({ easyPools: true });
  bench.newTip();
  const miner = bench.join();
  expect(miner.job.target).toBeGreaterThan(MAX_TARGET / 2n);
  bench.upstream.crash();
  expect(miner.job.target).toBeLessThan(MAX_TARGET / 5n);
});
