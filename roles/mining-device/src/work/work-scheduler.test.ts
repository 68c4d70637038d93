import { hex } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { testWork } from "./testing/test-work.ts";
import { type SchedulerEffect, type SchedulerInput, type Slice, WorkScheduler } from "./work-scheduler.ts";

/** Threads that hash at given speeds, in simulated time. */
class Bench {
  readonly scheduler: WorkScheduler;
  readonly shares: Extract<SchedulerEffect, { type: "share" }>[] = [];
  readonly cancelled: number[] = [];
  /** Every slice ever given out. */
  readonly slices: Slice[] = [];
  now = 0;
  readonly #speeds: readonly number[];
  /** Waiting slices of each thread; the first is being hashed. */
  readonly #queues: { slice: Slice; startedAt: number | undefined }[][];

  /** `speeds`: hashes a millisecond of each thread. */
  constructor(speeds: readonly number[], hashrateLimit = 0) {
    this.#speeds = speeds;
    this.#queues = speeds.map(() => []);
    this.scheduler = new WorkScheduler({ threads: speeds.length, hashrateLimit, random: () => 0 });
  }

  give(input: SchedulerInput): void {
    this.perform(this.scheduler.handle(input, this.now));
  }

  perform(effects: readonly SchedulerEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "share") this.shares.push(effect);
      else if (effect.type === "assign") {
        this.slices.push(effect.slice);
        this.#queues[effect.thread]!.push({ slice: effect.slice, startedAt: undefined });
      } else this.#cancel(effect.thread, effect.slice);
    }
  }

  /** Lets the threads hash for `ms`, a millisecond at a time. */
  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now++) {
      for (const thread of this.#queues.keys()) this.#step(thread);
    }
  }

  /** Slices a thread holds. */
  held(thread: number): readonly Slice[] {
    return this.#queues[thread]!.map(({ slice }) => slice);
  }

  #step(thread: number): void {
    const current = this.#queues[thread]![0];
    if (current === undefined) return;
    current.startedAt ??= this.now;
    const ms = this.now - current.startedAt + 1;
    if (ms * this.#speeds[thread]! < current.slice.nonceCount) return;
    this.#queues[thread]!.shift();
    this.give({ type: "done", thread, slice: current.slice.id, hashes: current.slice.nonceCount, ms });
  }

  #cancel(thread: number, id: number): void {
    const at = this.#queues[thread]!.findIndex(({ slice }) => slice.id === id);
    expect(at).not.toBe(-1);
    this.cancelled.push(id);
    this.#queues[thread]!.splice(at, 1);
    this.give({ type: "done", thread, slice: id, hashes: 0, ms: 0 });
  }
}

const prevHashOf = (source: number): Uint8Array => new Uint8Array(32).fill(source + 1);
const sourceOf = (slice: Slice): number => (slice.header[4] ?? 0) - 1;

