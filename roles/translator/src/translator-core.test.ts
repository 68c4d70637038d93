import { hex, MAX_TARGET, targetFromDifficulty } from "@adit/bitcoin";
import { defaultChannelLimits } from "@adit/channels";
import { u256 } from "@adit/codec";
import { defaultSv1Limits } from "@adit/sv1";
import { describe, expect, test } from "vitest";
import { Bench, connectedBench } from "./testing/bench.ts";
import type { BenchMiner } from "./testing/bench-miner.ts";
import { poolJob } from "./testing/pool-job.ts";

const separate = { upstream: { aggregateChannels: false } };

function methods(miner: BenchMiner): readonly string[] {
  return miner.notices.map(({ method }) => method);
}

function counted(bench: Bench, counter: string): number {
  return bench.effects.reduce((sum, effect) => {
    return effect.type === "count" && effect.counter === counter ? sum + effect.by : sum;
  }, 0);
}

describe("upstream channels", () => {
  test("are not asked for by connections that do not speak Stratum, or only ask what there is", () => {
    const bench = connectedBench();
    bench.dial();
    bench.dial().say("GET / HTTP/1.1");
    bench.dial().say('{"id":1,"method":"mining.get_transactions","params":[]}');
    bench.tick(5);
    expect(bench.upward).toEqual([]);
  });

  test("are one for all miners when aggregated, and one a miner when not", () => {
    const one = connectedBench();
    for (let at = 0; at < 10; at += 1) one.join();
    expect(one.sent("OpenExtendedMiningChannel")).toHaveLength(1);
    const many = connectedBench(separate);
    for (let at = 0; at < 10; at += 1) many.join();
    expect(many.sent("OpenExtendedMiningChannel")).toHaveLength(10);
  });

  test("are opened for the account, with the hashrate of the miners that are there", () => {
    const bench = new Bench();
    bench.newTip();
    bench.join();
    bench.join();
    expect(bench.upward).toEqual([]);
    bench.connect();
    expect(bench.sent("OpenExtendedMiningChannel")).toMatchObject([
      { userIdentity: "account", nominalHashRate: 200, minExtranonceSize: 12 },
    ]);
  });

  test("hear of a changed sum of hashrates once, a second after miners stopped coming, and never before they are open", () => {
    const bench = new Bench();
    bench.connect();
    // The pool holds the request until it has a template.
    bench.join();
    bench.join();
    bench.tick(4);
    expect(bench.sent("UpdateChannel")).toEqual([]);
    bench.newTip();
    bench.join();
    expect(bench.sent("UpdateChannel")).toEqual([]);
    bench.tick(5);
    expect(bench.sent("UpdateChannel")).toMatchObject([{ nominalHashRate: 300 }]);
  });

  test("of a miner are closed when it leaves; a shared one stays for the others", () => {
    const many = connectedBench(separate);
    many.join().leave();
    const stays = many.join();
    expect(many.sent("CloseChannel")).toHaveLength(1);
    expect(many.core.status().upstream_channels).toHaveLength(1);
    stays.mine();
    expect(many.recorded).toHaveLength(1);
    const one = connectedBench();
    one.join().leave();
    expect(one.sent("CloseChannel")).toEqual([]);
  });

  test("of a miner that leaves are closed, and its shares without an answer are counted", () => {
    const bench = connectedBench({ ...separate, pool: { shareBatchSize: 100, ackIntervalMs: 100_000 } });
    const miner = bench.join();
    miner.mine();
    miner.mine();
    miner.leave();
    expect(bench.core.status()).toMatchObject({ shares_submitted: 2, shares_acknowledged: 0, shares_unanswered: 2 });
  });

  test("that open after their miner left are closed", () => {
    const bench = new Bench(separate);
    bench.connect();
    bench.join().leave();
    bench.newTip();
    expect(bench.sent("CloseChannel")).toHaveLength(1);
    expect(bench.observer.channels.size).toBe(1);
  });

  test("are asked for again with less extranonce when the pool cannot give that much", () => {
    const bench = connectedBench({
      pool: { extranonce: { totalSize: 14, prefix: Uint8Array.of(1), indexSize: 3, start: 0 } },
    });
    const miner = bench.join();
    expect(bench.sent("OpenExtendedMiningChannel").map((open) => open.minExtranonceSize)).toEqual([12, 10]);
    expect([miner.extranonce1, miner.work.extranonce2Size]).toEqual([expect.stringMatching(/^[0-9a-f]{4}$/), 8]);
    miner.mine();
    expect([bench.recorded.length, bench.rejected]).toEqual([1, []]);
  });

  test("that are refused are asked for again, later each time, and the miner stays", () => {
    const bench = connectedBench();
    bench.pooled({ type: "disconnected", connection: bench.connection });
    const miner = bench.join();
    const refuse = (): void => {
      const [last] = bench.sent("OpenExtendedMiningChannel").slice(-1);
      bench.fromPool({ name: "OpenMiningChannelError", requestId: last?.requestId ?? 0, errorCode: "unknown-user" });
    };
    const gaps: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      refuse();
      const before = bench.now;
      const asked = bench.sent("OpenExtendedMiningChannel").length;
      while (bench.sent("OpenExtendedMiningChannel").length === asked) bench.tick();
      gaps.push((bench.now - before) / 1000);
    }
    expect(gaps).toEqual([1, 2, 3, 5]);
    expect(miner.closeReason).toBeUndefined();
  });
});

