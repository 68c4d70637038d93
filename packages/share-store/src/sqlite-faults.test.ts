import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { copyFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import Database from "libsql";
import { describe, expect, test } from "vitest";
import { openSqliteStore, SqliteStore } from "./sqlite-store.ts";
import { SqliteThread } from "./sqlite-thread.ts";
import { RunningStore, type Said, storeCommand } from "./testing/running-store.ts";
import { SAMPLE_WORK, sampleBlock, sampleShare } from "./testing/sample-rows.ts";
import { temporaryFile } from "./testing/temporary-file.ts";

function bytesOf(hash: string): Uint8Array {
  return new Uint8Array(Buffer.from(hash, "hex"));
}

/** Rows of a table in a closed store. In a copy, because libsql lets go of a file only when its thread ends. */
function rowsIn(path: string, table: string): number {
  copyFileSync(path, `${path}.copy`);
  const query = new Database(`${path}.copy`).prepare(`SELECT count(*) AS rows FROM ${table}`);
  const [found] = query.all() as { rows: number }[];
  return found?.rows ?? 0;
}

/** Opens the store and finds in it all that was acknowledged, once, and sums that fit its rows. */
async function expectAllKept(path: string, said: Pick<Said, "shares" | "blocks">): Promise<void> {
  const { shares, work } = await (async () => {
    await using store = await openSqliteStore({ path });
    const totals = await store.totals();
    const again = said.shares.map((hash) => store.append(sampleShare({ hash: bytesOf(hash), userIdentity: "thief" })));
    expect(new Set(await Promise.all(again))).toEqual(new Set(["duplicate"]));
    const blocks = new Set((await store.blocks(100_000)).map(({ hash }) => Buffer.from(hash).toString("hex")));
    expect(said.blocks.filter((hash) => !blocks.has(hash))).toEqual([]);
    const minutes = await store.workBetween(0, Number.MAX_SAFE_INTEGER);
    expect(minutes.reduce((sum, minute) => sum + minute.shares, 0)).toBe(totals.shares);
    expect(minutes.reduce((sum, minute) => sum + minute.work, 0n)).toBe(totals.work);
    return totals;
  })();
  expect(new Set(said.shares).size).toBe(said.shares.length);
  expect(shares).toBeGreaterThanOrEqual(said.shares.length);
  expect(rowsIn(path, "share")).toBe(shares);
  expect(work).toBe(BigInt(shares) * SAMPLE_WORK);
}

/** Whether a command works here; its complaint is why a test is skipped. */
function refusalOf(command: string, ...args: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8", timeout: 10_000 });
  return status === 0 ? undefined : `${command}: ${error?.message ?? stderr.trim()}`;
}

describe("a store whose process is killed", () => {
  test("has all that it acknowledged, once, and one writer at a time", { timeout: 60_000 }, async () => {
    using file = temporaryFile();
    const acknowledged = { shares: [] as string[], blocks: [] as string[] };
    for (let round = 0; round < 4; round++) {
      await using running = new RunningStore(storeCommand(file.path));
      await running.until(1);
      if (round === 0) await expect(openSqliteStore({ path: file.path })).rejects.toMatchObject({ code: "locked" });
      await running.until(randomInt(2, 1_500));
      await running.kill();
      expect(running.said).toMatchObject({ refused: new Map(), errors: "" });
      expect(running.said.shares.length).toBeGreaterThan(0);
      acknowledged.shares.push(...running.said.shares);
      acknowledged.blocks.push(...running.said.blocks);
    }
    await expectAllKept(file.path, acknowledged);
  });
});

describe("a store whose disk is full", () => {
  const mount = 'mount -t tmpfs -o size=2m tmpfs "$0"';
  const refusal = refusalOf("unshare", "-rm", "sh", "-c", mount, tmpdir());

  test("keeps what it acknowledged and goes on when there is room", { timeout: 60_000 }, async ({ skip }) => {
    skip(refusal !== undefined, refusal);
    using file = temporaryFile();
    const disk = `${file.folder}/disk`;
    const kept = `${file.folder}/kept`;
    for (const folder of [disk, kept]) mkdirSync(folder);
    // The mount is seen by this shell and its children only, so the shell copies the files out at the end.
    const script = [mount, 'head -c 1200000 /dev/zero > "$0/ballast"', '"$@"', `cp "$0"/shares.db* ${kept}`].join(
      " && ",
    );
    const command = storeCommand(`${disk}/shares.db`, `${disk}/ballast`);
    await using running = new RunningStore(["unshare", "-rm", "sh", "-c", script, disk, ...command]);
    await running.ended;
    const { said } = running;
    expect(said.errors).toBe("");
    expect(new Set(said.refused.values())).toEqual(new Set(["disk-full"]));
    expect(said.stats).toMatchObject([
      { durable: false, failed: said.refused.size, queued: 0 },
      { durable: true, failed: said.refused.size, queued: 0 },
    ]);
    await expectAllKept(`${kept}/shares.db`, said);
    await using store = await openSqliteStore({ path: `${kept}/shares.db` });
    expect(await store.totals()).toMatchObject({ shares: said.shares.length, rejects: 20 });
    const [refused = ""] = said.refused.keys();
    expect(await store.append(sampleShare({ hash: bytesOf(refused) }))).toBe("recorded");
  });
});

describe("a store whose fsync fails", () => {
  const refusal = refusalOf("strace", "-qq", "-f", "-e", "inject=fsync:error=EIO:when=1000", "true");

  test.for([
    ["once", "when=20"],
    ["from then on", "when=14+"],
  ])("%s acknowledges nothing more, and has what it acknowledged", { timeout: 60_000 }, async ([, when], { skip }) => {
    skip(refusal !== undefined, refusal);
    using file = temporaryFile();
    const inject = ["-e", "trace=fsync,fdatasync", "-e", `inject=fsync,fdatasync:error=EIO:${when}`];
    const strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", ...inject];
    await using running = new RunningStore([...strace, ...storeCommand(file.path)]);
    await running.ended;
    const { said } = running;
    expect(said.errors).toBe("");
    expect(said.shares.length).toBeGreaterThan(0);
    expect(new Set(said.refused.values())).toEqual(new Set(["not-durable"]));
    expect(said.refused.size).toBeGreaterThanOrEqual(60);
    expect(said.stats.map(({ durable, commits }) => [durable, commits])).toEqual(
      said.stats.map(() => [false, said.stats[0]?.commits]),
    );
    await expectAllKept(file.path, said);
  });
});

describe("a store whose thread dies", () => {
  test("rejects what waits and what comes, and closes", async () => {
    using file = temporaryFile();
    const thread = new SqliteThread({ path: file.path, keepSharesMs: 1e9 });
    await thread.call({ type: "open" });
    const options = { ...file, groupCommitMs: 0, groupCommitRows: 2, maxQueue: 4, keepSharesMs: 1e9 };
    await using store = new SqliteStore(thread, options);
    const share = sampleShare();
    expect(await store.append(share)).toBe("recorded");
    const waiting = [...Array.from({ length: 7 }, () => store.append(sampleShare())), store.recordBlock(sampleBlock())];
    const hasRoom = store.room();
    await thread.end();
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason.code)).toEqual(
      outcomes.map(() => "not-durable"),
    );
    await hasRoom;
    await store.room();
    await expect(store.append(sampleShare())).rejects.toMatchObject({ code: "not-durable" });
    await expect(store.totals()).rejects.toMatchObject({ code: "not-durable" });
    expect(store.stats()).toMatchObject({ durable: false, queued: 0, failed: 8 });
    await store[Symbol.asyncDispose]();
    await expectAllKept(file.path, { shares: [Buffer.from(share.hash).toString("hex")], blocks: [] });
  });
});
