import {
  BitcoinError,
  type Block,
  type BlockFault,
  checkBlock,
  decodeBlock,
  encodeHeader,
  encodeTransaction,
  type Hash,
  isCoinbase,
  MAX_TARGET,
  sha256d,
  subsidy,
  txid,
} from "@adit/bitcoin";
import type { MempoolTransaction } from "../template/block-template.ts";
import type { SolvedBlock } from "../template/solved-block.ts";
import { type ChainTip, medianTimePast } from "./chain-tip.ts";
import type { ChainHeader, HeaderChain } from "./header-chain.ts";

/** What a block from outside is held against. */
export interface BlockGround {
  readonly headers: Pick<HeaderChain, "find" | "height" | "tipAt">;
  /** Compact target of every block to come. */
  readonly bits: number;
  /** What a transaction that this process has made pays, in satoshi. */
  readonly feeOf: (id: Hash) => bigint | undefined;
  /** A transaction that waits. */
  readonly waiting: (id: Hash) => MempoolTransaction | undefined;
  /** Unix milliseconds. */
  readonly now: number;
}

/** A whole block judged; reasons are spelt as `submitblock` of Bitcoin Core spells them (BIP22). */
export type BlockVerdict =
  | { readonly kind: "block"; readonly block: SolvedBlock }
  | { readonly kind: "refused"; readonly reason: string }
  /** The bytes are no block that begins with a coinbase. */
  | { readonly kind: "undecodable" };

/** A proposal judged (BIP23): null when it breaks no rule. */
export type ProposalVerdict =
  | { readonly kind: "judged"; readonly reason: string | null }
  | { readonly kind: "undecodable" };

/** The order in which Bitcoin Core meets a block's faults (`validation.cpp`), for it names the first alone. */
const coreOrder: readonly BlockFault[] = [
  "bad-block-encoding",
  "high-hash",
  "bad-txnmrklroot",
  "bad-txns-duplicate",
  "bad-cb-missing",
  "bad-cb-multiple",
  "bad-cb-length",
  "bad-txns-vout-empty",
  "bad-blk-sigops",
  "bad-prevblk",
  "bad-diffbits",
  "time-too-old",
  "time-too-new",
  "bad-version",
  "bad-txns-nonfinal",
  "bad-cb-height",
  "bad-witness-nonce-size",
  "bad-witness-merkle-match",
  "unexpected-witness",
  "bad-blk-weight",
  "bad-cb-amount",
];

/**
 * Judges a block that somebody hands in. One on the tip may go on the chain. One on an earlier block is looked at and not
 * kept, as no side chain is.
 */
export function judgeBlock(bytes: Uint8Array, ground: BlockGround): BlockVerdict {
  const block = decoded(bytes);
  if (block === undefined) return { kind: "undecodable" };
  const header = encodeHeader(block.header);
  if (ground.headers.find(sha256d(header)) !== undefined) return { kind: "refused", reason: "duplicate" };
  const parent = ground.headers.find(block.header.prevHash);
  const faults = faultsOf({ bytes, block }, parent, ground);
  // Without its parent no more is known of a block than its work.
  if (parent === undefined) return { kind: "refused", reason: first(faults, ["high-hash"]) ?? "prev-blk-not-found" };
  if (parent.height !== ground.headers.height) {
    const onSide = coreOrder.filter((fault) => fault !== "bad-cb-amount");
    return { kind: "refused", reason: first(faults, onSide) ?? "inconclusive" };
  }
  const reason = first(faults, coreOrder);
  return reason === undefined
    ? { kind: "block", block: solvedBlock({ bytes, block }, header, { height: parent.height + 1, ground }) }
    : { kind: "refused", reason };
}

/** Judges a block on the tip by the same rules but for its work, which it does not have yet. */
export function judgeProposal(bytes: Uint8Array, ground: BlockGround): ProposalVerdict {
  const block = decoded(bytes);
  if (block === undefined) return { kind: "undecodable" };
  const known = ground.headers.find(sha256d(encodeHeader(block.header)));
  if (known !== undefined) return { kind: "judged", reason: "duplicate" };
  const parent = ground.headers.find(block.header.prevHash);
  if (parent?.height !== ground.headers.height) return { kind: "judged", reason: "inconclusive-not-best-prevblk" };
  const faults = faultsOf({ bytes, block }, parent, ground);
  const withoutWork = coreOrder.filter((fault) => fault !== "high-hash");
  return { kind: "judged", reason: first(faults, withoutWork) ?? null };
}

interface Submitted {
  readonly bytes: Uint8Array;
  readonly block: Block;
}

function decoded(bytes: Uint8Array): Block | undefined {
  try {
    const block = decodeBlock(bytes);
    const [coinbase] = block.transactions;
    return coinbase !== undefined && isCoinbase(coinbase) ? block : undefined;
  } catch (error) {
    if (error instanceof BitcoinError) return undefined;
    throw error;
  }
}

function first(faults: readonly BlockFault[], order: readonly BlockFault[]): BlockFault | undefined {
  return order.find((fault) => faults.includes(fault));
}

const nowhere: ChainTip = { height: 0, hash: sha256d(new Uint8Array(0)), times: [] };

function faultsOf(
  { bytes, block }: Submitted,
  parent: ChainHeader | undefined,
  ground: BlockGround,
): readonly BlockFault[] {
  const tip = parent === undefined ? nowhere : ground.headers.tipAt(parent);
  const height = tip.height + 1;
  const fees = block.transactions.slice(1).reduce((sum, tx) => sum + (ground.feeOf(txid(tx)) ?? 0n), 0n);
  return checkBlock(bytes, {
    height,
    prevHash: tip.hash,
    // A block has to meet the target it names, and to name this chain's.
    target: MAX_TARGET,
    nbits: ground.bits,
    medianTimePast: medianTimePast(tip),
    now: Math.floor(ground.now / 1000),
    // Coins are not followed here: what this process has not made is taken to pay nothing.
    subsidyPlusFees: subsidy(height, "regtest") + fees,
  });
}

function solvedBlock(
  { bytes, block }: Submitted,
  header: Uint8Array,
  { height, ground }: { readonly height: number; readonly ground: BlockGround },
): SolvedBlock {
  const [coinbase, ...others] = block.transactions;
  if (coinbase === undefined) throw new RangeError("a block has a coinbase");
  return {
    height,
    hash: sha256d(header),
    header,
    coinbase: encodeTransaction(coinbase),
    bytes,
    transactions: others.flatMap((tx) => ground.waiting(txid(tx)) ?? []),
    solvedBy: "rpc",
  };
}
