import { type Insertable, Kysely, type RawBuilder, SqliteDialect, sql, type Transaction } from "kysely";
import Database from "libsql";
import { fromLimbs, type Limbs, limbColumns, toLimbs } from "./exact-sum.ts";
import {
  type BlockRow,
  type RejectRow,
  type ShareRow,
  ShareStoreError,
  type Totals,
  type WorkerSummary,
  type WorkMinute,
} from "./share-store.ts";
import { createTables, SCHEMA_VERSION, type Tables } from "./sqlite-schema.ts";

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
  readonly #workerIds = new Map<string, number>();

  private constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /**
   * Opens or creates the file with `synchronous=FULL`, under a lock that keeps every other writer out.
   *
   * @throws ShareStoreError `locked`, `newer-schema`, `unreadable`.
   */
  static async open(path: string): Promise<SqliteDatabase> {
    const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: openFile(path) }) });
    try {
      for (const pragma of [
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
      ]) {
        await sql.raw(`PRAGMA ${pragma}`).execute(db);
      }
      const { rows } = await sql<{ user_version: number }>`PRAGMA user_version`.execute(db);
      const found = rows[0]?.user_version ?? 0;
      if (found > SCHEMA_VERSION) {
        const message = `${path} was written by a newer version (schema ${found}, this one knows ${SCHEMA_VERSION}); run that version`;
        throw new ShareStoreError("newer-schema", message);
      }
      if (found === 0) await db.transaction().execute(createTables);
      return new SqliteDatabase(db);
    } catch (error) {
      await db.destroy();
      throw openError(path, error);
    }
  }

  /** Commits a batch. @returns for each share, in order, whether it was new. */
  async commit(batch: Batch): Promise<readonly boolean[]> {
    try {
      return await this.#db.transaction().execute(async (trx) => {
        const recorded = await this.#insertShares(trx, batch.shares);
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
      work: fromLimbs(row),
      bestDifficulty: row.best_difficulty,
      rejects: rejects.get(workerKey(row.user_identity, row.name)) ?? {},
      firstSeen: row.first_seen,
      lastSeen: row.last_seen,
    }));
  }

  /** The newest blocks. */
  async blocks(limit: number): Promise<readonly BlockRow[]> {
    const rows = await this.#db.selectFrom("block").selectAll().orderBy("found_at", "desc").limit(limit).execute();
    return rows.map((row) => ({
      hash: new Uint8Array(row.hash),
      height: row.height,
      header: new Uint8Array(row.header),
      coinbase: new Uint8Array(row.coinbase),
      prevHash: new Uint8Array(row.prev_hash),
      userIdentity: row.user_identity,
      worker: row.worker,
      foundAt: row.found_at,
      result: row.result,
      resultAt: row.result_at,
    }));
  }

  /** Sums over everything. */
  async totals(): Promise<Totals> {
    const { rows } = await sql<Limbs & { shares: number; workers: number }>`
      SELECT coalesce(sum(shares), 0) AS shares, count(*) AS workers, ${sql.join(limbSums())} FROM worker`.execute(
      this.#db,
    );
    const work = rows[0] ?? { ...toLimbs(0n), shares: 0, workers: 0 };
    const { rejects } = await this.#db
      .selectFrom("reject")
      .select(sql<number>`coalesce(sum(count), 0)`.as("rejects"))
      .executeTakeFirstOrThrow();
    const { blocks } = await this.#db
      .selectFrom("block")
      .select(sql<number>`count(*)`.as("blocks"))
      .executeTakeFirstOrThrow();
    return { shares: work.shares, work: fromLimbs(work), rejects, blocks, workers: work.workers };
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
      work: fromLimbs(row),
    }));
  }

  /** Forgets single shares older than this; sums by worker and minute stay. */
  async forgetSharesBefore(at: number): Promise<void> {
    await this.#db.deleteFrom("share").where("at", "<", at).execute();
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }

  async #insertShares(trx: Transaction<Tables>, shares: readonly ShareRow[]): Promise<readonly boolean[]> {
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

  async #idsOf(trx: Transaction<Tables>, shares: readonly ShareRow[]): Promise<readonly number[]> {
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

function openFile(path: string): Database.Database {
  try {
    return new Database(path, { timeout: 0 });
  } catch (error) {
    throw openError(path, error);
  }
}