describe("a miner's work", () => {
  test("comes with its difficulty at once when it subscribes, also late, and asks it to drop nothing but dead work", () => {
    const bench = connectedBench();
    const first = bench.join();
    expect(methods(first)).toEqual(["mining.set_difficulty", "mining.notify"]);
    bench.now += 30_000;
    const late = bench.join();
    expect(methods(late)).toEqual(["mining.set_difficulty", "mining.notify"]);
    expect(late.work.ntime - first.work.ntime).toBe(30);
    bench.newWork();
    bench.newTip();
    expect(first.heard("mining.notify").map(({ params }) => params[8])).toEqual([true, false, true]);
  });

  test("has an extranonce1 of its own, never zero, and one that was used on a live job is not given again", () => {
    const bench = connectedBench({ upstream: { random: () => 0 } });
    const miners = Array.from({ length: 20 }, () => bench.join());
    expect(new Set(miners.map(({ extranonce1 }) => extranonce1)).size).toBe(20);
    for (const miner of miners) expect(miner.extranonce1).toMatch(/^0000(?!0000)[0-9a-f]{4}$/);
    miners[0]?.leave();
    expect(bench.join().extranonce1).toBe("00000015");
  });

  test("earns the account, named by worker, and forwards only what meets the upstream's target", () => {
    const bench = connectedBench({ pool: { minHashrate: 800 } });
    const miner = bench.join("account.rig7");
    const target = bench.upstreamTarget;
    const isWeak = (hash: Uint8Array): boolean => {
      const value = BigInt(`0x${hex(hash.toReversed())}`);
      return value > target && value <= miner.work.target;
    };
    miner.mine(miner.work, isWeak);
    miner.mine(miner.work, (hash) => BigInt(`0x${hex(hash.toReversed())}`) <= target);
    miner.mine(miner.work, (hash) => BigInt(`0x${hex(hash.toReversed())}`) <= target);
    expect(miner.results).toEqual(["accepted", "accepted", "accepted"]);
    expect(counted(bench, "sharesBelowUpstreamTarget")).toBe(1);
    expect(bench.sent("SubmitSharesExtended").map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1]);
    expect(bench.recorded.map(({ userIdentity, worker }) => [userIdentity, worker])).toEqual([
      ["account", "rig7"],
      ["account", "rig7"],
    ]);
  });

  test("names no worker to a pool that did not agree to hear it", () => {
    const bench = connectedBench({ setup: { namesWorkers: false } });
    bench.join("account.rig7").mine();
    expect(bench.upward.map(({ worker }) => worker)).toEqual([undefined, undefined]);
    expect(bench.recorded).toHaveLength(1);
  });

  test("is sent again before a minute of silence, with time moved on, and is as good as new", () => {
    const bench = connectedBench();
    const miner = bench.join();
    const first = miner.work;
    // Past jobs of the miner stay good, too.
    bench.tick(200);
    const told = miner.heard("mining.notify");
    const gaps = told.slice(1).map(({ at }, index) => (at - (told[index]?.at ?? 0)) / 1000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(55);
    expect(told.length).toBeGreaterThanOrEqual(4);
    expect(new Set(told.map(({ params }) => params[0])).size).toBe(told.length);
    const times = told.map(({ params }) => Number.parseInt(String(params[7]), 16));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(miner.work.ntime - first.ntime).toBeGreaterThan(150);
    miner.mine();
    miner.mine(first);
    expect([bench.recorded.length, bench.rejected]).toEqual([2, []]);
  });

  test("is not sent again when that is turned off", () => {
    const bench = connectedBench({ miners: { keepaliveMs: 0, enableVardiff: false } });
    const miner = bench.join();
    bench.tick(200);
    expect(miner.heard("mining.notify")).toHaveLength(1);
  });
});

