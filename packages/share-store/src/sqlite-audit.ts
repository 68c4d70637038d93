import type { BlockRow, ShareRow, WorkerSummary, WorkMinute } from "./share-store.ts";
import { SqliteThread } from "./sqlite-thread.ts";

/** All that is in a store file, for those who compare it with other books. */
export interface StoreAudit {
  /** What SQLite's own check of the whole file finds wrong; empty for a whole one. */
  readonly damage: readonly string[];
  /** Every single share that is still kept, oldest first. */
  readonly shares: readonly ShareRow[];
  readonly workers: readonly WorkerSummary[];
  /** Work of every worker and minute. */
  readonly minutes: readonly WorkMinute[];
  /** Newest first. */
  readonly blocks: readonly BlockRow[];
}

/**
 * Reads a store file that no process has open. Takes time and memory in proportion to what is in it.
 *
 * @throws ShareStoreError `locked`, `newer-schema`, `unreadable`, `disk-full`.
 */
export async function auditSqliteStore(path: string): Promise<StoreAudit> {
  const thread = new SqliteThread({ path, keepSharesMs: Number.MAX_SAFE_INTEGER });
  try {
    const audit = await thread.call<StoreAudit>({ type: "audit" });
    await thread.call({ type: "close" });
    return audit;
  } finally {
    await thread.end();
  }
}
