import type { Hash } from "@adit/bitcoin";
import type { MempoolTransaction } from "./block-template.ts";

/** Who found a block: a client's miner, this process in place of a miner elsewhere, or whoever handed it in over RPC. */
export type SolvedBy = "client" | "elsewhere" | "rpc";

/** A block that may go on the chain. Nothing in it is a view into a frame. */
export interface SolvedBlock {
  /** Height it will have. */
  readonly height: number;
  /** Internal order. */
  readonly hash: Hash;
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** The whole coinbase with its witness. */
  readonly coinbase: Uint8Array;
  /** The whole block, serialized. */
  readonly bytes: Uint8Array;
  /** The transactions it takes out of the mempool. */
  readonly transactions: readonly MempoolTransaction[];
  readonly solvedBy: SolvedBy;
}
