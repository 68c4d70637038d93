import { pureHashing } from "@adit/bitcoin";
import { defaultSv1Limits, type Sv1ServerInput, Sv1ServerSession, type Sv1Share } from "@adit/sv1";
import { describe, expect, test } from "vitest";
import { solve } from "../testing/solve.ts";
import { sv1Job } from "../testing/test-jobs.ts";
import type { Work } from "../work/work.ts";
import { WorkCursor } from "../work/work-cursor.ts";
import type { MinerEffect } from "./miner-effect.ts";
import { Sv1Miner, type Sv1MinerInput } from "./sv1-miner.ts";

/** One hash in four is a share. */
const EASY = 1e-9;

/** A miner and a pool's session joined without a socket, in simulated time. */
class Bench {
  readonly effects: MinerEffect<string>[] = [];
  readonly shares: Sv1Share[] = [];
  readonly cursor = new WorkCursor({ random: 0.4 });
  now = 0;
  /** While true, what the pool says does not arrive. */
  deaf = false;
  readonly #miner = new Sv1Miner({ userAgent: "test/1", userName: "w", password: "x", versionRolling: true });
  readonly #pool = new Sv1ServerSession({
    extranonce1: Uint8Array.of(1, 2, 3, 4),
    extranonce2Size: 4,
    versionMask: 0x1fffe000,
    difficulty: EASY,
    limits: defaultSv1Limits,
    hashing: pureHashing,
  });

  give(input: Sv1MinerInput): readonly MinerEffect<string>[] {
    const effects = this.#miner.handle(input, this.now);
    this.effects.push(...effects);
    const answers = effects.flatMap((effect) => (effect.type === "send" ? [this.toPool(effect.message)] : []));
    return [...effects, ...answers.flat()];
  }

  toPool(line: string): readonly MinerEffect<string>[] {
    return this.pool({ type: "line", line });
  }

  pool(input: Sv1ServerInput): readonly MinerEffect<string>[] {
    const effects = this.#pool.handle(input, this.now);
    return effects.flatMap((effect) => {
      if (effect.type === "share") this.shares.push(effect.share);
      return effect.type === "send" && !this.deaf ? this.give({ type: "line", line: effect.line }) : [];
    });
  }

  connect(): this {
    this.give({ type: "connected" });
    this.pool({ type: "job", job: sv1Job("first") });
    return this;
  }

  get work(): Work {
    const last = this.effects.findLast((effect) => effect.type === "work");
    if (last?.type !== "work") throw new Error("no work");
    return last.work;
  }

  submit(work = this.work): readonly MinerEffect<string>[] {
    return this.give({ type: "share", share: solve(this.cursor, work, this.now) });
  }

  types(): readonly string[] {
    return this.effects.map(({ type }) => type).filter((type) => type !== "send");
  }
}

