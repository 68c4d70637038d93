import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Kysely, SqliteDialect, sql } from "kysely";
import Database from "libsql";
import { ShareStoreError } from "./share-store.ts";
import { APPLICATION_ID, createTables, SCHEMA_VERSION, type Tables, upgradeTables } from "./sqlite-schema.ts";

/**
 * Opens a store file, or creates it when nothing is there: aside and then under its name, so that a first start which is
 * interrupted leaves nothing that the next one would have to take for a damaged store. It is opened with
 * `synchronous=FULL` and under a lock that keeps every other writer out. What is there and is no whole store is refused: taking it for a new store would lose its shares.
 *
 * @throws ShareStoreError `locked`, `newer-schema`, `unreadable`, `disk-full`.
 */
export async function openSqliteFile(path: string): Promise<Kysely<Tables>> {
  try {
    refuseRemains(path);
    if (!existsSync(path)) await createFile(path);
    const db = new Kysely<Tables>({
      dialect: new SqliteDialect({ database: new Database(path, { timeout: 0 }) }),
    });
    try {
      await prepare(db, path);
      return db;
    } catch (error) {
      await db.destroy().catch(() => {});
      throw error;
    }
  } catch (error) {
    throw openError(path, error);
  }
}

/**
 * Runs `work` in one transaction. SQLite rolls back by itself when the disk is full or fails, and a second rollback is
 * an error then: it must not hide the first one, by which the two are told apart.
 */
export async function inTransaction<T>(db: Kysely<Tables>, work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
  return await db.connection().execute(async (connection) => {
    await sql`BEGIN IMMEDIATE`.execute(connection);
    try {
      const result = await work(connection);
      await sql`COMMIT`.execute(connection);
      return result;
    } catch (error) {
      await sql`ROLLBACK`.execute(connection).catch(() => {});
      throw error;
    }
  });
}

/** SQLite takes an empty file for a new database, and then deletes the log beside it with all the commits it holds. */
function refuseRemains(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === 0) {
    throw new ShareStoreError("unreadable", `${path} is empty; restore it from a backup, or delete it to start anew`);
  }
  if (size === undefined && existsSync(`${path}-wal`)) {
    throw new ShareStoreError(
      "unreadable",
      `${path} is missing and ${path}-wal is not; restore the one or move the other`,
    );
  }
}

async function createFile(path: string): Promise<void> {
  const aside = `${path}.new`;
  for (const end of ["", "-journal", "-wal"]) rmSync(aside + end, { force: true });
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: new Database(aside, { timeout: 0 }) }) });
  try {
    await sql`PRAGMA synchronous = FULL`.execute(db);
    await inTransaction(db, createTables);
  } finally {
    await db.destroy();
  }
  try {
    linkSync(aside, path);
  } catch (error) {
    // Another process was first; it has the store open, or had.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  syncFolder(dirname(path));
}

/** A name survives a power cut only once its folder has been written too. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

async function prepare(db: Kysely<Tables>, path: string): Promise<void> {
  for (const pragma of ["locking_mode = EXCLUSIVE", "synchronous = FULL", "foreign_keys = ON"]) {
    await sql.raw(`PRAGMA ${pragma}`).execute(db);
  }
  await checkSchema(db, path);
  await sql`PRAGMA journal_mode = WAL`.execute(db);
  for (const table of ["worker", "block"]) await checkTable(db, { path, table });
  // Last, so that a file which is refused is left as it was.
  const version = await pragma(db, "user_version");
  if (version < SCHEMA_VERSION) await inTransaction(db, (trx) => upgradeTables(trx, version));
}

async function checkSchema(db: Kysely<Tables>, path: string): Promise<void> {
  if ((await pragma(db, "application_id")) !== APPLICATION_ID) {
    throw new ShareStoreError("unreadable", `${path} is no share store; name another path or restore it`);
  }
  const found = await pragma(db, "user_version");
  if (found > SCHEMA_VERSION) {
    const message = `${path} was written by a newer version (schema ${found}, this one knows ${SCHEMA_VERSION}); run that version`;
    throw new ShareStoreError("newer-schema", message);
  }
}

/** Only the tables that stay small: a check of all shares would make the start longer with each of them. */
async function checkTable(db: Kysely<Tables>, { path, table }: { path: string; table: string }): Promise<void> {
  const { rows } = await sql<{ quick_check: string }>`PRAGMA quick_check(${sql.ref(table)})`.execute(db);
  const fault = rows[0]?.quick_check;
  if (fault === "ok") return;
  throw new ShareStoreError("unreadable", `${path} is damaged; restore it from a backup`, { cause: new Error(fault) });
}

async function pragma(db: Kysely<Tables>, name: "application_id" | "user_version"): Promise<number> {
  const { rows } = await sql<Record<string, number>>`PRAGMA ${sql.ref(name)}`.execute(db);
  return rows[0]?.[name] ?? 0;
}

function openError(path: string, error: unknown): ShareStoreError {
  if (error instanceof ShareStoreError) return error;
  const { code } = error as { code?: unknown };
  if (code === "SQLITE_BUSY" || code === "SQLITE_LOCKED") {
    return new ShareStoreError("locked", `${path} is open in another process; a share store has one writer`, {
      cause: error,
    });
  }
  if (code === "SQLITE_FULL") {
    return new ShareStoreError("disk-full", `no space left to open ${path}; free some and start again`, {
      cause: error,
    });
  }
  const message = `${path} cannot be opened as a share store; check the path, its rights and whether the file is whole`;
  return new ShareStoreError("unreadable", message, { cause: error });
}
