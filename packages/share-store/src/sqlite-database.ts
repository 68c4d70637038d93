import { type Kysely, type Selectable, type SelectQueryBuilder, sql } from "kysely";
import type { BlockRow, RejectRow, ShareRow, StoreAudit, Totals, WorkerSummary, WorkMinute } from "./share-store.ts";
import { inTransaction, openSqliteFile } from "./sqlite-file.ts";
import { isOpenBlock, type Tables } from "./sqlite-schema.ts";

/** Which file, and how long it keeps single shares. */
export interface FileOptions {
  readonly path: string;
  readonly keepSharesMs: number;
}

/** What one commit holds. */
export interface Batch {
  readonly shares: readonly ShareRow[];
  readonly rejects: readonly (RejectRow & { readonly count: number })[];
  readonly blocks: readonly BlockRow[];
  readonly results: readonly { readonly hash: Uint8Array; readonly result: string; readonly at: number }[];
}

/** A store file, opened by the one thread that writes to it. */
export class SqliteDatabase {
  readonly #db: Kysely<Tables>;
  readonly #keepSharesMs: number;
  readonly #workerIds = new Map<string, number>();

  private constructor(db: Kysely<Tables>, keepSharesMs: number) {
    this.#db = db;
    this.#keepSharesMs = keepSharesMs;
  }

  /**
   * Opens or creates the file.
   *
   * @throws ShareStoreError `locked`, `newer-schema`, `unreadable`, `disk-full`.
   */
  static async open({ path, keepSharesMs }: FileOptions): Promise<SqliteDatabase> {
    return new SqliteDatabase(await openSqliteFile(path), keepSharesMs);
  }

