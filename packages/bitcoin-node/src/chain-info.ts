import type { Hash, Network } from "@adit/bitcoin";

/** The state of a node's best chain (`getblockchaininfo`). */
export interface ChainInfo {
  /** The network, by Adit's name for it. */
  readonly chain: Network;
  /** Height of the tip. */
  readonly height: number;
  /** Hash of the tip. */
  readonly tip: Hash;
  /** Expected number of hashes in the whole chain; undefined when the node does not say (btcd). */
  readonly work: bigint | undefined;
  /** The node is still downloading the chain; false when the node does not say (bcoin). */
  readonly initialBlockDownload: boolean;
  /** The node deletes old blocks. */
  readonly pruned: boolean;
}

/** What a node tells of a block header. Times are Unix seconds. */
export interface NodeHeader {
  /** The block's hash. */
  readonly hash: Hash;
  /** The block before; undefined for the first block of the chain. */
  readonly prevHash: Hash | undefined;
  /** Height of the block. */
  readonly height: number;
  /** The block's own time. */
  readonly time: number;
  /** Median of the times of this block and the ten before; undefined when the node does not say (btcd). */
  readonly medianTimePast: number | undefined;
  /** Target in compact form, unsigned. */
  readonly bits: number;
  /** Blocks from this one to the tip, both counted; -1 when it is not on the best chain. */
  readonly confirmations: number;
}
