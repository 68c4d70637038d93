import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type BlockRow, openSqliteStore, type ShareRow, type ShareStore, type WorkerSummary } from "@adit/share-store";
import fc from "fast-check";
import { sequence } from "../arbitraries.ts";
import { rule, type Target } from "../target.ts";

type Step =
  | {
      readonly do: "append";
      readonly hash: number;
      readonly who: number;
      readonly work: bigint;
      readonly difficulty: number;
      readonly at: number;
    }
  | { readonly do: "reject"; readonly who: number; readonly code: number }
  | { readonly do: "block"; readonly hash: number }
  | { readonly do: "result"; readonly hash: number; readonly text: string }
  | { readonly do: "settle" | "compare" | "reopen" };

const who = fc.nat(7);
const storeStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      hash: fc.nat(40),
      who,
      work: fc.oneof(fc.bigInt(0n, 2n ** 64n), fc.constantFrom(0n, 1n, 2n ** 256n, 2n ** 255n - 1n)),
      difficulty: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
      at: fc.oneof(fc.nat(300_000), fc.constantFrom(59_999, 60_000, 60_001)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reject" as const), who, code: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("block" as const), hash: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("result" as const), hash: fc.nat(5), text: fc.string({ maxLength: 10 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("settle" as const, "compare" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
);

/** Names that have been one to a store, or none. */
const names = [
  "",
  "alice",
  "Alice",
  "alice ",
  "'; DROP TABLE share;--",
  "a\u0000b",
  "\u{1f525}",
  "x".repeat(255),
] as const;
const codes = ["stale-share", "duplicate-share", ""] as const;
const START = 1_700_000_000_000;