describe("a miner's difficulty", () => {
  test("is never harder than the target of the upstream job it works on, as long as it may send that many shares", () => {
    const bench = connectedBench({ miners: { startHashrate: 1000, sharesPerMinute: 6 } });
    bench.join();
    const miner = bench.join();
    for (let round = 1; round < 6; round += 1) {
      const { channelId } = [...bench.observer.channels.values()][0] ?? { channelId: 0 };
      const maximumTarget = u256(new Uint8Array(32).fill(0xff, 0, 32 - round));
      bench.fromPool({ name: "SetTarget", channelId, maximumTarget });
      bench.newWork();
      expect(miner.work.target >= bench.upstreamTarget || miner.work.difficulty === 1e-9).toBe(true);
    }
  });

  test.each([
    ["their own", true],
    ["the upstream's", false],
  ])(
    "at a pool that takes every hash keeps miners within the lines they may send, %s difficulty or not",
    (_whose, enableVardiff) => {
      const bench = connectedBench({
        miners: { startHashrate: 500, enableVardiff },
        // As good as every hash of such a channel is a share.
        pool: { sharesPerMinute: 60_000_000, limits: { ...defaultChannelLimits, shareBurst: 1_000_000 } },
      });
      const miners = [bench.join("a.slow"), bench.join("a.fast")];
      expect(bench.upstreamTarget).toBeGreaterThan((MAX_TARGET * 99n) / 100n);
      for (let second = 0; second < 60; second += 1) {
        for (const [at, miner] of miners.entries()) miner.hashes(at === 0 ? 500 : 2000, MAX_TARGET);
        bench.tick();
      }
      const rate = defaultSv1Limits.messagesPerSecond * 60;
      for (const { closeReason, results } of miners) {
        expect([closeReason, new Set(results)]).toEqual([undefined, new Set(["accepted"])]);
        expect(results.length).toBeGreaterThan(3);
        expect(results.length).toBeLessThan(rate / 2);
      }
      // What is found goes up, and the operator is told once that more could.
      expect(bench.rejected).toEqual([]);
      expect(bench.recorded).toHaveLength(miners.reduce((sum, { results }) => sum + results.length, 0));
      const warned = bench.effects.filter((effect) => effect.type === "log" && effect.event.includes("too easy"));
      expect(warned).toHaveLength(1);
    },
  );

  test("that a miner claims is not told upstream before its shares prove it", () => {
    const bench = connectedBench({ miners: { startHashrate: 100 } });
    bench.join();
    const liar = bench.join("a.liar");
    liar.say('{"id":9,"method":"mining.suggest_difficulty","params":[9000000000000000]}');
    bench.tick(30);
    expect(bench.sent("UpdateChannel")).toMatchObject([{ nominalHashRate: 200 }]);
    const quick = bench.join("a.quick");
    quick.say('{"id":9,"method":"mining.suggest_difficulty","params":[0.000003]}');
    for (let second = 0; second < 60; second += 1) {
      quick.hashes(1000, quick.work.target);
      bench.tick();
    }
    expect(quick.results.length).toBeGreaterThan(3);
    expect(bench.sent("UpdateChannel").at(-1)?.nominalHashRate).toBeGreaterThan(500);
  });

  test("changes with a job, right before it", () => {
    const bench = connectedBench({ miners: { startHashrate: 1e6 } });
    const miner = bench.join();
    bench.tick(400);
    const changes = miner.notices.flatMap(({ method }, at) => (method === "mining.set_difficulty" ? [at] : []));
    expect(changes.length).toBeGreaterThan(1);
    for (const at of changes) expect(miner.notices[at + 1]?.method).toBe("mining.notify");
    expect(miner.work.difficulty).toBeLessThan(0.0001);
  });

  test("follows what a miner asks for first, within the upstream's target", () => {
    const bench = connectedBench();
    const miner = bench.join();
    const before = miner.work.difficulty;
    miner.say('{"id":9,"method":"mining.suggest_difficulty","params":[0.00000001]}');
    const asked = miner.work.difficulty;
    miner.say('{"id":9,"method":"mining.suggest_difficulty","params":[0.000000002]}');
    expect([asked, miner.work.difficulty]).toEqual([1e-8, 1e-8]);
    expect(before).toBeGreaterThan(1e-8);
    const greedy = bench.join();
    greedy.say('{"id":9,"method":"mining.suggest_difficulty","params":[0.000001]}');
    expect([greedy.work.difficulty, greedy.work.target >= bench.upstreamTarget]).toEqual([before, true]);
  });

  test("starts, for a user name that was here before, where it was", () => {
    const bench = connectedBench({ miners: { startHashrate: 20 } });
    const before = bench.join("a.fast");
    for (let second = 0; second < 120; second += 1) {
      before.hashes(150, before.work.target);
      bench.tick();
    }
    const { difficulty } = before.work;
    before.leave();
    const after = bench.join("a.fast");
    expect(after.work.difficulty).toBe(difficulty);
    expect(bench.join("a.other").work.difficulty).toBeLessThan(difficulty);
  });

  test("is the upstream's when the miners' own are turned off", () => {
    const bench = connectedBench({ miners: { enableVardiff: false } });
    const miner = bench.join();
    const { channelId } = [...bench.observer.channels.values()][0] ?? { channelId: 0 };
    const maximumTarget = new Uint8Array(32);
    maximumTarget.set([1], 28);
    bench.fromPool({ name: "SetTarget", channelId, maximumTarget: u256(maximumTarget) });
    bench.newWork();
    expect(miner.work.difficulty).toBe(0.9);
    expect(targetFromDifficulty(0.9)).toBeGreaterThan(1n << 224n);
  });
});

