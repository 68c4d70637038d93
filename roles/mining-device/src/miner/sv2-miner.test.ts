import { pureHashing } from "@adit/bitcoin";
import { defaultChannelLimits, MiningServer, type ServerInput } from "@adit/channels";
import { type MiningMessage, REQUIRES_STANDARD_JOBS } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { solve } from "../testing/solve.ts";
import { prevHash, rewardOutputs, START, template } from "../testing/test-jobs.ts";
import type { Work } from "../work/work.ts";
import { WorkCursor } from "../work/work-cursor.ts";
import type { MinerEffect } from "./miner-effect.ts";
import { Sv2Miner, type Sv2MinerInput, type Sv2MinerOptions } from "./sv2-miner.ts";

const CONNECTION = 1;

/** A miner and a pool's core joined without a socket, in simulated time. */
class Bench {
  readonly effects: MinerEffect<MiningMessage>[] = [];
  readonly cursor = new WorkCursor({ random: 0.4 });
  now = START;
  deaf = false;
  readonly #miner: Sv2Miner;
  readonly #pool = new MiningServer({
    hashing: pureHashing,
    extranonce: { totalSize: 20, prefix: Uint8Array.of(0), indexSize: 3, start: 0 },
    rewardOutputs: () => rewardOutputs,
    coinbaseTag: "test",
    sharesPerMinute: 600,
    shareBatchSize: 2,
    ackIntervalMs: 5_000,
    minHashrate: 40,
    vardiff: null,
    versionRollingAllowed: true,
    limits: defaultChannelLimits,
    customJobs: null,
  });

  constructor(options: Partial<Sv2MinerOptions> = {}) {
    const whole = {
      kind: "extended",
      userIdentity: "w",
      nominalHashrate: 40,
      versionRolling: true,
      ...options,
    } as const;
    this.#miner = new Sv2Miner(whole);
    const flags = whole.kind === "standard" ? REQUIRES_STANDARD_JOBS : 0;
    this.pool({ type: "template", template: template(1) });
    this.pool({ type: "prev-hash", prevHash: prevHash(1, 1) });
    this.pool({ type: "connected", connection: CONNECTION, flags, extensions: new Set() });
    this.give({ type: "connected" });
  }

  give(input: Sv2MinerInput): readonly MinerEffect<MiningMessage>[] {
    const effects = this.#miner.handle(input, this.now);
    this.effects.push(...effects);
    for (const effect of effects) {
      if (effect.type !== "send") continue;
      this.pool({ type: "message", connection: CONNECTION, message: effect.message, worker: undefined });
    }
    return effects;
  }

  pool(input: ServerInput): void {
    for (const effect of this.#pool.handle(input, this.now)) {
      if (effect.type === "send" && !this.deaf) this.give({ type: "message", message: effect.message });
      if (effect.type === "record-share") {
        this.pool({ type: "share-recorded", share: effect.share, result: "recorded" });
      }
    }
  }

  get work(): Work {
    const last = this.effects.findLast((effect) => effect.type === "work");
    if (last?.type !== "work") throw new Error("no work");
    return last.work;
  }

  submit(work = this.work): readonly MinerEffect<MiningMessage>[] {
    return this.give({ type: "share", share: solve(this.cursor, work, this.now) });
  }

  count(type: MinerEffect<unknown>["type"]): number {
    return this.effects.filter((effect) => effect.type === type).length;
  }

  get accepted(): number {
    return this.effects.reduce((sum, effect) => sum + (effect.type === "accepted" ? effect.count : 0), 0);
  }
}

