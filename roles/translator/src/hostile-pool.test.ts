import { defaultChannelLimits } from "@adit/channels";
import { type NewExtendedMiningJob, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { type Bench, connectedBench } from "./testing/bench.ts";
import { poolJob } from "./testing/pool-job.ts";

const EXTRANONCE_SIZE = 20;

function left(bench: Bench): readonly string[] {
  return bench.effects.flatMap((effect) => (effect.type === "end-session" ? [effect.reason] : []));
}

function channelOf(bench: Bench): number {
  const [channelId = 0] = bench.observer.channels.keys();
  return channelId;
}

describe("a pool is left for a job that", () => {
  const usable = poolJob(EXTRANONCE_SIZE);
  const sibling = u256(new Uint8Array(32).fill(1));
  const spends = usable.coinbaseTxPrefix.slice();
  spends[5] = 1;
  test.each<[string, Partial<NewExtendedMiningJob>, RegExp]>([
    ["has no coinbase", { coinbaseTxPrefix: new Uint8Array(), coinbaseTxSuffix: new Uint8Array() }, /cannot be read/],
    ["has junk for a coinbase", { coinbaseTxPrefix: new Uint8Array(500).fill(0xff) }, /cannot be read/],
    ["has a coinbase that spends something", { coinbaseTxPrefix: spends }, /another transaction/],
    ["takes an extranonce of another size", poolJob(EXTRANONCE_SIZE - 1), /cannot be read/],
    ["has a coinbase no firmware has room for", { coinbaseTxSuffix: new Uint8Array(65_000) }, /has 65\d{3} bytes/],
    ["has a merkle path no block needs", { merklePath: Array(255).fill(sibling) }, /255 hashes/],
  ])("%s, and miners never see it", (_what, changes, reason) => {
    const bench = connectedBench();
    const miner = bench.join();
    const { length } = miner.notices;
    bench.fromPool({ ...usable, ...changes, channelId: channelOf(bench) });
    expect(left(bench)).toEqual([expect.stringMatching(reason)]);
    expect([miner.notices.length, miner.closeReason]).toEqual([length, undefined]);
  });

  test("has a coinbase script longer than consensus allows", () => {
    const bench = connectedBench();
    bench.join();
    const { coinbaseTxPrefix: prefix } = usable;
    const scriptSize = prefix[41] ?? 0;
    const long = new Uint8Array(prefix.length + 90);
    long.set(prefix.subarray(0, 42));
    long[41] = scriptSize + 90;
    long.set(prefix.subarray(42), 42 + 90);
    bench.fromPool({ ...usable, coinbaseTxPrefix: long, channelId: channelOf(bench) });
    expect(left(bench)).toEqual([expect.stringMatching(/coinbase script has 1\d\d bytes/)]);
  });
});

describe("a pool that", () => {
  test("floods with jobs has miners told twenty a second and then the newest, a new tip as a new tip", () => {
    const limits = { ...defaultChannelLimits, jobsPerSecond: 1_000_000, jobBurst: 1_000_000 };
    const bench = connectedBench({ pool: { limits } });
    const miner = bench.join();
    bench.tick();
    const { length } = miner.heard("mining.notify");
    for (let job = 0; job < 500; job += 1) {
      if (job === 100) bench.newTip();
      else bench.newWork();
    }
    expect(miner.heard("mining.notify")).toHaveLength(length + 20);
    bench.tick();
    const [newest, ...more] = miner.heard("mining.notify").slice(length + 20);
    expect([newest?.params.at(-1), more.length]).toEqual([true, 0]);
    miner.mine();
    expect([miner.results, bench.rejected]).toEqual([["accepted"], []]);
    bench.tick();
    bench.newWork();
    expect(miner.heard("mining.notify").at(-1)?.params.at(-1)).toBe(false);
  });

  test("breaks rule after rule is left, and miners stay", () => {
    const bench = connectedBench();
    const miner = bench.join();
    for (let fault = 0; fault < 17; fault += 1) {
      bench.fromPool({ name: "CloseChannel", channelId: 4000 + fault, reasonCode: "" });
    }
    expect(left(bench)).toEqual(["protocol-fault: the upstream keeps breaking the protocol: unknown-channel"]);
    expect(miner.closeReason).toBeUndefined();
  });

  test("refuses every channel is left after half a minute, and one without miners is not", () => {
    const bench = connectedBench({
      pool: { extranonce: { totalSize: 8, prefix: Uint8Array.of(1), indexSize: 3, start: 0 } },
    });
    bench.tick(100);
    expect(left(bench)).toEqual([]);
    bench.join();
    bench.tick(32);
    expect(left(bench)[0]).toBe("no-work: the upstream gives no work");
  });
});