describe("version rolling", () => {
  test("is granted when the upstream's job allows it, and shares with rolled bits are credited", () => {
    const bench = connectedBench();
    const miner = bench.join("a.b", { versionRolling: true });
    expect(miner.work.versionMask).toBe(0x1fffe000);
    miner.mine({ ...miner.work, version: miner.work.version | 0x00abc000 });
    expect([bench.recorded.length, bench.rejected, miner.results]).toEqual([1, [], ["accepted"]]);
  });

  test.each([
    ["the job forbids it", { pool: { versionRollingAllowed: false } }],
    ["the connection forbids it", { setup: { fixedVersion: true } }],
  ])("is not granted when %s, so that no miner works for nothing", (_why, options) => {
    const bench = connectedBench(options);
    const miner = bench.join("a.b", { versionRolling: true });
    expect(miner.work.versionMask).toBe(0);
    miner.mine({ ...miner.work, version: miner.work.version | 0x00abc000 });
    expect(miner.results).toEqual(["23 Low difficulty share"]);
    miner.mine();
    expect([bench.recorded.length, bench.rejected]).toEqual([1, []]);
  });
});

describe("when the upstream is lost", () => {
  test.each([
    ["on one channel", {}],
    ["each on its own channel", separate],
  ])("miners %s stay, and mine again at the next with another prefix and the same extranonce1", (_where, options) => {
    const bench = connectedBench(options);
    const miners = [bench.join("a.1"), bench.join("a.2")];
    const before = miners.map(({ extranonce1 }) => extranonce1);
    const [oldJob] = miners.map(({ work }) => work);
    bench.disconnect();
    bench.tick(10);
    miners[0]?.mine(oldJob);
    expect(miners[0]?.results).toEqual(["21 Stale job"]);
    bench.restartPool(7);
    bench.connect();
    bench.tick();
    const [first, second] = miners;
    if (first === undefined || second === undefined) throw new Error("no miners");
    expect(hex(bench.observer.channels.values().next().value?.extranoncePrefix ?? new Uint8Array())).toMatch(/^07/);
    expect(first.heard("mining.notify").at(-1)?.params[8]).toBe(true);
    expect(miners.map(({ extranonce1 }) => extranonce1)).toEqual(before);
    first.mine();
    second.mine();
    first.mine(oldJob);
    expect(first.results).toEqual(["21 Stale job", "accepted", "21 Stale job"]);
    expect([bench.recorded.length, bench.rejected]).toEqual([2, []]);
    expect(miners.map(({ closeReason }) => closeReason)).toEqual([undefined, undefined]);
  });

  test("shares without an answer are counted, not sent again", () => {
    const bench = connectedBench({ pool: { shareBatchSize: 100, ackIntervalMs: 100_000 } });
    bench.join().mine();
    bench.disconnect();
    bench.restartPool(1);
    bench.connect();
    expect(bench.core.status()).toMatchObject({ shares_submitted: 1, shares_acknowledged: 0, shares_unanswered: 1 });
    expect(bench.sent("SubmitSharesExtended")).toHaveLength(1);
  });

  test("miners hear their difficulty now and then, no work, and after ten minutes nothing", () => {
    const bench = connectedBench();
    const miner = bench.join();
    bench.disconnect();
    miner.notices.length = 0;
    bench.tick(1200);
    expect(new Set(methods(miner))).toEqual(new Set(["mining.set_difficulty"]));
    expect(miner.notices).toHaveLength(11);
    expect(miner.notices[0]?.params).toEqual([miner.work.difficulty]);
  });

  test("new miners are answered, and get work when it is back", () => {
    const bench = new Bench(separate);
    bench.newTip();
    const miner = bench.join();
    expect([miner.notices, miner.job]).toEqual([[], undefined]);
    bench.tick(100);
    bench.connect();
    expect(miner.work.extranonce2Size).toBe(8);
    miner.mine();
    expect([bench.recorded.length, bench.rejected]).toEqual([1, []]);
  });

  test("the time without work does not count against a miner", () => {
    const bench = connectedBench();
    const miner = bench.join();
    const { difficulty } = miner.work;
    bench.disconnect();
    bench.tick(3000);
    bench.restartPool(1);
    bench.connect();
    expect(miner.work.difficulty).toBe(difficulty);
  });
});

