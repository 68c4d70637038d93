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
  /** Shares in one commit at most; so many blocks, results and reject counts as well. From 1 to 5,000. */
  readonly groupCommitRows?: number;
  /** Shares that may wait before {@link ShareStore.room} stops resolving; what comes when twice this wait is refused. */
  readonly maxQueue?: number;
  /** Single shares are forgotten after this many milliseconds; sums stay for good. */
  readonly keepSharesMs?: number;
}

const defaults = { groupCommitMs: 10, groupCommitRows: 500, maxQueue: 10_000, keepSharesMs: 30 * 86_400_000 };
/** A share takes six of the 32,766 variables that one statement may have. */
const MAX_COMMIT_ROWS = 5_000;
const MAX_REJECT_KEYS = 10_000;
/** Rejects are only counts: they wait this long for a share to share a commit with. */
const REJECTS_WAIT_MS = 1_000;

const MAX_WORK = 2n ** 256n;

type RejectCount = Batch["rejects"][number];

interface Waiting<Row> {
  readonly row: Row;
  readonly resolve: (recorded: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** What one commit takes from the queues. */
interface Taken {
  readonly shares: readonly Waiting<ShareRow>[];
  readonly blocks: readonly Waiting<BlockRow>[];
  readonly results: readonly Waiting<Batch["results"][number]>[];
  readonly rejects: readonly RejectCount[];
}

/**
 * Opens the store in a thread of its own, `synchronous=FULL`, commits in groups.
 *
 * @throws ShareStoreError `locked`, `newer-schema`, `unreadable`, `disk-full`.
 * @throws RangeError when a bound is not a positive integer.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<ShareStore> {
  const full = { ...defaults, ...options };
  checkBounds(full);
  const thread = new SqliteThread({ path: full.path, keepSharesMs: full.keepSharesMs });
  try {
    await thread.call({ type: "open" });
  } catch (error) {
    await thread.end();
    throw error;
  }
  return new SqliteStore(thread, full);
}

function checkBounds({ groupCommitRows, maxQueue }: Required<SqliteStoreOptions>): void {
  const fits = (value: number, max: number): boolean => Number.isSafeInteger(value) && value >= 1 && value <= max;
  if (!fits(groupCommitRows, MAX_COMMIT_ROWS)) throw new RangeError(`groupCommitRows is not in 1..${MAX_COMMIT_ROWS}`);
  if (!fits(maxQueue, Number.MAX_SAFE_INTEGER)) throw new RangeError("maxQueue is not a positive integer");
}

/**
 * The main thread's side. A commit that failed for lack of space leaves the store usable; any other write error is
 * taken for a lost fsync, after which the file can no longer be trusted to hold what it acknowledges: from then on
 * nothing is written until the process is restarted and the file opened afresh.
 */
export class SqliteStore implements ShareStore {
  readonly #thread: SqliteThread;
  readonly #options: Required<SqliteStoreOptions>;
  readonly #shares: Waiting<ShareRow>[] = [];
  readonly #blocks: Waiting<BlockRow>[] = [];
  readonly #results: Waiting<Batch["results"][number]>[] = [];
  readonly #rejects = new Map<string, RejectCount>();
  readonly #roomWaiters: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #due = 0;
  #broken: ShareStoreError | undefined;
  #committing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #stats = { commits: 0, lastCommitMs: 0, failed: 0, durable: true };
  #inCommit = 0;

  constructor(thread: SqliteThread, options: Required<SqliteStoreOptions>) {
    this.#thread = thread;
    this.#options = options;
    void this.#watch();
  }

  async append(share: ShareRow): Promise<"recorded" | "duplicate"> {
    checkShare(share);
    this.#admit(this.#shares.length, 1);
    const bytes = { hash: copy(share.hash), prevHash: copy(share.prevHash) };
    return (await this.#wait(this.#shares, { ...share, ...bytes, ...names(share) })) ? "recorded" : "duplicate";
  }

  async room(): Promise<void> {
    if (this.#queued < this.#options.maxQueue || this.#closing !== undefined) return;
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
  }

  countReject(reject: RejectRow): void {
    if (this.#broken !== undefined || this.#closing !== undefined) return;
    this.#addRejects({ ...names(reject), errorCode: reject.errorCode, at: reject.at, count: 1 });
    this.#schedule(REJECTS_WAIT_MS);
  }

  async recordBlock(block: BlockRow): Promise<void> {
    checkIntegers(block, ["height", "foundAt", "resultAt"]);
    this.#admit(this.#blocks.length);
    const { hash, header, coinbase, prevHash } = block;
    const bytes = { hash: copy(hash), header: copy(header), coinbase: copy(coinbase), prevHash: copy(prevHash) };
    await this.#wait(this.#blocks, { ...block, ...bytes, ...names(block) });
  }

  async setBlockResult(result: Batch["results"][number]): Promise<void> {
    checkIntegers(result, ["at"]);
    this.#admit(this.#results.length);
    await this.#wait(this.#results, { ...result, hash: copy(result.hash) });
  }

  async workers(): Promise<readonly WorkerSummary[]> {
    return await this.#query({ type: "workers" });
  }

  async blocks(limit: number): Promise<readonly BlockRow[]> {
    return await this.#query({ type: "blocks", limit });
  }

  async openBlocks(limit: number): Promise<readonly BlockRow[]> {
    return await this.#query({ type: "open-blocks", limit });
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
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    // What is queued by now is all there will be, and is gone through even when some commits fail.
    await this.#committing;
    while (this.#waits) await this.#commit();
    this.#letIn();
    await this.#thread.call({ type: "close" }).catch(() => {});
    await this.#thread.end();
  }

  async #watch(): Promise<void> {
    const error = await this.#thread.ended;
    if (this.#closing === undefined) this.#break(error);
  }

  get #queued(): number {
    return this.#shares.length + this.#inCommit;
  }

  get #waits(): boolean {
    return this.#shares.length + this.#blocks.length + this.#results.length + this.#rejects.size > 0;
  }

  async #query<T>(call: Call): Promise<T> {
    if (this.#closing !== undefined) throw closedError();
    return await this.#thread.call<T>(call);
  }

  async #wait<Row>(queue: Waiting<Row>[], row: Row): Promise<boolean> {
    const recorded = new Promise<boolean>((resolve, reject) => queue.push({ row, resolve, reject }));
    this.#schedule();
    return await recorded;
  }

  /** @param shares how many failed shares a refusal is. */
  #admit(length: number, shares = 0): void {
    const refusal = this.#refusal(length);
    if (refusal === undefined) return;
    this.#stats.failed += shares;
    throw refusal;
  }

  #refusal(length: number): ShareStoreError | undefined {
    if (this.#closing !== undefined) return closedError();
    if (this.#broken !== undefined) return this.#broken;
    if (length < this.#options.maxQueue * 2) return undefined;
    return new ShareStoreError("queue-full", "the share store's queue is full; await room() before appending");
  }

  #addRejects(reject: RejectCount): void {
    const key = `${reject.errorCode}\u0000${reject.userIdentity}\u0000${reject.worker}`;
    const known = this.#rejects.get(key);
    if (known !== undefined) this.#rejects.set(key, { ...known, count: known.count + reject.count });
    else if (this.#rejects.size < MAX_REJECT_KEYS) this.#rejects.set(key, reject);
  }

  /** One commit at a time: what comes meanwhile goes with the next one. The soonest wish sets its time. */
  #schedule(waitMs: number = this.#options.groupCommitMs): void {
    if (this.#committing !== undefined || this.#closing !== undefined) return;
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
    const taken = this.#take();
    const { shares, blocks, results, rejects } = taken;
    const started = performance.now();
    try {
      const fresh = await this.#thread.call<readonly boolean[]>({
        type: "commit",
        batch: { shares: rowsOf(shares), blocks: rowsOf(blocks), results: rowsOf(results), rejects },
      });
      // The thread's end and its last answer can come in one turn; the answer still tells what is on disk.
      if (this.#broken === undefined) this.#stats.durable = true;
      this.#stats.commits += 1;
      this.#stats.lastCommitMs = performance.now() - started;
      shares.forEach(({ resolve }, index) => resolve(fresh[index] === true));
      for (const { resolve } of [...blocks, ...results]) resolve(true);
    } catch (error) {
      this.#fail(taken, error as ShareStoreError);
    }
    this.#inCommit = 0;
    if (this.#queued < this.#options.maxQueue) this.#letIn();
  }

  #take(): Taken {
    const max = this.#options.groupCommitRows;
    const shares = this.#shares.splice(0, max);
    const blocks = this.#blocks.splice(0, max);
    // A result must not overtake its block.
    const results = this.#blocks.length > 0 ? [] : this.#results.splice(0, max);
    const keys = [...this.#rejects.keys()].slice(0, max);
    const rejects = keys.flatMap((key) => this.#rejects.get(key) ?? []);
    for (const key of keys) this.#rejects.delete(key);
    this.#inCommit = shares.length;
    return { shares, blocks, results, rejects };
  }

  #fail({ shares, blocks, results, rejects }: Taken, error: ShareStoreError): void {
    this.#stats.durable = false;
    this.#stats.failed += shares.length;
    for (const { reject } of [...shares, ...blocks, ...results]) reject(error);
    if (error.code !== "disk-full") this.#break(error);
    else if (this.#closing === undefined) for (const reject of rejects) this.#addRejects(reject);
  }

  /** What waits is refused as well: a write that works after one that failed would be acknowledged for nothing. */
  #break(error: ShareStoreError): void {
    this.#broken ??= error;
    this.#stats.durable = false;
    this.#stats.failed += this.#shares.length;
    const waiting = [...this.#shares.splice(0), ...this.#blocks.splice(0), ...this.#results.splice(0)];
    for (const { reject } of waiting) reject(this.#broken);
    this.#rejects.clear();
    this.#letIn();
  }

  #letIn(): void {
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}

function rowsOf<Row>(waiting: readonly Waiting<Row>[]): readonly Row[] {
  return waiting.map(({ row }) => row);
}

function closedError(): ShareStoreError {
  return new ShareStoreError("closed", "the share store is closed");
}

function checkShare(share: ShareRow): void {
  if (share.hash.length !== 32 || share.prevHash.length !== 32) throw new RangeError("a share's hash is not 32 bytes");
  if (share.work < 0n || share.work > MAX_WORK) throw new RangeError("a share's work is not in 0..2^256");
  if (!Number.isFinite(share.shareDifficulty)) throw new RangeError("a share's difficulty is not finite");
  checkIntegers(share, ["at"]);
}

/** SQLite refuses another number in such a column, and with it the whole commit. */
function checkIntegers<Key extends string>(row: Readonly<Record<Key, number | null>>, keys: readonly Key[]): void {
  for (const key of keys) {
    if (row[key] !== null && !Number.isSafeInteger(row[key])) throw new RangeError(`${key} is not an integer`);
  }
}

/** Not `slice`, which a `Buffer` answers with a view: all of its pool would then be sent to the thread. */
function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function names({ userIdentity, worker }: { userIdentity: string; worker: string }): {
  userIdentity: string;
  worker: string;
} {
  return { userIdentity: storable(userIdentity), worker: storable(worker) };
}

/** SQLite ends a text at a NUL, which would make two identities one; the replacement character keeps them apart. */
function storable(text: string): string {
  return text.replaceAll("\u0000", "\uFFFD");
}