function openError(path: string, error: unknown): ShareStoreError {
  if (error instanceof ShareStoreError) return error;
  const { code } = error as { code?: unknown };
  if (code === "SQLITE_BUSY" || code === "SQLITE_LOCKED") {
    return new ShareStoreError("locked", `${path} is open in another process; a share store has one writer`, {
      cause: error,
    });
  }
  const message = `${path} cannot be opened as a share store; check the path, its rights and whether the file is whole`;
  return new ShareStoreError("unreadable", message, { cause: error });
}

async function findOrAddWorker(
  trx: Transaction<Tables>,
  { userIdentity, worker, at }: { userIdentity: string; worker: string; at: number },
): Promise<number> {
  const row = {
    user_identity: userIdentity,
    name: worker,
    shares: 0,
    best_difficulty: 0,
    first_seen: at,
    last_seen: at,
  };
  const { id } = await trx
    .insertInto("worker")
    .values({ ...row, ...toLimbs(0n) } as Insertable<Tables["worker"]>)
    .onConflict((conflict) => conflict.columns(["user_identity", "name"]).doUpdateSet({ last_seen: at }))
    .returning("id")
    .executeTakeFirstOrThrow();
  return id;
}

interface Sum {
  shares: number;
  work: bigint;
  best: number;
  last: number;
}

/** Adds the credited shares to the sums: one row a worker, one a worker and minute. */
async function addWork(trx: Transaction<Tables>, credited: readonly { share: ShareRow; id: number }[]): Promise<void> {
  const byWorker = new Map<number, Sum>();
  const byMinute = new Map<string, Sum & { id: number; minute: number }>();
  for (const { share, id } of credited) {
    const minute = minuteOf(share.at);
    addTo(byWorker, id, share);
    const key = `${id}/${minute}`;
    if (!byMinute.has(key)) byMinute.set(key, { ...emptySum(), id, minute });
    addTo(byMinute, key, share);
  }
  for (const [id, sum] of byWorker) await addToWorker(trx, id, sum);
  for (const { id, minute, shares, work } of byMinute.values()) {
    await trx
      .insertInto("work_minute")
      .values({ worker_id: id, minute, shares, ...toLimbs(work) })
      .onConflict((conflict) => conflict.doUpdateSet({ shares: sql`shares + ${shares}`, ...added(work) }))
      .execute();
  }
}

function emptySum(): Sum {
  return { shares: 0, work: 0n, best: 0, last: 0 };
}

function addTo<Key, S extends Sum>(sums: Map<Key, S>, key: Key, share: ShareRow): void {
  const sum = sums.get(key) ?? (emptySum() as S);
  sum.shares += 1;
  sum.work += share.work;
  sum.best = Math.max(sum.best, share.shareDifficulty);
  sum.last = Math.max(sum.last, share.at);
  sums.set(key, sum);
}

async function addToWorker(trx: Transaction<Tables>, id: number, sum: Sum): Promise<void> {
  await trx
    .updateTable("worker")
    .set({
      shares: sql`shares + ${sum.shares}`,
      best_difficulty: sql`max(best_difficulty, ${sum.best})`,
      last_seen: sql`max(last_seen, ${sum.last})`,
      ...added(sum.work),
    })
    .where("id", "=", id)
    .execute();
}

function added(work: bigint): Record<(typeof limbColumns)[number], RawBuilder<number>> {
  const limbs = toLimbs(work);
  const sums = limbColumns.map((column) => [column, sql<number>`${sql.ref(column)} + ${limbs[column]}`] as const);
  return Object.fromEntries(sums) as Record<keyof Limbs, RawBuilder<number>>;
}

function limbSums(): RawBuilder<unknown>[] {
  return limbColumns.map((column) => sql`coalesce(sum(${sql.ref(column)}), 0) AS ${sql.ref(column)}`);
}

async function addRejects(trx: Transaction<Tables>, rejects: Batch["rejects"]): Promise<void> {
  for (const { userIdentity, worker, errorCode, count } of rejects) {
    await trx
      .insertInto("reject")
      .values({ user_identity: userIdentity, worker, error_code: errorCode, count })
      .onConflict((conflict) => conflict.doUpdateSet({ count: sql`count + ${count}` }))
      .execute();
  }
}

async function insertBlock(trx: Transaction<Tables>, block: BlockRow): Promise<void> {
  await trx
    .insertInto("block")
    .values({
      hash: block.hash,
      height: block.height,
      header: block.header,
      coinbase: block.coinbase,
      prev_hash: block.prevHash,
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
