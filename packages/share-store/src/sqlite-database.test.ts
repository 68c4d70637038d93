import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import fc from "fast-check";
import Database from "libsql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ShareRow } from "./share-store.ts";
import { SqliteDatabase } from "./sqlite-database.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { sampleBlock, sampleShare } from "./testing/sample-rows.ts";
import { temporaryFile } from "./testing/temporary-file.ts";

const PAGE = 4096;
const nothing = { shares: [], rejects: [], blocks: [], results: [] };

async function open(path: string, keepSharesMs = 1e12): Promise<SqliteDatabase> {
  return await SqliteDatabase.open({ path, keepSharesMs });
}

/** A store with 200 shares. Written in a thread: libsql lets go of a file only when its thread ends. */
const whole = temporaryFile();
beforeAll(async () => {
  await using store = await openSqliteStore({ path: whole.path });
  await Promise.all([
    store.recordBlock(sampleBlock()),
    ...Array.from({ length: 200 }, () => store.append(sampleShare())),
  ]);
});
afterAll(() => whole[Symbol.dispose]());

function copyOfStore(): ReturnType<typeof temporaryFile> {
  const file = temporaryFile();
  copyFileSync(whole.path, file.path);
  return file;
}

function overwrite(path: string, { at, bytes }: { at: number; bytes: Uint8Array }): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

/** Overwrites the first page of a table with zeros. */
function zero(path: string, table: string): void {
  using copy = copyOfStore();
  const query = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
  const [found] = new Database(copy.path).prepare(query).all(table) as { rootpage: number }[];
  overwrite(path, { at: ((found?.rootpage ?? 0) - 1) * PAGE, bytes: new Uint8Array(PAGE) });
}

describe("a file that is no whole store", () => {
  const faults: Record<string, (path: string) => void> = {
    "cut to half": (path) => truncateSync(path, Math.floor(statSync(path).size / PAGE / 2) * PAGE),
    "cut to one page": (path) => truncateSync(path, PAGE),
    "cut within a page": (path) => truncateSync(path, 1_000),
    "cut to nothing": (path) => truncateSync(path, 0),
    "cut to nothing beside its log": (path) => {
      truncateSync(path, 0);
      writeFileSync(`${path}-wal`, "commits");
    },
    "gone from beside its log": (path) => {
      rmSync(path);
      writeFileSync(`${path}-wal`, "commits");
    },
    "zeroed where its workers are": (path) => zero(path, "worker"),
    "zeroed where its schema is": (path) => overwrite(path, { at: 100, bytes: new Uint8Array(PAGE - 100) }),
    "another program's": (path) => {
      rmSync(path);
      new Database(path).exec("CREATE TABLE wallet (coins INTEGER)");
    },
    "no database": (path) => writeFileSync(path, "x".repeat(2 * PAGE)),
    "in a folder that is not there": (path) => renameSync(path, `${path}.moved`),
  };

  test.each(Object.keys(faults))("is refused when it is %s, and left as it was", async (name) => {
    using file = copyOfStore();
    faults[name]?.(file.path);
    const path = name === "in a folder that is not there" ? `${file.folder}/missing/shares.db` : file.path;
    const before = readIfThere(file.path);
    const log = readIfThere(`${file.path}-wal`);
    await expect(open(path)).rejects.toMatchObject({ code: "unreadable", message: expect.stringContaining(path) });
    expect(readIfThere(file.path)).toEqual(before);
    if (log !== undefined) expect(readIfThere(`${file.path}-wal`)).toEqual(log);
  });

  test("is refused when a newer version wrote it", async () => {
    using file = copyOfStore();
    const userVersion = { at: 60, bytes: Uint8Array.of(0, 0, 0, 99) };
    overwrite(file.path, userVersion);
    await expect(open(file.path)).rejects.toMatchObject({ code: "newer-schema" });
  });

  test("is refused by a query when the damage is where no start looks", async () => {
    using file = copyOfStore();
    zero(file.path, "work_minute");
    const database = await open(file.path);
    await expect(database.workBetween(0, 2e12)).rejects.toMatchObject({
      code: expect.stringMatching(/^SQLITE_CORRUPT/),
    });
    await database.close();
  });
});

test("a store of the first version is brought up to this one, with all it holds", async () => {
  using file = copyOfStore();
  const old = new Database(file.path);
  old.exec(
    "DROP INDEX block_open; ALTER TABLE block DROP COLUMN template_id; ALTER TABLE block DROP COLUMN declared_by; PRAGMA user_version = 1",
  );
  old.close();
  for (const templateId of [2n ** 64n - 1n, 5n]) {
    await using store = await openSqliteStore({ path: file.path });
    await store.recordBlock(sampleBlock({ templateId }));
  }
  await using store = await openSqliteStore({ path: file.path });
  expect(await store.totals()).toMatchObject({ shares: 200, blocks: 3 });
  const ids = (await store.blocks(9)).map(({ templateId }) => templateId);
  expect(new Set(ids)).toEqual(new Set([null, 2n ** 64n - 1n, 5n]));
});

