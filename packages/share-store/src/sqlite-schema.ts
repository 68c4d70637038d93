import { type ColumnType, type Kysely, type RawBuilder, sql } from "kysely";
import { finalBlockResults } from "./share-store.ts";

/** libsql takes any view of bytes and hands back an `ArrayBuffer`. */
type Blob = ColumnType<ArrayBuffer, Uint8Array, Uint8Array>;

/**
 * The tables of a SQLite share store. Times are unix milliseconds, hashes 32 bytes in internal order. Work is a decimal
 * text: a sum of it fits neither SQLite's 64-bit integers nor the doubles that they are read as.
 */
export interface Tables {
  worker: {
    id: ColumnType<number, undefined, never>;
    user_identity: string;
    name: string;
    shares: number;
    work: string;
    best_difficulty: number;
    first_seen: number;
    last_seen: number;
  };
  share: { hash: Blob; prev_hash: Blob; worker_id: number; work: string; difficulty: number; at: number };
  work_minute: { worker_id: number; minute: number; shares: number; work: string };
  reject: { user_identity: string; worker: string; error_code: string; count: number };
  block: {
    hash: Blob;
    height: number | null;
    header: Blob;
    coinbase: Blob;
    prev_hash: Blob;
    /** Decimal: it has 64 bits without a sign. */
    template_id: string | null;
    declared_by: string | null;
    user_identity: string;
    worker: string;
    found_at: number;
    result: string;
    result_at: number | null;
  };
}

/** Marks a SQLite file as a share store, in SQLite's `application_id`: "ADIT". */
export const APPLICATION_ID = 0x41444954;

/** The schema version this code writes, kept in SQLite's `user_version`. */
export const SCHEMA_VERSION = 4;

const OPEN = `result NOT IN (${finalBlockResults.map((result) => `'${result}'`).join(", ")})`;
/** Few blocks of many are open, and SQLite finds them by this index where a query has its very condition. */
const OPEN_BLOCKS = `CREATE INDEX block_open ON block (found_at) WHERE ${OPEN}`;

/** That a block is open, as the index of open blocks says it. */
export function isOpenBlock(): RawBuilder<boolean> {
  return sql.raw<boolean>(OPEN);
}

/** Creates the tables in an empty file. */
export async function createTables(db: Kysely<Tables>): Promise<void> {
  const statements = [
    `CREATE TABLE worker (id INTEGER PRIMARY KEY, user_identity TEXT NOT NULL, name TEXT NOT NULL, shares INTEGER NOT NULL,
       work TEXT NOT NULL, best_difficulty REAL NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
       UNIQUE (user_identity, name)) STRICT`,
    `CREATE TABLE share (hash BLOB PRIMARY KEY, prev_hash BLOB NOT NULL, worker_id INTEGER NOT NULL REFERENCES worker (id),
       work TEXT NOT NULL, difficulty REAL NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
    "CREATE INDEX share_at ON share (at)",
    `CREATE TABLE work_minute (worker_id INTEGER NOT NULL REFERENCES worker (id), minute INTEGER NOT NULL, shares INTEGER NOT NULL,
       work TEXT NOT NULL, PRIMARY KEY (minute, worker_id)) STRICT, WITHOUT ROWID`,
    `CREATE TABLE reject (user_identity TEXT NOT NULL, worker TEXT NOT NULL, error_code TEXT NOT NULL, count INTEGER NOT NULL,
       PRIMARY KEY (user_identity, worker, error_code)) STRICT, WITHOUT ROWID`,
    `CREATE TABLE block (hash BLOB PRIMARY KEY, height INTEGER, header BLOB NOT NULL, coinbase BLOB NOT NULL, prev_hash BLOB NOT NULL,
       user_identity TEXT NOT NULL, worker TEXT NOT NULL, found_at INTEGER NOT NULL, result TEXT NOT NULL, result_at INTEGER,
       template_id TEXT, declared_by TEXT) STRICT`,
    OPEN_BLOCKS,
    `PRAGMA application_id = ${APPLICATION_ID}`,
    `PRAGMA user_version = ${SCHEMA_VERSION}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

/** Brings the tables of an older version up to this one. */
export async function upgradeTables(db: Kysely<Tables>, from: number): Promise<void> {
  const statements = [
    ...(from < 2 ? ["ALTER TABLE block ADD COLUMN template_id TEXT"] : []),
    ...(from < 3 ? ["ALTER TABLE block ADD COLUMN declared_by TEXT"] : []),
    ...(from < 4 ? [OPEN_BLOCKS] : []),
    `PRAGMA user_version = ${SCHEMA_VERSION}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
