import type { StoreAudit } from "./share-store.ts";
import { SqliteThread } from "./sqlite-thread.ts";

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
