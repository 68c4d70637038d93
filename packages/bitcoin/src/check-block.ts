import { type Block, decodeBlock } from "./block.ts";
import { bip34Prefix, MAX_SCRIPT_SIG, startsWith, witnessCommitmentOf } from "./coinbase.ts";
import { BitcoinError } from "./errors.ts";
import { type Hash, hash, sha256d } from "./hash.ts";
import { encodeHeader, HEADER_SIZE, type HeaderFields } from "./header.ts";
import { hashPair, merkleRootOf, merkleTree } from "./merkle.ts";
import { meetsTarget, type Target, targetFromBits, targetToBytes } from "./target.ts";
import {
  compactSize,
  encodeTransaction,
  isCoinbase,
  legacySigops,
  MAX_BLOCK_WEIGHT,
  type Transaction,
} from "./transaction.ts";

/** What a block has to fit. */
export interface BlockContext {
  /** Its height. */
  readonly height: number;
  /** Hash of the block it must build on, internal order. */
  readonly prevHash: Uint8Array;
  /** Target its hash must meet. */
  readonly target: Target;
  /** Compact target its header must carry. */
  readonly nbits: number;
  /** Median time of the eleven blocks before it, Unix seconds. */
  readonly medianTimePast: number;
  /** Time now, Unix seconds. */
  readonly now: number;
  /** The most its coinbase may pay, in satoshi. */
  readonly subsidyPlusFees: bigint;
}

/**
 * What is wrong with a block, in Bitcoin Core's words.
 *
 * Core has no word for `bad-block-encoding`: bytes that are no block.
 */
export type BlockFault =
  | "bad-blk-sigops"
  | "bad-blk-weight"
  | "bad-block-encoding"
  | "bad-cb-amount"
  | "bad-cb-height"
  | "bad-cb-length"
  | "bad-cb-missing"
  | "bad-cb-multiple"
  | "bad-diffbits"
  | "bad-prevblk"
  | "bad-txnmrklroot"
  | "bad-txns-duplicate"
  | "bad-txns-nonfinal"
  | "bad-txns-vout-empty"
  | "bad-version"
  | "bad-witness-merkle-match"
  | "bad-witness-nonce-size"
  | "high-hash"
  | "time-too-new"
  | "time-too-old"
  | "unexpected-witness";

const MAX_BLOCK_SIGOPS_COST = 80_000;
const WITNESS_SCALE_FACTOR = 4;
const MAX_FUTURE_SECONDS = 7_200;
const LOCKTIME_THRESHOLD = 500_000_000;
const FINAL_SEQUENCE = 0xffffffff;

/**
 * Everything wrong with a block that can be seen without the coins it spends; empty when nothing is.
 *
 * By today's rules: BIP34, BIP65, BIP66, BIP113 and BIP141 in force, version 4 at least. Scripts are not run and inputs
 * not looked up: the transactions come from a template whose maker has done that. Never throws for bad bytes.
 */
export function checkBlock(block: Uint8Array, context: BlockContext): readonly BlockFault[] {
  if (block.length > MAX_BLOCK_WEIGHT) return ["bad-blk-weight"];
  let decoded: Block;
  try {
    decoded = decodeBlock(block);
  } catch (error) {
    if (error instanceof BitcoinError) return ["bad-block-encoding"];
    throw error;
  }
  const { header, transactions } = decoded;
  const [first] = transactions;
  if (first === undefined) return [...headerFaults(header, context), "bad-cb-missing"];
  const stripped = transactions.map((tx) => encodeTransaction(tx, false));
  return [
    ...headerFaults(header, context),
    ...merkleFaults(header, stripped),
    ...coinbaseFaults(first, context),
    ...transactionFaults(transactions, context),
    ...witnessFaults(transactions),
    ...limitFaults(transactions, weightOf(block, stripped)),
  ];
}

function headerFaults(header: HeaderFields, context: BlockContext): readonly BlockFault[] {
  const faults: BlockFault[] = [];
  const headerHash = sha256d(encodeHeader(header));
  const meets = meetsTarget(headerHash, targetToBytes(context.target)) && meetsOwnTarget(headerHash, header.nbits);
  if (!meets) faults.push("high-hash");
  if (!equal(header.prevHash, context.prevHash)) faults.push("bad-prevblk");
  if (header.nbits !== context.nbits >>> 0) faults.push("bad-diffbits");
  if (header.ntime <= context.medianTimePast) faults.push("time-too-old");
  if (header.ntime > context.now + MAX_FUTURE_SECONDS) faults.push("time-too-new");
  // Core compares the version as a signed number.
  if ((header.version | 0) < 4) faults.push("bad-version");
  return faults;
}

