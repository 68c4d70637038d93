import { decodeTransaction } from "@adit/bitcoin";
import type { MiningMessage } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { Bench, rulesOf, SOLO_SCRIPT } from "./testing/bench.ts";
import { payoutScript } from "./testing/test-upstream.ts";

/** A Reconnect to an upstream of the bench, by its place. */
function elsewhere(place: number): MiningMessage {
  return { name: "Reconnect", newHost: "", newPort: place } as unknown as MiningMessage;
}

/** One upstream in the config, and others that it may name; a miner mines for it. */
function scene(upstreamCount = 2): Bench {
  const bench = new Bench({ upstreamCount, rules: [rulesOf(0)] });
  bench.newTip();
  bench.join();
  bench.trace.length = 0;
  return bench;
}

function paid({ miners }: Bench): Uint8Array | undefined {
  return decodeTransaction(miners[0]!.coinbase).outputs[0]?.script;
}

const sessions = ({ trace }: Bench) => trace.filter((step) => /^(begin|end)/.test(step));
const results = (bench: Bench) =>
  Object.fromEntries(
    [...bench.counts].flatMap(([key, count]) =>
      key.startsWith("reconnects ") ? [[key.slice("reconnects ".length), count]] : [],
    ),
  );

describe("miners of a pool that asks to be reached elsewhere", () => {
  test("mine there once all is ready, and what they find late still goes where it belongs", () => {
    const bench = scene();
    const [first, second] = bench.upstreams;
    const [miner] = bench.miners;
    miner!.mine();
    const old = miner!.job;
    first!.sayPool(elsewhere(1));
    expect([paid(bench), bench.core.status().mining_for]).toEqual([payoutScript(1), "upstream-0"]);
    miner!.mine();
    miner!.mine({ job: old });
    expect([first!.credited, second!.credited, miner!.rejected]).toEqual([2, 1, []]);
    expect([sessions(bench), results(bench), bench.count("switches")]).toEqual([
      ["begin 0 pool 1"],
      { followed: 1 },
      1,
    ]);
  });

  test("stay until the new session has a channel and a token", () => {
    const bench = scene();
    const [first, second] = bench.upstreams;
    second!.held.add("AllocateMiningJobToken");
    first!.sayPool(elsewhere(1));
    bench.miners[0]!.mine();
    expect([paid(bench), first!.credited]).toEqual([payoutScript(0), 1]);
    second!.release();
    expect(paid(bench)).toEqual(payoutScript(1));
  });

  test("are credited for the shares that were kept for a job which the old pool takes only then", () => {
    const bench = scene();
    const [first] = bench.upstreams;
    first!.held.add("DeclareMiningJob");
    bench.newTemplate();
    bench.miners[0]!.mine();
    first!.sayPool(elsewhere(1));
    expect([paid(bench), bench.core.pendingShares]).toEqual([payoutScript(1), 1]);
    first!.release();
    expect([first!.credited, bench.core.pendingShares, bench.count("sharesDiscarded")]).toEqual([1, 0, 0]);
  });

  test("leave the old session as soon as it owes nothing, and in ten seconds in any case", () => {
    const quick = scene();
    quick.upstream.sayPool(elsewhere(1));
    quick.tick(2);
    expect(sessions(quick)).toEqual(["begin 0 pool 1"]);
    quick.tick(1);
    expect(sessions(quick)).toEqual(["begin 0 pool 1", "end 0"]);

    const owing = scene();
    owing.upstream.held.add("SubmitSharesExtended");
    owing.miners[0]!.mine();
    owing.upstream.sayPool(elsewhere(1));
    owing.tick(9);
    expect(sessions(owing)).toEqual(["begin 0 pool 1"]);
    owing.tick(1);
    expect([sessions(owing).at(-1), owing.count("sharesUnanswered")]).toEqual(["end 0", 1]);
  });

  test("stay with it when nobody is there", () => {
    const bench = scene();
    bench.upstreams[1]!.isUp = false;
    bench.upstream.sayPool(elsewhere(1));
    bench.miners[0]!.mine();
    expect([paid(bench), bench.upstream.credited, bench.count("switches")]).toEqual([payoutScript(0), 1, 1]);
    expect(results(bench)).toEqual({ followed: 1, failed: 1 });
  });

  test("stay with it when whoever is there gives no work in half a minute", () => {
    const bench = scene();
    bench.upstreams[1]!.held.add("AllocateMiningJobToken");
    // It is not for its tokens that it is given up.
    bench.upstreams[1]!.isMute = true;
    bench.upstream.sayPool(elsewhere(1));
    bench.tick(29);
    expect(sessions(bench)).toEqual(["begin 0 pool 1"]);
    bench.tick(1);
    expect([sessions(bench).at(-1), paid(bench), results(bench)["failed"]]).toEqual(["end -", payoutScript(0), 1]);
  });

  test("mine alone while the pool is gone and the other not there yet", () => {
    const bench = scene();
    const [first, second] = bench.upstreams;
    second!.held.add("AllocateMiningJobToken");
    first!.sayPool(elsewhere(1));
    first!.crash();
    expect([paid(bench), bench.core.status().mining_for]).toEqual([SOLO_SCRIPT, "solo"]);
    bench.miners[0]!.mine();
    expect(bench.count("sharesSolo")).toBe(1);
    second!.release();
    expect([paid(bench), bench.count("switches", "reconnected")]).toEqual([payoutScript(1), 1]);
    expect(sessions(bench)).toEqual(["begin 0 pool 1", "end -"]);
  });

  test("mine for the next pool when the first one is gone and does not come where it asked to be reached", () => {
    const bench = new Bench({ upstreamCount: 3, rules: [rulesOf(0), rulesOf(1)] });
    bench.newTip();
    bench.join();
    const [first, , third] = bench.upstreams;
    third!.isMute = true;
    first!.sayPool(elsewhere(2));
    first!.crash();
    bench.tick(9);
    expect(bench.core.status().mining_for).toBe("solo");
    bench.tick(1);
    expect([bench.core.status().mining_for, paid(bench)]).toEqual(["upstream-1", payoutScript(1)]);
    expect(bench.count("sessionFailures", "reconnect-failed")).toBe(1);
  });

  test("mine for the next pool when it breaks the rules, wherever it asked to be reached", () => {
    const bench = new Bench({ upstreamCount: 3, rules: [rulesOf(0), rulesOf(1)] });
    bench.newTip();
    bench.join();
    const [first, , third] = bench.upstreams;
    third!.held.add("AllocateMiningJobToken");
    first!.sayPool(elsewhere(2));
    first!.sayPool({ name: "CloseChannel", channelId: first!.channelId, reasonCode: "enough" });
    expect([bench.core.status().mining_for, paid(bench), third!.session]).toEqual([
      "upstream-1",
      payoutScript(1),
      undefined,
    ]);
  });
});

