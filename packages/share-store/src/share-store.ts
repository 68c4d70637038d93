/** A share that a pool has accepted, as it is recorded. */
export interface ShareRow {
  /** Header hash, 32 bytes, internal order. Unique: the same header is credited once, whoever sends it again. */
  readonly hash: Uint8Array;
  /** Hash of the block it builds on, 32 bytes, internal order. */
  readonly prevHash: Uint8Array;
  /** Who is credited, as the channel was opened. */
  readonly userIdentity: string;
  /** The worker below that identity, empty when there is none. */
  readonly worker: string;
  /** Expected hashes of the target the share's job was sent with, at most 2^256. */
  readonly work: bigint;
  /** Difficulty of the share's own hash, for the best one. */
  readonly shareDifficulty: number;
  /** When it came, unix milliseconds. */
  readonly at: number;
}

/** A share that was refused; counted, not kept. */
export interface RejectRow {
  readonly userIdentity: string;
  readonly worker: string;
  /** As on the wire. */
  readonly errorCode: string;
  /** Unix milliseconds. */
  readonly at: number;
}

/** A block that was found, from the moment it is submitted. */
export interface BlockRow {
  /** Header hash, 32 bytes, internal order. */
  readonly hash: Uint8Array;
  readonly height: number | null;
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** The whole coinbase transaction, with its witness. */
  readonly coinbase: Uint8Array;
  /** 32 bytes, internal order. */
  readonly prevHash: Uint8Array;
  /** The template it completes, as its provider numbered it; null when that was not recorded. */
  readonly templateId: bigint | null;
  /** Who chose its transactions, by job declaration; null for the operator's own template. */
  readonly declaredBy: string | null;
  readonly userIdentity: string;
  readonly worker: string;
  /** Unix milliseconds. */
  readonly foundAt: number;
  /** `pending` until something is known, then what the template provider or node said last. */
  readonly result: string;
  /** When that was first said, unix milliseconds; null while pending. */
  readonly resultAt: number | null;
}

/** Results of a block that nothing changes any more; one with any other is open. */
export const finalBlockResults = ["matured", "orphaned"] as const;

/** What is known of one worker. */
export interface WorkerSummary {
  readonly userIdentity: string;
  readonly worker: string;
  readonly shares: number;
  /** Sum of its shares' work, exact. */
  readonly work: bigint;
  readonly bestDifficulty: number;
  readonly rejects: Readonly<Record<string, number>>;
  /** Unix milliseconds. */
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** Sums over the whole store. */
export interface Totals {
  readonly shares: number;
  readonly work: bigint;
  readonly rejects: number;
  readonly blocks: number;
  readonly workers: number;
}

/** A minute's work of one worker. */
export interface WorkMinute {
  readonly userIdentity: string;
  readonly worker: string;
  /** Start of the minute, unix milliseconds. */
  readonly minute: number;
  readonly shares: number;
  readonly work: bigint;
}

/** How the store is doing. */
export interface StoreStats {
  /** Shares waiting for their commit, those of the present one included. */
  readonly queued: number;
  readonly commits: number;
  readonly lastCommitMs: number;
  /** Shares that were refused or could not be recorded. */
  readonly failed: number;
  /** False from a write error until a commit works again; never true again after a failed fsync. */
  readonly durable: boolean;
}

/** Records shares, blocks and workers. Everything it resolves is on disk; a power cut takes nothing back. */
export interface ShareStore extends AsyncDisposable {
  /**
   * Resolves after the commit that holds the share.
   *
   * @returns `duplicate` when the same header hash is already recorded, whoever sent it.
   * @throws ShareStoreError when it could not be made durable: the share must then not be acknowledged.
   * @throws RangeError when a field cannot be stored as it is documented.
   */
  append(share: ShareRow): Promise<"recorded" | "duplicate">;
  /** Resolves when the queue has room. A reader awaits it before it takes the next share, so that nothing piles up. */
  room(): Promise<void>;
  /** Counts a refused share with one of the next commits. A count that a crash takes away is not missed. */
  countReject(reject: RejectRow): void;
  /** Resolves after the commit that holds the block. @throws ShareStoreError */
  recordBlock(block: BlockRow): Promise<void>;
  /**
   * Notes what became of a block that was recorded before, or is recorded with the same commit; of another one, nothing is
   * noted.
   *
   * @throws ShareStoreError
   */
  setBlockResult(block: { readonly hash: Uint8Array; readonly result: string; readonly at: number }): Promise<void>;
  workers(): Promise<readonly WorkerSummary[]>;
  /** Newest first. */
  blocks(limit: number): Promise<readonly BlockRow[]>;
  /** The newest blocks whose result is none of {@link finalBlockResults}, newest first, however old they are. */
  openBlocks(limit: number): Promise<readonly BlockRow[]>;
  totals(): Promise<Totals>;
  /** Work a worker and minute in `[from, to)`, unix milliseconds. */
  workBetween(from: number, to: number): Promise<readonly WorkMinute[]>;
  stats(): StoreStats;
}

/** Stable codes of {@link ShareStoreError}. */
export type ShareStoreErrorCode =
  /** A write or fsync failed, or the store's thread ended; nothing more is recorded until the store is opened again. */
  | "not-durable"
  /** Too much waits for its commit already; await {@link ShareStore.room} first. */
  | "queue-full"
  /** No space left; recording goes on once there is. */
  | "disk-full"
  /** The store has been closed. */
  | "closed"
  /** The file was written by a newer version. */
  | "newer-schema"
  /** Another process has the file open. */
  | "locked"
  /** The file is no store, or damaged, or cannot be opened. */
  | "unreadable";

/** A store that cannot do what it was asked. */
export class ShareStoreError extends Error {
  override readonly name = "ShareStoreError";
  readonly code: ShareStoreErrorCode;

  constructor(code: ShareStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

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
