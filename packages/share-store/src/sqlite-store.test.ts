import { randomBytes } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import Database from "libsql";
import { describe, expect, test } from "vitest";
import { fromLimbs, toLimbs } from "./exact-sum.ts";
import type { ShareRow } from "./share-store.ts";
import { openSqliteStore, type SqliteStoreOptions } from "./sqlite-store.ts";

async function newPath(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), "adit-store-")), "shares.db");
}

function share(change: Partial<ShareRow> = {}): ShareRow {
  return {
    hash: new Uint8Array(randomBytes(32)),
    prevHash: new Uint8Array(32).fill(7),
    userIdentity: "user",
    worker: "w1",
    work: 2n ** 200n + 1n,
    shareDifficulty: 3.5,
    at: 1_700_000_000_000,
    ...change,
  };
}

async function withStore<T>(
  options: Partial<SqliteStoreOptions>,
  run: (store: Awaited<ReturnType<typeof openSqliteStore>>, path: string) => Promise<T>,
): Promise<T> {
  const path = options.path ?? (await newPath());
  await using store = await openSqliteStore({ ...options, path });
  return await run(store, path);
}

describe("a share store", () => {
  test("has on disk whatever it acknowledged, with exact sums a worker and minute", async () => {
    const path = await newPath();
    await withStore({ path }, async (store) => {
      const minute = 1_700_000_040_000;
      const rows = [
        share({ at: minute }),
        share({ at: minute + 59_999 }),
        share({ at: minute + 60_000 }),
        share({ worker: "w2" }),
      ];
      expect(await Promise.all(rows.map((row) => store.append(row)))).toEqual(rows.map(() => "recorded"));
    });
    await withStore({ path }, async (store) => {
      expect(await store.totals()).toMatchObject({ shares: 4, workers: 2, work: 4n * (2n ** 200n + 1n) });
      const minutes = await store.workBetween(1_700_000_040_000, 1_700_000_160_000);
      expect(minutes.map(({ shares, work }) => [shares, work])).toEqual([
        [2, 2n * (2n ** 200n + 1n)],
        [1, 2n ** 200n + 1n],
      ]);
    });
  });

  test("credits a header once, in one commit, over commits and after a restart", async () => {
    const path = await newPath();
    const row = share();
    await withStore({ path }, async (store) => {
      const both = await Promise.all([store.append(row), store.append({ ...row, worker: "other" })]);
      expect(both.toSorted()).toEqual(["duplicate", "recorded"]);
      expect(await store.append(row)).toBe("duplicate");
    });
    await withStore({ path }, async (store) => {
      expect(await store.append({ ...row, userIdentity: "thief" })).toBe("duplicate");
      expect(await store.totals()).toMatchObject({ shares: 1, work: row.work });
    });
  });

  test("keeps a block from before it is settled until after", async () => {
    await withStore({}, async (store) => {
      const block = {
        hash: new Uint8Array(randomBytes(32)),
        height: 101,
        header: new Uint8Array(80),
        coinbase: new Uint8Array(150),
        prevHash: new Uint8Array(32),
        userIdentity: "user",
        worker: "",
        foundAt: 5,
        result: "pending",
        resultAt: null,
      };
      await store.recordBlock(block);
      await store.setBlockResult({ hash: block.hash, result: "accepted", at: 9 });
      const [found] = await store.blocks(10);
      expect(found).toMatchObject({ height: 101, result: "accepted", resultAt: 9 });
      expect(found?.header.length).toBe(80);
    });
  });

  test("counts rejects by worker and reason, and the best difficulty", async () => {
    await withStore({}, async (store) => {
      for (const errorCode of ["stale-share", "stale-share", "duplicate-share"]) {
        store.countReject({ userIdentity: "user", worker: "w1", errorCode, at: 1 });
      }
      await store.append(share({ shareDifficulty: 2 }));
      await store.append(share({ shareDifficulty: 9 }));
      await store.append(share({ shareDifficulty: 4 }));
      const [worker] = await store.workers();
      expect(worker).toMatchObject({
        bestDifficulty: 9,
        shares: 3,
        rejects: { "stale-share": 2, "duplicate-share": 1 },
      });
    });
  });

  test("pushes back when its queue is full and lets go when it drains", async () => {
    await withStore({ maxQueue: 4 }, async (store) => {
      const appended = Array.from({ length: 4 }, () => store.append(share()));
      const commitsBefore = store.stats().commits;
      await store.room();
      expect(store.stats().commits).toBeGreaterThan(commitsBefore);
      await Promise.all(appended);
      expect(store.stats()).toMatchObject({ queued: 0, durable: true });
    });
  });

  test("refuses appends beyond its bound instead of growing", async () => {
    await withStore({ maxQueue: 2 }, async (store) => {
      const appended = Array.from({ length: 6 }, () => store.append(share()));
      const results = await Promise.allSettled(appended);
      expect(results.map(({ status }) => status)).toEqual([
        "fulfilled",
        "fulfilled",
        "fulfilled",
        "fulfilled",
        "rejected",
        "rejected",
      ]);
    });
  });

  test("commits what waits when it is closed, and refuses what comes after", async () => {
    const path = await newPath();
    const store = await openSqliteStore({ path, groupCommitMs: 60_000 });
    const appended = store.append(share());
    await store[Symbol.asyncDispose]();
    expect(await appended).toBe("recorded");
    await expect(store.append(share())).rejects.toMatchObject({ code: "closed" });
  });

  test("keeps a second writer out", async () => {
    await withStore({}, async (_store, path) => {
      await expect(openSqliteStore({ path })).rejects.toMatchObject({ code: "locked" });
    });
  });

  test("refuses a newer file and one that is no store", async () => {
    const newer = await newPath();
    const db = new Database(newer);
    db.exec("PRAGMA user_version = 99");
    db.close();
    await expect(openSqliteStore({ path: newer })).rejects.toMatchObject({ code: "newer-schema" });
    const other = await newPath();
    await writeFile(other, randomBytes(8192));
    await expect(openSqliteStore({ path: other })).rejects.toMatchObject({ code: "unreadable" });
  });

  test("takes any user identity as data", async () => {
    await withStore({}, async (store) => {
      const names = ["", "'; DROP TABLE share; --", "../../etc", "ü\u0000\n", "x".repeat(255)];
      for (const userIdentity of names) await store.append(share({ userIdentity }));
      const kept = names.map((name) => name.replace("\u0000", "\uFFFD"));
      expect((await store.workers()).map(({ userIdentity }) => userIdentity)).toEqual(kept);
    });
  });
});

test("sums of work are exact through their columns", () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), { maxLength: 50 }), (works) => {
      const columns = toLimbs(0n);
      for (const work of works) {
        const limbs = toLimbs(work);
        for (const column of Object.keys(columns) as (keyof typeof columns)[]) columns[column] += limbs[column];
      }
      expect(fromLimbs(columns)).toBe(works.reduce((sum, work) => sum + work, 0n));
    }),
  );
});