function meetsOwnTarget(headerHash: Hash, nbits: number): boolean {
  try {
    return meetsTarget(headerHash, targetToBytes(targetFromBits(nbits)));
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function merkleFaults(header: HeaderFields, stripped: readonly Uint8Array[]): readonly BlockFault[] {
  const { root, repeated } = merkleTree(stripped.map(sha256d));
  const faults: BlockFault[] = [];
  if (!equal(root, header.merkleRoot)) faults.push("bad-txnmrklroot");
  if (repeated) faults.push("bad-txns-duplicate");
  return faults;
}

function coinbaseFaults(coinbase: Transaction, context: BlockContext): readonly BlockFault[] {
  const [input] = coinbase.inputs;
  if (input === undefined || !isCoinbase(coinbase)) return ["bad-cb-missing"];
  const faults: BlockFault[] = [];
  if (input.script.length < 2 || input.script.length > MAX_SCRIPT_SIG) faults.push("bad-cb-length");
  if (!startsWith(input.script, bip34Prefix(context.height))) faults.push("bad-cb-height");
  const paid = coinbase.outputs.reduce((sum, output) => sum + output.value, 0n);
  if (paid > context.subsidyPlusFees) faults.push("bad-cb-amount");
  return faults;
}

function transactionFaults(transactions: readonly Transaction[], context: BlockContext): readonly BlockFault[] {
  const faults: BlockFault[] = [];
  if (transactions.slice(1).some(isCoinbase)) faults.push("bad-cb-multiple");
  if (transactions.some((tx) => tx.outputs.length === 0)) faults.push("bad-txns-vout-empty");
  if (!transactions.every((tx) => isFinal(tx, context))) faults.push("bad-txns-nonfinal");
  return faults;
}

/** Core's `IsFinalTx`, with the median time past as BIP113 wants. */
function isFinal(tx: Transaction, { height, medianTimePast }: BlockContext): boolean {
  const passed = tx.locktime < LOCKTIME_THRESHOLD ? height : medianTimePast;
  return tx.locktime === 0 || tx.locktime < passed || tx.inputs.every((input) => input.sequence === FINAL_SEQUENCE);
}

/** BIP141: with a commitment, the coinbase's only witness item is the reserved value it was made with. */
function witnessFaults(transactions: readonly Transaction[]): readonly BlockFault[] {
  const [coinbase, ...others] = transactions;
  const commitment = witnessCommitmentOf(coinbase?.outputs ?? []);
  if (commitment === undefined) return transactions.some((tx) => tx.segwit) ? ["unexpected-witness"] : [];
  const [reservedValue, ...more] = coinbase?.inputs[0]?.witness ?? [];
  if (reservedValue?.length !== 32 || more.length > 0) return ["bad-witness-nonce-size"];
  const leaves = [hash(new Uint8Array(32)), ...others.map((tx) => sha256d(encodeTransaction(tx)))];
  return equal(hashPair(merkleRootOf(leaves), reservedValue), commitment) ? [] : ["bad-witness-merkle-match"];
}

function limitFaults(transactions: readonly Transaction[], weight: number): readonly BlockFault[] {
  const faults: BlockFault[] = [];
  if (weight > MAX_BLOCK_WEIGHT) faults.push("bad-blk-weight");
  const sigops = transactions.reduce((sum, tx) => sum + legacySigops(tx), 0);
  if (sigops * WITNESS_SCALE_FACTOR > MAX_BLOCK_SIGOPS_COST) faults.push("bad-blk-sigops");
  return faults;
}

/** Three times the size without witnesses plus the size with them. */
function weightOf(block: Uint8Array, stripped: readonly Uint8Array[]): number {
  const size = HEADER_SIZE + compactSize(stripped.length).length;
  return stripped.reduce((sum, tx) => sum + tx.length, size) * (WITNESS_SCALE_FACTOR - 1) + block.length;
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && startsWith(left, right);
}
