import { decodeTransaction } from "@adit/bitcoin";
import type { MiningMessage } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { Bench, SOLO_SCRIPT } from "./testing/bench.ts";
import { payoutScript } from "./testing/test-upstream.ts";

/** A bench whose miner mines for the first of its upstreams, which alone is listed. */
function scene(upstreamCount = 2): Bench {
  const bench = new Bench({ upstreamCount });
  bench.newTip();
  bench.join();
  bench.list(0);
  bench.trace.length = 0;
  bench.counts.clear();
  return bench;
}

function paid({ miners }: Bench): Uint8Array | undefined {
  return decodeTransaction(miners[0]!.coinbase).outputs[0]?.script;
}

const sessions = ({ trace }: Bench) => trace.filter((step) => /^(begin|end)/.test(step));

describe("another list of upstreams", () => {
  test("that puts one before the one in use moves the miners once that is ready, with every share credited", () => {
    const bench = scene();
    const [first, second] = bench.upstreams;
    const [miner] = bench.miners;
    second!.held.add("AllocateMiningJobToken");
    bench.list(1, 0);
    miner!.mine();
    expect([first!.credited, paid(bench)]).toEqual([1, payoutScript(0)]);
    const old = miner!.job;
    second!.release();
    expect([paid(bench), bench.count("switches", "better-upstream-ready")]).toEqual([payoutScript(1), 1]);
    miner!.mine();
    miner!.mine({ job: old });
    expect([first!.credited, second!.credited, miner!.rejected]).toEqual([2, 1, []]);
  });

  test("without the one in use keeps it until another is ready, and late shares still go to it", () => {
    const bench = scene();
    const [first, second] = bench.upstreams;
    const [miner] = bench.miners;
    second!.isMute = true;
    bench.list(1);
    bench.tick(2);
    miner!.mine();
    expect([first!.credited, paid(bench)]).toEqual([1, payoutScript(0)]);
    expect(bench.core.status()).toMatchObject({
      mining_for: "upstream-0",
      upstreams: [
        { name: "upstream-1", listed: true, in_use: false },
        { name: "upstream-0", listed: false, in_use: true },
      ],
    });
    const old = miner!.job;
    second!.wake();
    expect([paid(bench), bench.count("switches", "upstream-removed")]).toEqual([payoutScript(1), 1]);
    miner!.mine({ job: old });
    expect([first!.credited, miner!.rejected]).toEqual([2, []]);
    bench.tick(10);
    expect(sessions(bench)).toEqual(["begin 1", "end 0"]);
  });

  test("without any makes miners mine alone, and what they find late is credited", () => {
    const bench = scene();
    const [miner] = bench.miners;
    const old = miner!.job;
    bench.list();
    expect([paid(bench), bench.core.status().mining_for]).toEqual([SOLO_SCRIPT, "solo"]);
    miner!.mine({ job: old });
    miner!.mine();
    expect([bench.upstream.credited, bench.count("sharesSolo"), miner!.rejected]).toEqual([1, 1, []]);
    bench.list(0);
    bench.tick();
    expect(bench.core.status().mining_for).toBe("solo");
  });

  test("in which the one in use is stays with it, wherever it stands and however often", () => {
    const bench = scene(3);
    for (const places of [[0, 1, 2], [0], [0, 2]]) bench.list(...places);
    bench.miners[0]!.mine();
    expect([sessions(bench), bench.upstream.credited, bench.count("switches")]).toEqual([[], 1, 0]);
    expect([bench.count("routeChanges", "added"), bench.count("routeChanges", "removed")]).toEqual([3, 2]);
  });

  test("ends the session that was tried with one that it has not", () => {
    const bench = scene();
    bench.upstreams[1]!.isMute = true;
    bench.list(1, 0);
    bench.list(0);
    expect(sessions(bench)).toEqual(["begin 1", "end -"]);
  });

  test("ends what an upstream asked to be followed to, when another is mined for before that is ready", () => {
    const bench = scene(3);
    const [first, second, third] = bench.upstreams;
    third!.isMute = true;
    first!.sayPool({ name: "Reconnect", newHost: "", newPort: 2 } as unknown as MiningMessage);
    second!.isMute = true;
    bench.list(1);
    second!.wake();
    expect([paid(bench), sessions(bench)]).toEqual([payoutScript(1), ["begin 0 pool 2", "begin 1", "end -"]]);
    expect(bench.core.status().upstreams).toMatchObject([{ name: "upstream-1", in_use: true }]);
  });
});