test("a store of the second version learns who chose the transactions of blocks from now on", async () => {
  using file = copyOfStore();
  const old = new Database(file.path);
  old.exec("DROP INDEX block_open; ALTER TABLE block DROP COLUMN declared_by; PRAGMA user_version = 2");
  old.close();
  await using store = await openSqliteStore({ path: file.path });
  const declared = sampleBlock({ declaredBy: "alice" });
  await store.recordBlock(declared);
  const stored = await store.blocks(9);
  expect(new Set(stored.map(({ declaredBy }) => declaredBy))).toEqual(new Set([null, "alice"]));
});

test("a store of the third version finds its open blocks from now on, by their index", async () => {
  using file = copyOfStore();
  const old = new Database(file.path);
  old.exec("DROP INDEX block_open; PRAGMA user_version = 3");
  old.close();
  {
    await using store = await openSqliteStore({ path: file.path });
    const buried = sampleBlock({ foundAt: 9, result: "matured", resultAt: 10 });
    await store.recordBlock(buried);
    const open = await store.openBlocks(9);
    expect(open).toHaveLength((await store.totals()).blocks - 1);
    expect(open.map(({ result }) => result)).not.toContain(buried.result);
  }
  const now = new Database(file.path);
  const plan = now
    .prepare(
      "EXPLAIN QUERY PLAN SELECT * FROM block WHERE result NOT IN ('matured', 'orphaned') ORDER BY found_at DESC",
    )
    .all();
  now.close();
  expect(JSON.stringify(plan)).toContain("block_open");
});

test("a first start that was interrupted does not stop the next one", async () => {
  using file = temporaryFile();
  for (const end of [".new", ".new-journal", ".new-wal"]) writeFileSync(file.path + end, "half a page");
  for (const shares of [1, 2]) {
    await using store = await openSqliteStore({ path: file.path });
    await store.append(sampleShare());
    expect(await store.totals()).toMatchObject({ shares });
  }
  expect(readdirSync(file.folder).filter((name) => name.includes(".new"))).toEqual([]);
});

test("a copy of a store with its log, as a power cut leaves them, is whole", async () => {
  using file = temporaryFile();
  const database = await open(file.path);
  await database.commit({ ...nothing, shares: [sampleShare(), sampleShare()] });
  const copy = `${file.folder}/copy.db`;
  for (const end of ["", "-wal"]) copyFileSync(`${file.path}${end}`, `${copy}${end}`);
  await database.close();
  const copied = await open(copy);
  expect(await copied.totals()).toMatchObject({ shares: 2 });
  await copied.close();
});

test("work is summed exactly for any worker, minute and commit", { timeout: 30_000 }, async () => {
  using file = temporaryFile();
  const database = await open(file.path);
  const row = fc.record({
    work: fc.bigInt({ min: 0n, max: 2n ** 256n }),
    worker: fc.constantFrom("a", "b"),
    at: fc.integer({ min: 0, max: 180_000 }),
    shareDifficulty: fc.double({ min: 0, max: 1e12, noNaN: true }),
  });
  const all: ShareRow[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 8 }), async (rows) => {
      const shares = rows.map((change) => sampleShare(change));
      expect(await database.commit({ ...nothing, shares })).toEqual(shares.map(() => true));
      all.push(...shares);
      expect(await database.totals()).toMatchObject({ shares: all.length, work: workOf(all) });
    }),
    { numRuns: 60 },
  );
  for (const { worker, minute, shares, work } of await database.workBetween(0, 240_000)) {
    const own = all.filter((share) => share.worker === worker && Math.floor(share.at / 60_000) * 60_000 === minute);
    expect([shares, work]).toEqual([own.length, workOf(own)]);
  }
  for (const { worker, shares, work, bestDifficulty, lastSeen } of await database.workers()) {
    const own = all.filter((share) => share.worker === worker);
    expect([shares, work]).toEqual([own.length, workOf(own)]);
    expect(bestDifficulty).toBe(Math.max(...own.map(({ shareDifficulty }) => shareDifficulty)));
    expect(lastSeen).toBe(Math.max(...own.map(({ at }) => at)));
  }
  await database.close();
});

test("old shares are forgotten a few at a time, and their work is kept", async () => {
  using file = temporaryFile();
  const database = await open(file.path, 1_000);
  const old = Array.from({ length: 5 }, (_, at) => sampleShare({ at }));
  const [first, ...rest] = old;
  await database.commit({ ...nothing, shares: old });
  const recorded = async (...shares: ShareRow[]): Promise<readonly boolean[]> =>
    await database.commit({ ...nothing, shares });
  expect(await recorded(sampleShare({ at: 1_010 }))).toEqual([true]);
  expect(await recorded({ ...first!, at: 1_010 }, { ...rest[3]!, at: 1_010 })).toEqual([true, false]);
  expect(await database.totals()).toMatchObject({ shares: 7 });
  await database.close();
});

function workOf(shares: readonly ShareRow[]): bigint {
  return shares.reduce((sum, { work }) => sum + work, 0n);
}

function readIfThere(path: string): Buffer | undefined {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(path);
}
