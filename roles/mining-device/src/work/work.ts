/** What a job asks to be hashed, in the same shape for Stratum V1 and V2. Never changes once made. */
export interface Work<Job = unknown> {
  /** The job this came from; it comes back with every share found for it. */
  readonly job: Job;
  /** Counts the block tips that the connection has seen: work of an earlier epoch is dead. */
  readonly epoch: number;
  /** Block version before any rolling. */
  readonly version: number;
  /** Version bits that may be rolled; 0 for none. */
  readonly versionMask: number;
  /** 32 bytes, internal order. */
  readonly prevHash: Uint8Array;
  /** Compact network target. */
  readonly nbits: number;
  /** Time to start from, in unix seconds. */
  readonly minNtime: number;
  /** When the work came, in milliseconds of the clock that `next` is asked with: ntime rolls with it. */
  readonly receivedAt: number;
  /** Largest hash that is a share: 32 bytes, little-endian. */
  readonly target: Uint8Array;
  /** Bytes of extranonce this device chooses; 0 when the job is for headers only. */
  readonly extranonceSize: number;
  /** Merkle root for an extranonce of `extranonceSize` bytes: 32 bytes, internal order. */
  merkleRoot(extranonce: Uint8Array): Uint8Array;
}

/** A share: the work it was found for, and what was chosen on top of it. */
export interface Share<Job = unknown> {
  readonly work: Work<Job>;
  /** `work.extranonceSize` bytes. */
  readonly extranonce: Uint8Array;
  readonly ntime: number;
  readonly nonce: number;
  /** The whole version, rolled bits in place. */
  readonly version: number;
}