/** The share store against a model that keeps everything in memory. It opens threads and waits for a disk. */
export const shareStore: Target<readonly Step[]> = {
  inputs: sequence(storeStep, 60),
  mostMs: null,
  async run(steps) {
    const folder = mkdtempSync(join(tmpdir(), "adit-fuzz-store-"));
    try {
      const run = await Run.open(join(folder, "shares.db"));
      try {
        for (const one of steps) await run.take(one);
        await run.take({ do: "reopen" });
      } finally {
        await run.close();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

interface MinuteSum {
  readonly shares: number;
  readonly work: bigint;
}

class Run {
  readonly #path: string;
  #store: ShareStore;
  #pending: Promise<void>[] = [];
  /** The model: what has to be there once what is pending is settled. */
  readonly #hashes = new Set<number>();
  readonly #workers = new Map<number, WorkerSummary>();
  readonly #minutes = new Map<string, MinuteSum>();
  readonly #rejects = new Map<number, Record<string, number>>();
  readonly #blocks = new Map<number, BlockRow>();
  #lastFound = 0;

  private constructor(path: string, store: ShareStore) {
    this.#path = path;
    this.#store = store;
  }

  static async open(path: string): Promise<Run> {
    return new Run(path, await openStore(path));
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#pending);
    await this.#store[Symbol.asyncDispose]();
  }

  async take(one: Step): Promise<void> {
    switch (one.do) {
      case "append":
        return this.#append(one);
      case "reject":
        return this.#reject(one);
      case "block":
        return this.#block(one.hash);
      case "result":
        return await this.#result(one);
      case "settle":
        return await this.#settle();
      case "compare":
        return await this.#compare();
      case "reopen":
        await this.#settle();
        await this.#store[Symbol.asyncDispose]();
        this.#store = await openStore(this.#path);
        await this.#compare();
        return await this.#compareRejects();
      default:
        one satisfies never;
    }
  }

  #append({ hash, who, work, difficulty, at: offset }: Extract<Step, { do: "append" }>): void {
    const at = START + offset;
    const row: ShareRow = {
      hash: hashOf(hash),
      prevHash: hashOf(1),
      userIdentity: userOf(who),
      worker: workerOf(who),
      work,
      shareDifficulty: difficulty,
      at,
    };
    const expected = this.#hashes.has(hash) ? "duplicate" : "recorded";
    this.#hashes.add(hash);
    this.#count(row, who, expected === "recorded");
    this.#expect(
      this.#store
        .append(row)
        .then((result) => rule(result === expected, `a share was ${result} that should be ${expected}`)),
    );
  }

  /** A share that is a duplicate makes its worker known and nothing else. */
  #count({ work, shareDifficulty, at, userIdentity, worker }: ShareRow, who: number, isNew: boolean): void {
    const known = this.#workers.get(who) ?? {
      userIdentity: stored(userIdentity),
      worker: stored(worker),
      shares: 0,
      work: 0n,
      bestDifficulty: 0,
      rejects: {},
      firstSeen: at,
      lastSeen: at,
    };
    const credited = {
      ...known,
      shares: known.shares + 1,
      work: known.work + work,
      bestDifficulty: Math.max(known.bestDifficulty, shareDifficulty),
      lastSeen: Math.max(known.lastSeen, at),
    };
    this.#workers.set(who, isNew ? credited : known);
    if (!isNew) return;
    const key = `${who}/${Math.floor(at / 60_000) * 60_000}`;
    const minute = this.#minutes.get(key) ?? { shares: 0, work: 0n };
    this.#minutes.set(key, { shares: minute.shares + 1, work: minute.work + work });
  }

  #reject({ who, code }: Extract<Step, { do: "reject" }>): void {
    const errorCode = codes[code] ?? "";
    this.#store.countReject({ userIdentity: userOf(who), worker: workerOf(who), errorCode, at: START });
    const counts = this.#rejects.get(who) ?? {};
    this.#rejects.set(who, { ...counts, [errorCode]: (counts[errorCode] ?? 0) + 1 });
  }

  #block(number: number): void {
    this.#lastFound += 1;
    const block: BlockRow = {
      hash: hashOf(number),
      height: number === 0 ? null : number,
      header: new Uint8Array(80).fill(number),
      coinbase: new Uint8Array(number * 40),
      prevHash: hashOf(2),
      templateId: number === 1 ? null : 2n ** 64n - 1n,
      declaredBy: number === 1 ? "' OR 1=1; --" : null,
      userIdentity: userOf(number),
      worker: "",
      foundAt: START + this.#lastFound,
      result: "pending",
      resultAt: null,
    };
    if (!this.#blocks.has(number)) this.#blocks.set(number, { ...block, userIdentity: stored(block.userIdentity) });
    this.#expect(this.#store.recordBlock(block));
  }

  /** Awaited, as the pool does: a result that waits may still reach a block that is recorded with the same commit. */
  async #result({ hash: number, text }: Extract<Step, { do: "result" }>): Promise<void> {
    await this.#settle();
    const at = START + this.#lastFound;
    const block = this.#blocks.get(number);
    if (block !== undefined) this.#blocks.set(number, { ...block, result: text, resultAt: at });
    await this.#store.setBlockResult({ hash: hashOf(number), result: text, at });
  }

  #expect(pending: Promise<void>): void {
    // Settled later; a rejection until then is not unhandled.
    pending.catch(() => {});
    this.#pending.push(pending);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#pending);
    this.#pending = [];
  }

  async #compare(): Promise<void> {
    await this.#settle();
    const workers = (await this.#store.workers()).map((worker) => ({ ...worker, rejects: {} }));
    rule(
      isDeepStrictEqual(byName(workers), byName([...this.#workers.values()])),
      "the workers are not those of the model",
    );
    const { shares, work, blocks } = await this.#store.totals();
    const sum = [...this.#workers.values()].reduce((total, worker) => total + worker.work, 0n);
    rule(
      shares === this.#hashes.size && work === sum && blocks === this.#blocks.size,
      "the totals are not those of the model",
    );
    const found = [...this.#blocks.values()].toSorted((a, b) => b.foundAt - a.foundAt);
    rule(isDeepStrictEqual(await this.#store.blocks(100), found), "the blocks are not those of the model");
    const minutes = await this.#store.workBetween(START - 600_000, START + 600_000);
    const counted = minutes.map(({ userIdentity, worker, minute, shares: count, work: done }) =>
      JSON.stringify([userIdentity, worker, minute, count, String(done)]),
    );
    const expected = [...this.#minutes].map(([key, { shares: count, work: done }]) => {
      const [at, minute] = key.split("/").map(Number);
      return JSON.stringify([stored(userOf(at ?? 0)), stored(workerOf(at ?? 0)), minute, count, String(done)]);
    });
    rule(isDeepStrictEqual(counted.toSorted(), expected.toSorted()), "the work by the minute is not that of the model");
  }

  /** A closed store has written all counts; those of names that never sent a share are in the total only. */
  async #compareRejects(): Promise<void> {
    const counts = [...this.#rejects.values()].flatMap((codes) => Object.values(codes));
    const { rejects } = await this.#store.totals();
    rule(rejects === counts.reduce((sum, count) => sum + count, 0), "the rejects are not those of the model");
    for (const { userIdentity, worker, rejects: found } of await this.#store.workers()) {
      const [who] =
        [...this.#workers].find(([, known]) => known.userIdentity === userIdentity && known.worker === worker) ?? [];
      rule(
        isDeepStrictEqual({ ...found }, this.#rejects.get(who ?? -1) ?? {}),
        "a worker's rejects are not those of the model",
      );
    }
  }
}

async function openStore(path: string): Promise<ShareStore> {
  return await openSqliteStore({ path, groupCommitMs: 1, groupCommitRows: 7 });
}

function userOf(who: number): string {
  return names[who % names.length] ?? "";
}

function workerOf(who: number): string {
  return names[(who * 3 + 1) % names.length] ?? "";
}

/** SQLite ends text at a NUL, so it is kept as another character. */
function stored(text: string): string {
  return text.replaceAll("\u0000", "\ufffd");
}

function hashOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

function byName(workers: readonly WorkerSummary[]): readonly WorkerSummary[] {
  return workers.toSorted((a, b) => (`${a.userIdentity}\n${a.worker}` < `${b.userIdentity}\n${b.worker}` ? -1 : 1));
}