describe("a job declarator that asks to be reached elsewhere", () => {
  test("is followed there, and its pool stays where it is", () => {
    const bench = scene();
    bench.upstream.sayJds(elsewhere(1) as never);
    expect([sessions(bench), paid(bench)]).toEqual([["begin 0 jds 1"], payoutScript(1)]);
  });

  test("together with its pool is one move of both", () => {
    const bench = scene(3);
    const [first, second] = bench.upstreams;
    second!.held.add("AllocateMiningJobToken");
    first!.sayJds(elsewhere(1) as never);
    first!.sayPool(elsewhere(2));
    expect([sessions(bench), paid(bench)]).toEqual([
      ["begin 0 jds 1", "begin 0 jds 1 pool 2", "end 1"],
      payoutScript(2),
    ]);
    expect(results(bench)).toEqual({ followed: 2 });
  });

  test("after its pool has moved does not send that back", () => {
    const bench = scene(2);
    bench.upstream.sayPool(elsewhere(1));
    bench.tick(4);
    bench.upstreams[1]!.sayJds(elsewhere(0) as never);
    expect(sessions(bench)).toContain("begin 0 pool 1 jds 0");
  });
});

describe("a request to connect elsewhere is not followed", () => {
  test("while one of the same part is", () => {
    const bench = scene(3);
    bench.upstreams[1]!.isMute = true;
    for (const place of [1, 2]) bench.upstream.sayPool(elsewhere(place));
    expect([sessions(bench), results(bench)]).toEqual([["begin 0 pool 1"], { followed: 1, "under-way": 1 }]);
  });

  test("from a pool that is not mined for", () => {
    const bench = scene();
    bench.upstream.sayPool(elsewhere(1));
    bench.upstream.sayPool(elsewhere(1));
    expect(results(bench)).toEqual({ followed: 1, "not-in-use": 1 });
  });

  test("for the fourth time in a row, nor more than once a minute then", () => {
    const bench = scene();
    bench.upstreams[1]!.isUp = false;
    for (let time = 0; time < 4; time += 1) bench.upstream.sayPool(elsewhere(1));
    expect(results(bench)).toEqual({ followed: 3, failed: 3, "too-often": 1 });
    bench.tick(60);
    for (let time = 0; time < 2; time += 1) bench.upstream.sayPool(elsewhere(1));
    expect(results(bench)).toEqual({ followed: 4, failed: 4, "too-often": 2 });
  });
});
