export {
  type BlockRow,
  finalBlockResults,
  type RejectRow,
  type ShareRow,
  type ShareStore,
  ShareStoreError,
  type ShareStoreErrorCode,
  type StoreAudit,
  type StoreStats,
  type Totals,
  type WorkerSummary,
  type WorkMinute,
} from "./share-store.ts";
export { auditSqliteStore } from "./sqlite-audit.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./sqlite-store.ts";
