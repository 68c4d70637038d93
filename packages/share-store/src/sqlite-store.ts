import {
  type BlockRow,
  type RejectRow,
  type ShareRow,
  type ShareStore,
  ShareStoreError,
  type StoreStats,
  type Totals,
  type WorkerSummary,
  type WorkMinute,
} from "./share-store.ts";
import type { Batch } from "./sqlite-database.ts";
import type { Call } from "./sqlite-protocol.ts";
import { SqliteThread } from "./sqlite-thread.ts";

/** Where a SQLite share store lives and how it commits. */
export interface SqliteStoreOptions {
  /** The file; created when missing. */
  readonly path: string;
  /** Longest wait for company before a commit, in milliseconds. */
  readonly groupCommitMs?: number;
  /** Shares in one commit at most. */
  readonly groupCommitRows?: number;
  /** Shares that may wait before {@link ShareStore.room} stops resolving; appends beyond twice this are refused. */
  readonly maxQueue?: number;
  /** Single shares are forgotten after this many milliseconds; sums stay for good. */
  readonly keepSharesMs?: number;
}

const defaults = { groupCommitMs: 10, groupCommitRows: 500, maxQueue: 10_000, keepSharesMs: 30 * 86_400_000 };
const FORGET_EVERY_MS = 3_600_000;
const MAX_REJECT_KEYS = 10_000;
/** Rejects are only counts: they wait this long for a share to share a commit with. */
const REJECTS_WAIT_MS = 1_000;

interface Waiting<Row> {
  readonly row: Row;
  readonly resolve: (recorded: boolean) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Opens the store in a thread of its own, `synchronous=FULL`, commits in groups.
 *
 * @throws ShareStoreError `locked`, `newer-schema`, `unreadable`.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<ShareStore> {
  const thread = new SqliteThread(options.path);
  try {
    await thread.call({ type: "open" });
  } catch (error) {
    await thread.end();
    throw error;
  }
  return new SqliteStore(thread, { ...defaults, ...options });
}

/**
 * The main thread's side. A commit that failed for lack of space leaves the store usable; any other write error is
 * taken for a lost fsync, after which the file can no longer be trusted to hold what it acknowledges: from then on every
 * append is refused until the process is restarted and the file opened afresh.
 */
class SqliteStore implements ShareStore {
  readonly #thread: SqliteThread;
  readonly #options: Required<SqliteStoreOptions>;
  #shares: Waiting<ShareRow>[] = [];
  #blocks: Waiting<BlockRow>[] = [];
  #results: Waiting<Batch["results"][number]>[] = [];
  readonly #rejects = new Map<string, RejectRow & { count: number }>();
  #roomWaiters: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #due = 0;
  #broken: ShareStoreError | undefined;
  #committing: Promise<void> | undefined;
  #closed = false;
  #lastForget = Date.now();
  #stats = { commits: 0, lastCommitMs: 0, failed: 0, durable: true };
  #queued = 0;

  constructor(thread: SqliteThread, options: Required<SqliteStoreOptions>) {
    this.#thread = thread;
    this.#options = options;
  }

  async append(share: ShareRow): Promise<"recorded" | "duplicate"> {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#queued >= this.#options.maxQueue * 2) {
      this.#stats.failed += 1;
      throw new ShareStoreError("not-durable", "the share store's queue is full; await room() before appending");
    }
    this.#queued += 1;
    const bytes = { hash: share.hash.slice(), prevHash: share.prevHash.slice() };
    const copy = { ...share, ...bytes, userIdentity: storable(share.userIdentity), worker: storable(share.worker) };
    return (await this.#wait(this.#shares, copy)) ? "recorded" : "duplicate";
  }

  async room(): Promise<void> {
    if (this.#queued < this.#options.maxQueue || this.#closed) return;
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
  }

  countReject(reject: RejectRow): void {
    const row = { ...reject, userIdentity: storable(reject.userIdentity), worker: storable(reject.worker) };
    const key = `${reject.errorCode}\u0000${reject.userIdentity}\u0000${reject.worker}`;
    const known = this.#rejects.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#rejects.size < MAX_REJECT_KEYS) this.#rejects.set(key, { ...row, count: 1 });
    this.#schedule(REJECTS_WAIT_MS);
  }

  async recordBlock(block: BlockRow): Promise<void> {
    await this.#wait(this.#blocks, {
      ...block,
      userIdentity: storable(block.userIdentity),
      worker: storable(block.worker),
    });
  }