  /** Commits a batch. @returns for each share, in order, whether it was new. */
  async commit(batch: Batch): Promise<readonly boolean[]> {
    try {
      return await inTransaction(this.#db, async (trx) => {
        const recorded = await this.#insertShares(trx, batch.shares);
        await this.#forgetShares(trx, batch.shares);
        await addRejects(trx, batch.rejects);
        for (const block of batch.blocks) await insertBlock(trx, block);
        for (const { hash, result, at } of batch.results) {
          await trx.updateTable("block").set({ result, result_at: at }).where(sql<boolean>`hash = ${hash}`).execute();
        }
        return recorded;
      });
    } catch (error) {
      this.#workerIds.clear();
      throw error;
    }
  }

  /** Every worker with its sums and rejects by reason. */
  async workers(): Promise<readonly WorkerSummary[]> {
    const rejects = new Map<string, Record<string, number>>();
    for (const row of await this.#db.selectFrom("reject").selectAll().execute()) {
      const key = workerKey(row.user_identity, row.worker);
      const counts = rejects.get(key) ?? {};
      counts[row.error_code] = row.count;
      rejects.set(key, counts);
    }
    const rows = await this.#db.selectFrom("worker").selectAll().orderBy("id").execute();
    return rows.map((row) => ({
      userIdentity: row.user_identity,
      worker: row.name,
      shares: row.shares,
      work: BigInt(row.work),
      bestDifficulty: row.best_difficulty,
      rejects: rejects.get(workerKey(row.user_identity, row.name)) ?? {},
      firstSeen: row.first_seen,
      lastSeen: row.last_seen,
    }));
  }

  /** The newest blocks; all of them for a negative limit. */
  async blocks(limit: number): Promise<readonly BlockRow[]> {
    return (await this.#newestBlocks().limit(limit).execute()).map(blockRow);
  }

  /** The newest blocks that are open. */
  async openBlocks(limit: number): Promise<readonly BlockRow[]> {
    return (await this.#newestBlocks().where(isOpenBlock()).limit(limit).execute()).map(blockRow);
  }

  /** Sums over everything. */
  async totals(): Promise<Totals> {
    const workers = await this.#db.selectFrom("worker").select(["shares", "work"]).execute();
    const { rejects } = await this.#db
      .selectFrom("reject")
      .select(sql<number>`coalesce(sum(count), 0)`.as("rejects"))
      .executeTakeFirstOrThrow();
    const { blocks } = await this.#db
      .selectFrom("block")
      .select(sql<number>`count(*)`.as("blocks"))
      .executeTakeFirstOrThrow();
    const shares = workers.reduce((sum, worker) => sum + worker.shares, 0);
    const work = workers.reduce((sum, worker) => sum + BigInt(worker.work), 0n);
    return { shares, work, rejects, blocks, workers: workers.length };
  }

  /** Work a worker and minute in `[from, to)`. */
  async workBetween(from: number, to: number): Promise<readonly WorkMinute[]> {
    const rows = await this.#db
      .selectFrom("work_minute")
      .innerJoin("worker", "worker.id", "work_minute.worker_id")
      .selectAll("work_minute")
      .select(["worker.user_identity", "worker.name"])
      .where("minute", ">=", minuteOf(from))
      .where("minute", "<", to)
      .orderBy("minute")
      .execute();
    return rows.map((row) => ({
      userIdentity: row.user_identity,
      worker: row.name,
      minute: row.minute,
      shares: row.shares,
      work: BigInt(row.work),
    }));
  }

  /** Checks the whole file and reads all of it. */
  async audit(): Promise<StoreAudit> {
    const { rows: checks } = await sql<{ integrity_check: string }>`PRAGMA integrity_check`.execute(this.#db);
    const damage = checks.map(({ integrity_check: check }) => check).filter((check) => check !== "ok");
    const rows = await this.#db
      .selectFrom("share")
      .innerJoin("worker", "worker.id", "share.worker_id")
      .selectAll("share")
      .select(["worker.user_identity", "worker.name"])
      .orderBy("share.at")
      .execute();
    const shares = rows.map((row) => ({
      hash: new Uint8Array(row.hash),
      prevHash: new Uint8Array(row.prev_hash),
      userIdentity: row.user_identity,
      worker: row.name,
      work: BigInt(row.work),
      shareDifficulty: row.difficulty,
      at: row.at,
    }));
    const [workers, minutes] = [await this.workers(), await this.workBetween(0, Number.MAX_SAFE_INTEGER)];
    return { damage, shares, workers, minutes, blocks: await this.blocks(-1) };
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }

  #newestBlocks(): SelectQueryBuilder<Tables, "block", Selectable<Tables["block"]>> {
    return this.#db.selectFrom("block").selectAll().orderBy("found_at", "desc");
  }

  async #insertShares(trx: Kysely<Tables>, shares: readonly ShareRow[]): Promise<readonly boolean[]> {
    if (shares.length === 0) return [];
    const ids = await this.#idsOf(trx, shares);
    const rows = shares.map((share, index) => ({
      hash: share.hash,
      prev_hash: share.prevHash,
      worker_id: ids[index] ?? 0,
      work: share.work.toString(),
      difficulty: share.shareDifficulty,
      at: share.at,
    }));
    const inserted = await trx
      .insertInto("share")
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .returning("hash")
      .execute();
    const fresh = new Set(inserted.map(({ hash }) => keyOf(new Uint8Array(hash))));
    const recorded = shares.map((share) => fresh.delete(keyOf(share.hash)));
    const credited = shares.flatMap((share, index) =>
      recorded[index] === true ? [{ share, id: ids[index] ?? 0 }] : [],
    );
    await addWork(trx, credited);
    return recorded;
  }

  /**
   * Forgets single shares that are too old by the newest one's time; sums stay. A few more than came in, so that the
   * table cannot grow for good and no commit has to wait for a long deletion.
   */
  async #forgetShares(trx: Kysely<Tables>, shares: readonly ShareRow[]): Promise<void> {
    if (shares.length === 0) return;
    const before = shares.reduce((newest, { at }) => Math.max(newest, at), 0) - this.#keepSharesMs;
    const old = trx
      .selectFrom("share")
      .select("hash")
      .where("at", "<", before)
      .orderBy("at")
      .limit(2 * shares.length);
    await trx.deleteFrom("share").where("hash", "in", old).execute();
  }

  async #idsOf(trx: Kysely<Tables>, shares: readonly ShareRow[]): Promise<readonly number[]> {
    if (this.#workerIds.size > MAX_CACHED_WORKERS) this.#workerIds.clear();
    const ids: number[] = [];
    for (const { userIdentity, worker, at } of shares) {
      const key = workerKey(userIdentity, worker);
      const id = this.#workerIds.get(key) ?? (await findOrAddWorker(trx, { userIdentity, worker, at }));
      this.#workerIds.set(key, id);
      ids.push(id);
    }
    return ids;
  }
}

const MAX_CACHED_WORKERS = 100_000;
const MINUTE_MS = 60_000;

function minuteOf(at: number): number {
  return Math.floor(at / MINUTE_MS) * MINUTE_MS;
}

async function findOrAddWorker(
  trx: Kysely<Tables>,
  { userIdentity, worker, at }: { userIdentity: string; worker: string; at: number },
): Promise<number> {
  const row = {
    user_identity: userIdentity,
    name: worker,
    shares: 0,
    work: "0",
    best_difficulty: 0,
    first_seen: at,
    last_seen: at,
  };
  const { id } = await trx
    .insertInto("worker")
    .values(row)
    // Changes nothing; a row that a conflict leaves alone is not returned.
    .onConflict((conflict) => conflict.columns(["user_identity", "name"]).doUpdateSet({ name: worker }))
    .returning("id")
    .executeTakeFirstOrThrow();
  return id;
}

