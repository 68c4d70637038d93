import type { Hash, Target } from "@adit/bitcoin";

/** A transaction of a template. */
export interface NodeTransaction {
  /** Serialized, with its witnesses. */
  readonly bytes: Uint8Array;
  /** Its id. */
  readonly txid: Hash;
  /** Its hash with witnesses. */
  readonly wtxid: Hash;
  /** What it pays, in satoshi. */
  readonly fee: bigint;
  /** Weight units (BIP141). */
  readonly weight: number;
  /** Signature operations, as the cost BIP141 counts. */
  readonly sigopsCost: number;
  /** Transactions it spends from, as positions in the same list, from 0; always below its own. */
  readonly depends: readonly number[];
}

/** The answer of `getblocktemplate`, in the units of BIP141 whatever the node counts in. */
export interface NodeTemplate {
  /** Block version, unsigned. */
  readonly version: number;
  /** The tip it builds on. */
  readonly prevHash: Hash;
  /** Height of the block to be. */
  readonly height: number;
  /** Target in compact form, unsigned. */
  readonly bits: number;
  /** What the block's hash must not exceed. */
  readonly target: Target;
  /** Smallest allowed block time, in Unix seconds. */
  readonly minTime: number;
  /** The node's time, in Unix seconds. */
  readonly curTime: number;
  /** Subsidy and fees of all transactions, in satoshi. */
  readonly coinbaseValue: bigint;
  /** All but the coinbase, each after those it spends from. */
  readonly transactions: readonly NodeTransaction[];
  /** Script of the witness commitment output for all transactions; undefined where segwit is not in force or the node sends none. */
  readonly witnessCommitment: Uint8Array | undefined;
  /** Most weight units the block may have. */
  readonly weightLimit: number;
  /** Most signature operations the block may have, as BIP141's cost. */
  readonly sigopsLimit: number;
  /** What a long poll for the next template names; undefined when the node has no long polling. */
  readonly longPollId: string | undefined;
}