describe("a work scheduler", () => {
  test("keeps every thread busy with slices of about 20 ms, however fast each is", () => {
    const bench = new Bench([400, 100]);
    bench.give({ type: "work", source: 0, work: testWork() });
    bench.run(10_000);
    expect(Math.abs(bench.scheduler.hashrate(bench.now) - 500_000)).toBeLessThan(50_000);
    for (const { nonceCount } of bench.held(0)) expect(Math.abs(nonceCount - 8_000)).toBeLessThan(800);
    for (const { nonceCount } of bench.held(1)) expect(Math.abs(nonceCount - 2_000)).toBeLessThan(200);
  });

  test("gives a hundred connections equal parts of three threads", () => {
    const bench = new Bench([300, 300, 300]);
    for (let source = 0; source < 100; source++) {
      bench.give({ type: "work", source, work: testWork({ prevHash: prevHashOf(source) }) });
    }
    bench.run(30_000);
    const parts = Array.from({ length: 100 }, () => 0);
    for (const slice of bench.slices) parts[sourceOf(slice)]! += slice.nonceCount;
    expect(Math.min(...parts) / Math.max(...parts)).toBeGreaterThan(0.9);
  });

  test("never gives two threads the same nonces of a header", () => {
    const bench = new Bench([300, 17, 250]);
    for (const source of [0, 1]) bench.give({ type: "work", source, work: testWork({ prevHash: prevHashOf(source) }) });
    bench.run(5_000);
    const ranges = new Map<string, Slice[]>();
    for (const slice of bench.slices) {
      const header = hex(slice.header);
      ranges.set(header, [...(ranges.get(header) ?? []), slice]);
    }
    for (const slices of ranges.values()) {
      const ordered = slices.toSorted((a, b) => a.nonceStart - b.nonceStart);
      for (const [index, slice] of ordered.entries()) {
        const next = ordered[index + 1];
        if (next !== undefined) expect(slice.nonceStart + slice.nonceCount).toBeLessThanOrEqual(next.nonceStart);
      }
    }
  });

  test("takes back the slices of an older epoch at once, and hashes the new one", () => {
    const bench = new Bench([10, 10]);
    bench.give({ type: "work", source: 0, work: testWork() });
    bench.run(5);
    const stale = [...bench.held(0), ...bench.held(1)];
    bench.give({ type: "work", source: 0, work: testWork({ epoch: 1, prevHash: prevHashOf(7) }) });
    expect(bench.cancelled).toEqual(stale.map(({ id }) => id));
    for (const slice of [...bench.held(0), ...bench.held(1)]) expect(sourceOf(slice)).toBe(7);
  });

  test("lets slices of the same epoch end when newer work comes", () => {
    const bench = new Bench([10]);
    bench.give({ type: "work", source: 0, work: testWork() });
    bench.give({ type: "work", source: 0, work: testWork() });
    expect(bench.cancelled).toEqual([]);
  });

  test("hands a share to its connection with its own work, but drops one that was found for stale work", () => {
    const scheduler = new WorkScheduler({ threads: 1, hashrateLimit: 0, random: () => 0 });
    const old = testWork({ job: "old" });
    scheduler.handle({ type: "work", source: 3, work: old }, 0);
    const found = { type: "found", thread: 0, slice: 0, nonce: 77 } as const;
    const [effect] = scheduler.handle(found, 0);
    expect(effect).toMatchObject({ type: "share", source: 3, share: { work: old, nonce: 77, ntime: old.minNtime } });
    scheduler.handle({ type: "work", source: 3, work: testWork({ epoch: 1 }) }, 0);
    expect(scheduler.handle(found, 0)).toEqual([]);
  });

  test("rests a connection that is paused, has no work or has ended, and serves the others", () => {
    const bench = new Bench([10]);
    for (const source of [0, 1, 2, 3]) {
      bench.give({ type: "work", source, work: testWork({ prevHash: prevHashOf(source) }) });
    }
    bench.give({ type: "pause", source: 0 });
    bench.give({ type: "no-work", source: 1 });
    bench.perform(bench.scheduler.forget(2));
    bench.run(1_000);
    const before = bench.slices.length;
    bench.run(1_000);
    expect(new Set(bench.slices.slice(before).map(sourceOf))).toEqual(new Set([3]));
    bench.give({ type: "resume", source: 0 });
    bench.run(1_000);
    expect(new Set(bench.slices.slice(-4).map(sourceOf))).toEqual(new Set([0, 3]));
  });

  test("comes back to work that is used up when the second changes", () => {
    const bench = new Bench([2 ** 32]);
    const headersOnly = testWork({ extranonceSize: 0, versionMask: 0 });
    bench.give({ type: "work", source: 0, work: headersOnly });
    for (let idle = 0; bench.held(0).length > 0; idle++) {
      bench.run(1);
      expect(idle).toBeLessThan(5_000);
    }
    bench.now = 10_000;
    bench.give({ type: "tick" });
    expect(bench.held(0)).toHaveLength(2);
  });

  test("cuts slices to the limit, so that a slow device is not bound for minutes by its first one", () => {
    const bench = new Bench([10], 100);
    bench.give({ type: "work", source: 0, work: testWork() });
    expect(bench.held(0).map(({ nonceCount }) => nonceCount)).toEqual([2, 2]);
  });
});