interface Sum {
  readonly id: number;
  readonly minute: number;
  shares: number;
  work: bigint;
  best: number;
  last: number;
}

/** Adds the credited shares to the sums: one row a worker, one a worker and minute. */
async function addWork(trx: Kysely<Tables>, credited: readonly { share: ShareRow; id: number }[]): Promise<void> {
  if (credited.length === 0) return;
  const byWorker = new Map<number, Sum>();
  const byMinute = new Map<string, Sum>();
  for (const { share, id } of credited) {
    const minute = minuteOf(share.at);
    addTo(byWorker, id, { share, id, minute: 0 });
    addTo(byMinute, `${id}/${minute}`, { share, id, minute });
  }
  await addToWorkers(trx, byWorker);
  await addToMinutes(trx, [...byMinute.values()]);
}

function addTo<Key>(
  sums: Map<Key, Sum>,
  key: Key,
  { share, id, minute }: { share: ShareRow; id: number; minute: number },
): void {
  const sum = sums.get(key) ?? { id, minute, shares: 0, work: 0n, best: 0, last: 0 };
  sum.shares += 1;
  sum.work += share.work;
  sum.best = Math.max(sum.best, share.shareDifficulty);
  sum.last = Math.max(sum.last, share.at);
  sums.set(key, sum);
}

async function addToWorkers(trx: Kysely<Tables>, sums: ReadonlyMap<number, Sum>): Promise<void> {
  const rows = await trx
    .selectFrom("worker")
    .select(["id", "work"])
    .where("id", "in", [...sums.keys()])
    .execute();
  const before = new Map(rows.map(({ id, work }) => [id, BigInt(work)]));
  for (const { id, shares, work, best, last } of sums.values()) {
    await trx
      .updateTable("worker")
      .set({
        shares: sql`shares + ${shares}`,
        work: ((before.get(id) ?? 0n) + work).toString(),
        best_difficulty: sql`max(best_difficulty, ${best})`,
        last_seen: sql`max(last_seen, ${last})`,
      })
      .where("id", "=", id)
      .execute();
  }
}

async function addToMinutes(trx: Kysely<Tables>, sums: readonly Sum[]): Promise<void> {
  const rows = await trx
    .selectFrom("work_minute")
    .select(["worker_id", "minute", "work"])
    .where("minute", "in", [...new Set(sums.map(({ minute }) => minute))])
    .where("worker_id", "in", [...new Set(sums.map(({ id }) => id))])
    .execute();
  const before = new Map(rows.map((row) => [`${row.worker_id}/${row.minute}`, BigInt(row.work)]));
  for (const { id, minute, shares, work } of sums) {
    const total = ((before.get(`${id}/${minute}`) ?? 0n) + work).toString();
    await trx
      .insertInto("work_minute")
      .values({ worker_id: id, minute, shares, work: total })
      .onConflict((conflict) => conflict.doUpdateSet({ shares: sql`shares + ${shares}`, work: total }))
      .execute();
  }
}

async function addRejects(trx: Kysely<Tables>, rejects: Batch["rejects"]): Promise<void> {
  for (const { userIdentity, worker, errorCode, count } of rejects) {
    await trx
      .insertInto("reject")
      .values({ user_identity: userIdentity, worker, error_code: errorCode, count })
      .onConflict((conflict) => conflict.doUpdateSet({ count: sql`count + ${count}` }))
      .execute();
  }
}

function blockRow(row: Selectable<Tables["block"]>): BlockRow {
  return {
    hash: new Uint8Array(row.hash),
    height: row.height,
    header: new Uint8Array(row.header),
    coinbase: new Uint8Array(row.coinbase),
    prevHash: new Uint8Array(row.prev_hash),
    templateId: row.template_id === null ? null : BigInt(row.template_id),
    declaredBy: row.declared_by,
    userIdentity: row.user_identity,
    worker: row.worker,
    foundAt: row.found_at,
    result: row.result,
    resultAt: row.result_at,
  };
}

async function insertBlock(trx: Kysely<Tables>, block: BlockRow): Promise<void> {
  await trx
    .insertInto("block")
    .values({
      hash: block.hash,
      height: block.height,
      header: block.header,
      coinbase: block.coinbase,
      prev_hash: block.prevHash,
      template_id: block.templateId?.toString() ?? null,
      declared_by: block.declaredBy,
      user_identity: block.userIdentity,
      worker: block.worker,
      found_at: block.foundAt,
      result: block.result,
      result_at: block.resultAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function workerKey(userIdentity: string, worker: string): string {
  return `${userIdentity}\u0000${worker}`;
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString("latin1");
}
