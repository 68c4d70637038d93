import { target as asTarget, targetToBytes } from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { Bench } from "./testing/bench.ts";

describe("a race", () => {
  test("of a new tip with a declaration: the old job is not set, and its refusal is nobody's fault", () => {
    const bench = new Bench();
    bench.upstream.held.add("DeclareMiningJob");
    bench.newTip();
    const miner = bench.join();
    miner.mine();
    bench.newTip();
    bench.upstream.declarationError = "stale-chain-tip";
    bench.upstream.release();
    bench.upstream.declarationError = undefined;
    expect(bench.count("sharesDiscarded", "stale-job")).toBe(1);
    expect(bench.upstream.named("SetCustomMiningJob")).toEqual([]);
    bench.tick(4);
    miner.mine();
    expect([bench.core.status().mining_for, bench.upstream.credited]).toEqual(["upstream-0", 1]);
  });

  test("with an upstream that hears of the tip first: of the jobs that wait, no other is asked about for a while", () => {
    const bench = new Bench();
    bench.newTip();
    bench.join();
    bench.upstream.held.add("DeclareMiningJob");
    for (let template = 0; template < 5; template += 1) bench.newTemplate();
    const before = bench.upstream.named("DeclareMiningJob").length;
    bench.upstream.declarationError = "stale-chain-tip";
    bench.upstream.release();
    expect(bench.upstream.named("DeclareMiningJob")).toHaveLength(before);
    bench.upstream.declarationError = undefined;
    bench.newTip();
    bench.tick(4);
    expect(bench.core.status()).toMatchObject({ mining_for: "upstream-0", switches: 1 });
  });

  test("of a new tip between declaration and custom job: only the job of the new tip is set", () => {
    const bench = new Bench();
    bench.upstream.held.add("DeclareMiningJob");
    bench.newTip();
    bench.join();
    bench.newTip();
    bench.upstream.release();
    const set = bench.upstream.named("SetCustomMiningJob");
    expect(set.map(({ prevHash }) => prevHash[0])).toEqual([0xa2]);
  });

  test("of a new tip with the pool's answer: shares of the old job still go where they may count", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.upstream.held.add("SetCustomMiningJob");
    bench.newTemplate();
    miner.mine();
    bench.newTip({ pools: false });
    bench.upstream.release();
    expect([bench.upstream.credited, bench.core.status().mining_for]).toEqual([1, "upstream-0"]);
  });

  test("with a pool that hears of the tip later and waits for it: shares are kept until it does", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.newTip({ pools: false });
    miner.mine();
    expect(bench.upstream.credited).toBe(0);
    bench.poolsTip();
    expect([bench.upstream.credited, bench.count("jobs", "custom-job-refused")]).toEqual([1, 0]);
  });

  test("with a pool that hears of the tip later and refuses: the job is tried again, its shares are kept", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.upstream.refusal = "stale-chain-tip";
    bench.newTip();
    miner.mine();
    expect(bench.count("jobs", "custom-job-refused")).toBe(1);
    bench.upstream.refusal = undefined;
    bench.tick(3);
    expect([bench.upstream.credited, bench.core.status().mining_for]).toEqual([1, "upstream-0"]);
  });

  test("with a pool that never hears of the tip is over at the third refusal", () => {
    const bench = new Bench();
    bench.newTip();
    bench.upstream.refusal = "stale-chain-tip";
    bench.newTip();
    bench.tick(5);
    expect(bench.core.status().mining_for).toBe("upstream-0");
    bench.tick();
    expect(bench.count("sessionFailures", "custom-job-refused")).toBe(1);
    expect(bench.core.status().mining_for).toBe("solo");
  });

  test("with a pool that hears of the tip earlier: late shares are forgiven", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.poolsTip(undefined, 1);
    for (let share = 0; share < 5; share += 1) miner.mine();
    bench.tick(5);
    bench.newTip({ pools: false });
    bench.tick(20);
    expect([bench.count("sharesRejectedUpstream", "stale-share"), bench.core.status().mining_for]).toEqual([
      5,
      "upstream-0",
    ]);
  });

  test("with a pool that calls our tip stale, though it stays, is none: it is left", () => {
    const bench = new Bench();
    bench.newTip();
    bench.tick(10);
    const miner = bench.join();
    bench.poolsTip(undefined, 1);
    miner.mine();
    bench.tick(9);
    expect(bench.core.status().mining_for).toBe("upstream-0");
    bench.tick(1);
    expect(bench.core.status().mining_for).toBe("solo");
  });

  test("that is lost now and then is forgotten when the next job is taken", () => {
    const bench = new Bench();
    for (let tip = 0; tip < 4; tip += 1) {
      bench.upstream.refusal = "stale-chain-tip";
      bench.newTip();
      bench.upstream.refusal = undefined;
      bench.tick(3);
    }
    expect([bench.count("jobs", "custom-job-refused"), bench.core.status().mining_for]).toEqual([4, "upstream-0"]);
  });

  test("of a new target with a share: the share is forgiven, for ten seconds", () => {
    const bench = new Bench();
    bench.newTip();
    bench.upstream.held.add("SubmitSharesExtended");
    const miner = bench.join();
    const { channelId } = bench.upstream;
    const refuse = (sequenceNumber: number) => {
      miner.mine();
      bench.upstream.sayPool({ name: "SubmitSharesError", channelId, sequenceNumber, errorCode: "difficulty-too-low" });
    };
    // By then the pool has heard of the miner's hashrate, and set the target for that.
    bench.tick(5);
    bench.upstream.harden(u256(targetToBytes(asTarget(miner.channel.target / 2n))));
    bench.tick(9);
    refuse(0);
    expect(bench.core.status().mining_for).toBe("upstream-0");
    bench.tick(1);
    refuse(1);
    expect(bench.count("sessionFailures", "share-rejected")).toBe(1);
  });

  test("of a new template with the transactions of the one before: both are declared", () => {
    const bench = new Bench();
    bench.givesTransactions = false;
    bench.newTip();
    const miner = bench.join();
    miner.mine();
    bench.newTemplate();
    miner.mine();
    bench.giveTransactions();
    expect([bench.count("jobs", "accepted"), bench.upstream.credited]).toEqual([2, 2]);
  });

  test("of a harder target with a job on its way: its shares are judged by the target that the pool judges them by", () => {
    const bench = new Bench();
    bench.upstream.held.add("SetCustomMiningJob");
    bench.newTip();
    const miner = bench.join();
    for (let share = 0; share < 40; share += 1) miner.mine();
    bench.upstream.harden(u256(targetToBytes(asTarget(miner.channel.target / 4n))));
    bench.upstream.release();
    const { shares_submitted: submitted } = bench.core.status();
    expect(submitted).toBeGreaterThan(0);
    expect(submitted + bench.count("sharesBelowUpstreamTarget")).toBe(40);
    expect([bench.upstream.credited, bench.count("sharesRejectedUpstream")]).toEqual([submitted, 0]);
  });
});