describe("the upstream's messages", () => {
  test("closing the shared channel put all miners on another one", () => {
    const bench = connectedBench();
    const miners = [bench.join(), bench.join()];
    const [channelId = 0] = bench.observer.channels.keys();
    bench.fromPool({ name: "CloseChannel", channelId, reasonCode: "maintenance" });
    miners[0]?.mine();
    expect(miners[0]?.results).toEqual(["21 Stale job"]);
    bench.tick(3);
    expect(bench.sent("OpenExtendedMiningChannel")).toHaveLength(2);
    for (const miner of miners) miner.mine();
    expect([bench.recorded.length, bench.rejected]).toEqual([2, []]);
  });

  test("closing one miner's channel leaves the others alone, closing the group takes all", () => {
    const bench = connectedBench(separate);
    const miners = [bench.join(), bench.join()];
    const [channel] = [...bench.observer.channels.values()];
    bench.fromPool({ name: "CloseChannel", channelId: channel?.channelId ?? 0, reasonCode: "maintenance" });
    for (const miner of miners) miner.mine();
    expect(miners.map(({ results }) => results)).toEqual([["21 Stale job"], ["accepted"]]);
    bench.fromPool({ name: "CloseChannel", channelId: channel?.groupChannelId ?? 0, reasonCode: "maintenance" });
    miners[1]?.mine();
    expect(miners[1]?.results).toEqual(["accepted", "21 Stale job"]);
    bench.tick(5);
    for (const miner of miners) miner.mine();
    expect(miners.map(({ results }) => results.at(-1))).toEqual(["accepted", "accepted"]);
  });

  test("another prefix changes nothing for miners but the next job's coinbase", () => {
    const bench = connectedBench();
    const miner = bench.join();
    const old = miner.work;
    const [channelId = 0] = bench.observer.channels.keys();
    bench.pooled({ type: "rotate-extranonce-prefix", connection: bench.connection, channelId });
    miner.mine(old);
    bench.newWork();
    miner.mine(old);
    miner.mine();
    expect(methods(miner)).not.toContain("mining.set_extranonce");
    expect([miner.work.clean, miner.extranonce1]).toEqual([false, hex(old.extranonce1)]);
    expect(hex(miner.work.coinb1)).not.toBe(hex(old.coinb1));
    expect([bench.recorded.length, bench.rejected]).toEqual([3, []]);
  });

  test("another prefix where it is part of extranonce1 is told to miners that take it, and the others are sent round", () => {
    const narrow = { extranonce: { totalSize: 12, prefix: Uint8Array.of(1), indexSize: 3, start: 0 } };
    const bench = connectedBench({ ...separate, pool: narrow });
    const takes = bench.join("a.1", { extranonceSubscribe: true });
    const other = bench.join("a.2");
    for (const [channelId] of bench.observer.channels) {
      bench.pooled({ type: "rotate-extranonce-prefix", connection: bench.connection, channelId });
    }
    bench.newWork();
    expect(methods(takes).slice(-2)).toEqual(["mining.set_extranonce", "mining.notify"]);
    expect([takes.work.clean, takes.closeReason]).toEqual([true, undefined]);
    expect([methods(other).at(-1), other.closeReason]).toEqual(["client.reconnect", "extranonce-changed"]);
    takes.mine();
    expect([bench.recorded.length, bench.rejected]).toEqual([1, []]);
  });

  test("that are refusals are counted by reason", () => {
    const bench = connectedBench();
    bench.join();
    const [channelId = 0] = bench.observer.channels.keys();
    bench.fromPool({ name: "SubmitSharesError", channelId, sequenceNumber: 0, errorCode: "stale-share" });
    bench.fromPool({ name: "SubmitSharesError", channelId, sequenceNumber: 1, errorCode: "no such\u0000code" });
    bench.fromPool({ name: "UpdateChannelError", channelId, errorCode: "max-target-out-of-range" });
    expect(bench.core.status().shares_rejected_upstream_by_reason).toEqual({ "stale-share": 1, other: 1 });
    expect(counted(bench, "channels")).toBe(2);
  });

  test("for channels that do not exist are ignored", () => {
    const bench = connectedBench();
    const miner = bench.join();
    const maximumTarget = u256(new Uint8Array(32).fill(1));
    bench.fromPool({ name: "SetTarget", channelId: 99, maximumTarget });
    bench.fromPool({ name: "CloseChannel", channelId: 98, reasonCode: "" });
    bench.fromPool({ name: "SetExtranoncePrefix", channelId: 97, extranoncePrefix: Uint8Array.of(1) });
    bench.fromPool({ name: "SubmitSharesError", channelId: 96, sequenceNumber: 0, errorCode: "x" });
    bench.fromPool({ name: "SetGroupChannel", groupChannelId: 95, channelIds: [94] });
    miner.mine();
    expect([bench.recorded.length, counted(bench, "upstreamFaults")]).toEqual([1, 4]);
  });

  test("a tip without a job stops work that is dead", () => {
    const bench = connectedBench();
    const miner = bench.join();
    const [channelId = 0] = bench.observer.channels.keys();
    const prevHash = u256(new Uint8Array(32).fill(1));
    bench.fromPool({ name: "SetNewPrevHash", channelId, jobId: 4242, prevHash, minNtime: 1, nbits: 0x1d00ffff });
    miner.mine();
    expect([miner.results, bench.sent("SubmitSharesExtended")]).toEqual([["21 Stale job"], []]);
  });

  test("regrouped channels go on getting their new group's jobs", () => {
    const bench = connectedBench(separate);
    const miner = bench.join();
    const [channel] = [...bench.observer.channels.values()];
    bench.fromPool({ name: "SetGroupChannel", groupChannelId: 77, channelIds: [channel?.channelId ?? 0] });
    const { length } = miner.heard("mining.notify");
    bench.fromPool(poolJob(20, { channelId: 77 }));
    expect(miner.heard("mining.notify")).toHaveLength(length + 1);
  });
});