describe.each(["standard", "extended"] as const)("a Stratum V2 miner on a channel that is %s", (kind) => {
  test("finds shares that a pool takes, and matches batched acknowledgements to them", () => {
    const bench = new Bench({ kind });
    for (let share = 0; share < 5; share++) {
      bench.now += 700;
      bench.submit();
    }
    expect([bench.count("submitted"), bench.accepted, bench.count("answered")]).toEqual([5, 4, 4]);
    bench.now += 5_000;
    bench.pool({ type: "tick" });
    const times = bench.effects.flatMap((effect) => (effect.type === "answered" ? [effect.ms] : []));
    expect(times).toEqual([700, 0, 700, 0, 5_000]);
    expect([bench.accepted, bench.count("rejected")]).toEqual([5, 0]);
  });

  test("rolls only what it may", () => {
    expect(new Bench({ kind }).work).toMatchObject({
      versionMask: 0x1fffe000,
      extranonceSize: kind === "standard" ? 0 : 16,
    });
    expect(new Bench({ kind, versionRolling: false }).work.versionMask).toBe(0);
  });

  test("begins a new epoch with a new tip, and submits nothing of the old one", () => {
    const bench = new Bench({ kind });
    const old = bench.work;
    bench.pool({ type: "template", template: template(2, { future: false }) });
    expect(bench.work.epoch).toBe(old.epoch);
    expect(bench.work.job).not.toBe(old.job);
    bench.submit(old);
    bench.submit(old);
    expect(bench.accepted).toBe(2);
    bench.pool({ type: "template", template: template(3) });
    bench.pool({ type: "prev-hash", prevHash: prevHash(3, 2) });
    expect(bench.work.epoch).toBe(old.epoch + 1);
    expect(bench.submit(old)).toEqual([]);
    bench.submit();
    bench.submit();
    expect(bench.accepted).toBe(4);
  });

  test("counts refusals by reason", () => {
    const bench = new Bench({ kind });
    const share = solve(bench.cursor, bench.work, bench.now);
    bench.give({ type: "share", share });
    bench.give({ type: "share", share });
    bench.give({ type: "share", share: { ...share, ntime: share.ntime + 9_000 } });
    expect(bench.effects.flatMap((effect) => (effect.type === "rejected" ? [effect.reason] : []))).toEqual([
      "duplicate-share",
      "invalid-share",
    ]);
  });

  test("stops when a tip comes without a job for it", () => {
    const bench = new Bench({ kind });
    const old = bench.work;
    const channelId = channelOf(bench);
    const message = {
      name: "SetNewPrevHash",
      channelId,
      jobId: 999,
      prevHash: prevHash(9, 9).prevHash,
      minNtime: 0,
      nbits: 1,
    } as const;
    expect(bench.give({ type: "message", message }).map(({ type }) => type)).toEqual(["log", "no-work"]);
    expect(bench.submit(old)).toEqual([]);
  });

  test("closes when the pool closes the channel, and submits no more", () => {
    const bench = new Bench({ kind });
    const message = { name: "CloseChannel", channelId: channelOf(bench), reasonCode: "bye" } as const;
    expect(bench.give({ type: "message", message })).toContainEqual({
      type: "close",
      reason: "the pool closed the channel: bye",
    });
    expect(bench.submit()).toEqual([]);
  });

  test("gives up shares that get no answer in two minutes, and rests while two hundred wait", () => {
    const bench = new Bench({ kind });
    bench.deaf = true;
    for (let share = 0; share < 200; share++) bench.submit();
    expect(bench.effects.at(-1)).toEqual({ type: "pause" });
    bench.now += 120_000;
    expect(bench.give({ type: "tick" })).toEqual([{ type: "lost", reason: "timeout", count: 200 }, { type: "resume" }]);
  });
});

test("a Stratum V2 miner leaves a pool that gives no work, keeps breaking the protocol or answers no shares", () => {
  const reasons = (effects: readonly MinerEffect<MiningMessage>[]): readonly string[] =>
    effects.flatMap((effect) => (effect.type === "close" ? [effect.reason] : []));
  const ticks = (bench: Bench, seconds: number): readonly string[] => {
    const said = Array.from({ length: seconds }, () => {
      bench.now += 1000;
      return reasons(bench.give({ type: "tick" }));
    });
    return said.flat();
  };
  const idle = new Bench();
  const channelId = channelOf(idle);
  expect(ticks(idle, 100)).toEqual([]);
  const tip = { jobId: 999, prevHash: prevHash(9, 9).prevHash, minNtime: 0, nbits: 1 };
  idle.give({ type: "message", message: { name: "SetNewPrevHash", channelId, ...tip } });
  expect(ticks(idle, 30)).toEqual(["the pool gives no work"]);

  const broken = new Bench();
  const closing = (id: number) =>
    broken.give({ type: "message", message: { name: "CloseChannel", channelId: 5000 + id, reasonCode: "" } });
  const said = Array.from({ length: 17 }, (_, id) => reasons(closing(id)));
  expect(said.flat()).toEqual(["the pool keeps breaking the protocol: unknown-channel"]);

  const silent = new Bench();
  silent.deaf = true;
  for (let share = 0; share < 200; share++) silent.submit();
  expect(ticks(silent, 31)).toEqual(["the pool answers no shares"]);
});

test("a Stratum V2 miner that gets no channel in half a minute closes", () => {
  const miner = new Sv2Miner({ kind: "extended", userIdentity: "w", nominalHashrate: 1, versionRolling: true });
  miner.handle({ type: "connected" }, 0);
  expect(miner.handle({ type: "tick" }, 29_999)).toEqual([]);
  expect(miner.handle({ type: "tick" }, 30_000)).toEqual([
    { type: "close", reason: "the pool did not answer the request for a channel" },
  ]);
});

/** Submits a share to learn the id of the bench's only channel. */
function channelOf(bench: Bench): number {
  const sent = bench.submit().flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
  const [message] = sent;
  if (message === undefined || !("channelId" in message)) throw new Error("no share was sent");
  return message.channelId;
}
