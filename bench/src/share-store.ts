import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openSqliteStore, type ShareRow, type ShareStore, type SqliteStoreOptions } from "@adit/share-store";
import { type Case, measureRounds, quantile } from "./measure.ts";
import { START } from "./samples.ts";
import type { BenchOptions, Suite } from "./suite.ts";

const GROUPS = [1, 10, 100, 500];
/** Seldom enough for a commit of its own. */
const SHARE_EVERY_MS = 20;

/** What it costs that a share is on disk before it is acknowledged, and what group commit saves of it. */
export const shareStore: Suite = {
  async *run(options) {
    const dir = await mkdtemp(join(tmpdir(), "adit-bench-"));
    const notes = [`SQLite with synchronous=FULL in ${dir}; set TMPDIR to measure another disk`];
    try {
      yield {
        title: "Shares recorded, each resolved after the fsync that holds it",
        unit: "shares/s",
        rows: await measureRounds(rateCases(dir, options), options),
        notes,
      };
      yield {
        title: `Wait of a share for its commit, one share in ${SHARE_EVERY_MS} ms`,
        unit: "ns of waiting",
        rows: await measureRounds(latencyCases(dir, options), options),
        notes,
      };
    } finally {
      await rm(dir, { recursive: true });
    }
  },
};

function rateCases(dir: string, { quick }: BenchOptions): readonly Case[] {
  const labelOf = (rows: number): string => (rows === 1 ? "a commit for each share" : `up to ${rows} shares a commit`);
  return GROUPS.map((rows) => ({
    label: labelOf(rows),
    against: rows === 1 ? [] : [labelOf(1)],
    sample: () => {
      const count = Math.min(rows * (quick ? 20 : 100), 20_000);
      return withStore(dir, { groupCommitMs: 0, groupCommitRows: rows }, async (store) => {
        const started = performance.now();
        const recorded: Promise<unknown>[] = [];
        for (const share of shares(count)) {
          await store.room();
          recorded.push(store.append(share));
        }
        await Promise.all(recorded);
        return count / ((performance.now() - started) / 1000);
      });
    },
  }));
}

function latencyCases(dir: string, { quick }: BenchOptions): readonly Case[] {
  const ways = [
    { label: "a commit for each share", options: { groupCommitMs: 0, groupCommitRows: 1 } },
    { label: "at most 10 ms for others (default)", options: {} },
  ];
  return [0.5, 0.99].flatMap((at) =>
    ways.map(({ label, options }, index) => ({
      label: `p${at * 100}: ${label}`,
      against: index === 0 ? [] : [`p${at * 100}: ${ways[0]?.label}`],
      sample: () => withStore(dir, options, async (store) => quantile(await waits(store, quick ? 20 : 100), at)),
    })),
  );
}

async function waits(store: ShareStore, count: number): Promise<readonly number[]> {
  return await Promise.all(
    shares(count).map(async (share, index) => {
      await sleep(index * SHARE_EVERY_MS);
      const started = performance.now();
      await store.append(share);
      return (performance.now() - started) * 1e6;
    }),
  );
}

let stores = 0;

/** A store in a fresh file. */
async function withStore(
  dir: string,
  options: Omit<SqliteStoreOptions, "path">,
  measured: (store: ShareStore) => Promise<number>,
): Promise<number> {
  await using store = await openSqliteStore({ ...options, path: join(dir, `${stores++}.db`) });
  return await measured(store);
}

function shares(count: number): readonly ShareRow[] {
  return Array.from({ length: count }, (_, index) => {
    const hash = new Uint8Array(32).fill(1);
    new DataView(hash.buffer).setUint32(0, index);
    return {
      hash,
      prevHash: new Uint8Array(32).fill(2),
      userIdentity: "bench",
      worker: `rig${index % 10}`,
      work: 1n << 40n,
      shareDifficulty: 1_000,
      at: START + index,
    };
  });
}