test("a miner that misbehaves is closed and forgotten, and nobody else notices", () => {
  const bench = connectedBench(separate);
  const honest = bench.join();
  const junk = bench.join();
  for (let line = 0; line < 100; line += 1) junk.say("{not json");
  const silent = bench.dial();
  bench.tick(61);
  expect([junk.closeReason, silent.closeReason, honest.closeReason]).toEqual([
    "too-many-faults",
    "handshake-timeout",
    undefined,
  ]);
  expect(bench.core.status().miners).toHaveLength(1);
  expect(bench.sent("CloseChannel")).toHaveLength(1);
  honest.mine();
  expect(bench.recorded).toHaveLength(1);
});

test("the status tells channels, miners and shares", () => {
  const bench = connectedBench();
  const miner = bench.join("account.rig7");
  miner.mine();
  bench.tick(2);
  expect(bench.core.status()).toMatchObject({
    upstream_channels: [{ state: "open", user_identity: "account", miners: 1, nominal_hashrate: 100 }],
    miners: [{ user_name: "account.rig7", user_agent: "bench/1.0", shares_accepted: 1, shares_rejected: 0 }],
    shares_accepted: 1,
    shares_submitted: 1,
    shares_acknowledged: 1,
    shares_rejected_upstream_by_reason: {},
  });
  expect(bench.core.status().hashrate).toBeGreaterThan(0);
});
