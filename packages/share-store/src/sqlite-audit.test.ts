import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { expect, test } from "vitest";
import { auditSqliteStore } from "./sqlite-audit.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { sampleBlock, sampleShare } from "./testing/sample-rows.ts";
import { temporaryFile } from "./testing/temporary-file.ts";

async function storeOf(path: string, count: number): Promise<readonly ReturnType<typeof sampleShare>[]> {
  const shares = Array.from({ length: count }, (_, at) => sampleShare({ at, worker: `w${at % 3}` }));
  await using store = await openSqliteStore({ path });
  await Promise.all([
    ...shares.map((share) => store.append(share)),
    ...[1, 2].map((foundAt) => store.recordBlock(sampleBlock({ foundAt }))),
  ]);
  return shares;
}

test("an audit shows every share as it was recorded, and finds a whole file whole", async () => {
  using file = temporaryFile();
  const shares = await storeOf(file.path, 7);
  const audit = await auditSqliteStore(file.path);
  expect(audit).toMatchObject({ damage: [], shares });
  {
    await using store = await openSqliteStore({ path: file.path });
    expect(audit.workers).toEqual(await store.workers());
    expect(audit.minutes).toEqual(await store.workBetween(0, 60_000));
    expect(audit.blocks).toEqual(await store.blocks(9));
  }
  expect(audit.workers).toHaveLength(3);
  expect(audit.blocks).toHaveLength(2);
  expect(await auditSqliteStore(file.path)).toEqual(audit);
});

test("an audit finds damage that no start looks for, and refuses a file that is open", async () => {
  using file = temporaryFile();
  await storeOf(file.path, 400);
  {
    await using _open = await openSqliteStore({ path: file.path });
    await expect(auditSqliteStore(file.path)).rejects.toMatchObject({ code: "locked" });
  }
  // The last page is one of the shares' table or of its index, which a start does not read.
  const handle = openSync(file.path, "r+");
  writeSync(handle, new Uint8Array(2_000), 0, 2_000, statSync(file.path).size - 2_500);
  closeSync(handle);
  const outcome = await auditSqliteStore(file.path).catch((error: unknown) => error);
  expect(outcome).not.toMatchObject({ damage: [] });
});
