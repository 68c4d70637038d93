import type { Hash } from "@adit/bitcoin";

/** What the next block builds on. */
export interface DeclaratorTip {
  /** Hash of the newest block. */
  readonly prevHash: Hash;
  /** Height of the next block. */
  readonly height: number;
  /** Compact target of the next block. */
  readonly nbits: number;
  /** Earliest time the next block may have, Unix seconds: the median time past and one. */
  readonly minNtime: number;
}
