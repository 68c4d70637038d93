import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSqliteStore, type SqliteStoreOptions } from "./sqlite-store.ts";
import { sampleBlock, sampleShare as share } from "./testing/sample-rows.ts";

async function newPath(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), "adit-store-")), "shares.db");
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
        share({ work: 2n ** 200n + 1n, at: minute }),
        share({ work: 2n ** 200n + 1n, at: minute + 59_999 }),
        share({ work: 2n ** 200n + 1n, at: minute + 60_000 }),
        share({ work: 2n ** 200n + 1n, worker: "w2" }),
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
      const block = sampleBlock();
      await store.recordBlock(block);
      await store.setBlockResult({ hash: block.hash, result: "accepted", at: 9 });
      const [found] = await store.blocks(10);
      expect(found).toMatchObject({ height: 101, result: "accepted", resultAt: 9 });
      expect(found?.header.length).toBe(80);
      expect(found?.templateId).toBe(block.templateId);
    });
  });

  test("tells the newest blocks that are open, whatever was found since", async () => {
    await withStore({}, async (store) => {
      const results = ["side-branch", "matured", "orphaned", "accepted", "pending", "matured"];
      const blocks = results.map((result, foundAt) => sampleBlock({ foundAt, result }));
      for (const block of blocks) await store.recordBlock(block);
      const open = async (limit: number) => (await store.openBlocks(limit)).map(({ result }) => result);
      expect(await open(9)).toEqual(["pending", "accepted", "side-branch"]);
      expect(await open(2)).toEqual(["pending", "accepted"]);
      await store.setBlockResult({ hash: blocks[4]!.hash, result: "orphaned", at: 9 });
      expect(await open(9)).toEqual(["accepted", "side-branch"]);
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

  test("bounds its blocks and results as it does its shares, and keeps their order", async () => {
    await withStore({ maxQueue: 2, groupCommitRows: 1 }, async (store) => {
      const blocks = Array.from({ length: 5 }, (_, foundAt) => sampleBlock({ foundAt }));
      const recorded = Promise.allSettled(blocks.map((block) => store.recordBlock(block)));
      const settled = Promise.allSettled(
        blocks.map(({ hash }) => store.setBlockResult({ hash, result: "accepted", at: 9 })),
      );
      const outcomes = [...(await recorded), ...(await settled)];
      const codes = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason.code : "kept"));
      const expected = ["kept", "kept", "kept", "kept", "queue-full"];
      expect(codes).toEqual([...expected, ...expected]);
      expect((await store.blocks(9)).map(({ foundAt, result }) => [foundAt, result])).toEqual(
        [3, 2, 1, 0].map((foundAt) => [foundAt, "accepted"]),
      );
    });
  });

  test("refuses a row that it could not keep, and only that one", async () => {
    await withStore({}, async (store) => {
      const wrong = [
        { hash: new Uint8Array(31) },
        { work: -1n },
        { work: 2n ** 256n + 1n },
        { shareDifficulty: Number.POSITIVE_INFINITY },
        { at: 1.5 },
      ];
      const refused = Promise.allSettled(wrong.map((change) => store.append(share(change))));
      const good = store.append(share({ work: 2n ** 256n }));
      const reasons = (await refused).map((outcome) => outcome.status === "rejected" && outcome.reason.name);
      expect(reasons).toEqual(wrong.map(() => "RangeError"));
      await expect(store.recordBlock(sampleBlock({ foundAt: Number.NaN }))).rejects.toThrow(RangeError);
      expect(await good).toBe("recorded");
      expect(await store.totals()).toMatchObject({ shares: 1, work: 2n ** 256n, blocks: 0 });
    });
  });

  test("keeps nothing of the caller's bytes", async () => {
    await withStore({}, async (store) => {
      const bytes = Buffer.from(share().hash);
      const appended = store.append(share({ hash: bytes }));
      const kept = new Uint8Array(bytes);
      bytes.fill(0);
      await appended;
      expect(await store.append(share({ hash: kept }))).toBe("duplicate");
    });
  });

  test("takes any user identity as data", async () => {
    await withStore({}, async (store) => {
      const names = ["", "'; DROP TABLE share; --", "../../etc", "ü\u0000\n", "\ud800", "x".repeat(255)];
      for (const userIdentity of names) await store.append(share({ userIdentity }));
      const kept = names.map((name) => name.replace(/[\0\ud800]/, "\uFFFD"));
      expect((await store.workers()).map(({ userIdentity }) => userIdentity)).toEqual(kept);
    });
  });
});