  async setBlockResult(result: Batch["results"][number]): Promise<void> {
    await this.#wait(this.#results, result);
  }

  async workers(): Promise<readonly WorkerSummary[]> {
    return await this.#query({ type: "workers" });
  }

  async blocks(limit: number): Promise<readonly BlockRow[]> {
    return await this.#query({ type: "blocks", limit });
  }

  async totals(): Promise<Totals> {
    return await this.#query({ type: "totals" });
  }

  async workBetween(from: number, to: number): Promise<readonly WorkMinute[]> {
    return await this.#query({ type: "work-between", from, to });
  }

  stats(): StoreStats {
    return { queued: this.#queued, ...this.#stats };
  }

  /** Commits what waits, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#committing;
    await this.#commit();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    await this.#thread.call({ type: "close" }).catch(() => {});
    await this.#thread.end();
  }

  async #query<T>(call: Call): Promise<T> {
    return await this.#thread.call<T>(call);
  }

  async #wait<Row>(queue: Waiting<Row>[], row: Row): Promise<boolean> {
    if (this.#closed) throw new ShareStoreError("closed", "the share store is closed");
    if (this.#broken !== undefined) throw this.#broken;
    const recorded = new Promise<boolean>((resolve, reject) => queue.push({ row, resolve, reject }));
    this.#schedule();
    return await recorded;
  }

  /** One commit at a time: what comes meanwhile goes with the next one. The soonest wish sets its time. */
  #schedule(waitMs: number = this.#options.groupCommitMs): void {
    if (this.#committing !== undefined || this.#closed) return;
    const wait = this.#shares.length >= this.#options.groupCommitRows ? 0 : waitMs;
    const due = performance.now() + wait;
    if (this.#timer !== undefined && this.#due <= due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#begin(), wait);
  }

  #begin(): void {
    this.#timer = undefined;
    this.#committing = this.#commit().finally(() => {
      this.#committing = undefined;
      if (this.#shares.length + this.#blocks.length + this.#results.length > 0) this.#schedule();
      else if (this.#rejects.size > 0) this.#schedule(REJECTS_WAIT_MS);
    });
  }

  async #commit(): Promise<void> {
    do {
      const shares = this.#shares.splice(0, this.#options.groupCommitRows);
      const blocks = this.#blocks.splice(0);
      const results = this.#results.splice(0);
      const rejects = [...this.#rejects.values()];
      this.#rejects.clear();
      if (shares.length + blocks.length + results.length + rejects.length === 0) return;
      await this.#commitBatch({ shares, blocks, results, rejects });
    } while (this.#closed);
  }

  async #commitBatch(batch: {
    shares: Waiting<ShareRow>[];
    blocks: Waiting<BlockRow>[];
    results: Waiting<Batch["results"][number]>[];
    rejects: Batch["rejects"];
  }): Promise<void> {
    const started = performance.now();
    try {
      const fresh = await this.#thread.call<readonly boolean[]>({
        type: "commit",
        batch: {
          shares: batch.shares.map(({ row }) => row),
          blocks: batch.blocks.map(({ row }) => row),
          results: batch.results.map(({ row }) => row),
          rejects: batch.rejects,
        },
      });
      this.#stats = {
        ...this.#stats,
        commits: this.#stats.commits + 1,
        lastCommitMs: performance.now() - started,
        durable: true,
      };
      batch.shares.forEach(({ resolve }, index) => resolve(fresh[index] === true));
      for (const { resolve } of [...batch.blocks, ...batch.results]) resolve(true);
    } catch (error) {
      this.#stats = { ...this.#stats, failed: this.#stats.failed + batch.shares.length, durable: false };
      for (const { reject } of [...batch.shares, ...batch.blocks, ...batch.results]) reject(error as Error);
      if (error instanceof ShareStoreError && error.code === "not-durable") this.#broken = error;
    }
    this.#queued -= batch.shares.length;
    if (this.#queued < this.#options.maxQueue) for (const resolve of this.#roomWaiters.splice(0)) resolve();
    await this.#forgetOldShares();
  }

  async #forgetOldShares(): Promise<void> {
    const now = Date.now();
    if (now - this.#lastForget < FORGET_EVERY_MS) return;
    this.#lastForget = now;
    await this.#thread.call({ type: "forget", before: now - this.#options.keepSharesMs }).catch(() => {});
  }
}

/** SQLite ends a text at a NUL, which would make two identities one; the replacement character keeps them apart. */
function storable(text: string): string {
  return text.replaceAll("\u0000", "\uFFFD");
}