describe("a Stratum V1 miner", () => {
  test("finds shares that a pool takes, with rolled version bits, and measures how long the answer took", () => {
    const bench = new Bench().connect();
    bench.now = 2_500;
    bench.submit();
    bench.submit();
    expect(bench.types()).toEqual(["work", "submitted", "answered", "accepted", "submitted", "answered", "accepted"]);
    expect(bench.shares.map(({ userName }) => userName)).toEqual(["w", "w"]);
    expect(bench.shares[0]?.ntime).toBe(sv1Job("").ntime + 2);
    expect(bench.shares[0]?.version).not.toBe(0x20000000);
    expect(new Set(bench.shares.map(({ hash }) => hash.join())).size).toBe(2);
  });

  test("hashes nothing before the pool knows its name", () => {
    const miner = new Sv1Miner({ userAgent: "t", userName: "w", password: "x", versionRolling: false });
    miner.handle({ type: "connected" }, 0);
    const types = (line: string): readonly string[] => miner.handle({ type: "line", line }, 0).map(({ type }) => type);
    expect(types('{"id":1,"result":[[],"01020304",4],"error":null}')).toEqual([]);
    const zeros = "00".repeat(32);
    const notify = `{"id":null,"method":"mining.notify","params":["a","${zeros}","01","02",[],"20000000","1d00ffff","65000000",true]}`;
    expect(types(notify)).toEqual([]);
    expect(types('{"id":2,"result":true,"error":null}')).toEqual(["work"]);
    expect(types('{"id":2,"result":false,"error":null}')).toEqual([]);
  });

  test("closes when its name is refused", () => {
    const miner = new Sv1Miner({ userAgent: "t", userName: "w", password: "x", versionRolling: false });
    miner.handle({ type: "connected" }, 0);
    const effects = miner.handle({ type: "line", line: '{"id":2,"result":false,"error":[24,"no",null]}' }, 0);
    expect(effects).toEqual([{ type: "close", reason: "the pool refused the user name or password" }]);
  });

  test("begins a new epoch at a new tip and at a clean job, not at another job on the same tip", () => {
    const bench = new Bench().connect();
    const epochs = [bench.work.epoch];
    for (const job of [
      sv1Job("b"),
      sv1Job("c", { tip: 2 }),
      sv1Job("d", { tip: 2 }),
      sv1Job("e", { tip: 2, clean: true }),
    ]) {
      bench.pool({ type: "job", job });
      epochs.push(bench.work.epoch);
    }
    expect(epochs.map((epoch) => epoch - epochs[0]!)).toEqual([0, 0, 1, 1, 2]);
  });

  test("submits a share of an earlier job on the tip for that job, and none of an earlier tip", () => {
    const bench = new Bench().connect();
    const first = bench.work;
    bench.pool({ type: "job", job: sv1Job("second") });
    bench.submit(first);
    expect(bench.shares[0]?.job.upstream).toBe("first");
    bench.pool({ type: "job", job: sv1Job("third", { tip: 2 }) });
    expect(bench.submit(first)).toEqual([]);
  });

  test("counts refusals by reason", () => {
    const bench = new Bench().connect();
    const share = solve(bench.cursor, bench.work, 0);
    bench.give({ type: "share", share });
    bench.give({ type: "share", share });
    bench.give({
      type: "share",
      share: { ...share, nonce: share.nonce + 1, work: bench.work, ntime: share.ntime + 9_000 },
    });
    expect(bench.effects.flatMap((effect) => (effect.type === "rejected" ? [effect.reason] : []))).toEqual([
      "duplicate-share",
      "invalid-ntime",
    ]);
  });

  test("rests when too many shares wait for an answer, goes on when answers come, and gives up those that never do", () => {
    const bench = new Bench().connect();
    bench.deaf = true;
    for (let share = 0; share < 200; share++) bench.submit();
    expect(bench.types().at(-1)).toBe("pause");
    bench.now = 60_000;
    bench.give({ type: "tick" });
    expect(bench.effects.filter(({ type }) => type === "lost")).toHaveLength(200);
    expect(bench.types().at(-1)).toBe("resume");
  });

  test("counts what waits as lost when the connection ends", () => {
    const bench = new Bench().connect();
    bench.deaf = true;
    bench.submit();
    bench.submit();
    expect(bench.give({ type: "disconnected" })).toEqual([{ type: "lost", reason: "connection-ended", count: 2 }]);
  });

  test("leaves a pool that answers no shares, and one that gives no work", () => {
    const ticks = (give: (input: Sv1MinerInput, now: number) => readonly MinerEffect<string>[], seconds: number) =>
      Array.from({ length: seconds }, (_, second) => give({ type: "tick" }, (second + 1) * 1000)).flatMap((effects) =>
        effects.flatMap((effect) => (effect.type === "close" ? [effect.reason] : [])),
      );
    const bench = new Bench().connect();
    bench.deaf = true;
    for (let share = 0; share < 200; share++) bench.submit();
    const silent = (input: Sv1MinerInput, now: number) => {
      bench.now = now;
      return bench.give(input);
    };
    expect(ticks(silent, 31)).toEqual(["the pool answers no shares"]);
    const idle = new Sv1Miner({ userAgent: "t", userName: "w", password: "x", versionRolling: false });
    idle.handle({ type: "connected" }, 0);
    idle.handle({ type: "line", line: '{"id":1,"result":[[],"01020304",4],"error":null}' }, 0);
    idle.handle({ type: "line", line: '{"id":2,"result":true,"error":null}' }, 0);
    expect(ticks((input, now) => idle.handle(input, now), 30)).toEqual(["the pool gives no work"]);
  });

  test("leaves when the pool sends it away, without following to another host", () => {
    const bench = new Bench().connect();
    const line = '{"id":null,"method":"client.reconnect","params":["elsewhere",1234,0]}';
    expect(bench.give({ type: "line", line })).toEqual([{ type: "close", reason: "the pool asked to reconnect" }]);
  });
});
