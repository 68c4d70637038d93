import {
  bip34Prefix,
  encodeOutputs,
  type Hash,
  merklePath,
  subsidy,
  type Target,
  targetFromBits,
  witnessCommitmentOutput,
} from "@adit/bitcoin";
import { type ChainTip, medianTimePast } from "./chain-tip.ts";
import type { MempoolTransaction } from "./synthetic-transaction.ts";

/** What a client says it will add to the coinbase's outputs (spec 7.1). */
export interface CoinbaseRoom {
  /** Most serialized bytes. */
  readonly maxAdditionalSize: number;
  /** Most signature operations. */
  readonly maxAdditionalSigops: number;
}

/** A block but for its coinbase, time and nonce. */
export interface BlockTemplate {
  /** Height the block will have. */
  readonly height: number;
  /** Hash of the block it builds on, internal order. */
  readonly prevHash: Hash;
  /** Median time past in Unix seconds: its time must be above it. */
  readonly medianTimePast: number;
  /** Compact target. */
  readonly bits: number;
  /** What the compact target says. */
  readonly target: Target;
  /** Header version; the bits of BIP323 are the miner's. */
  readonly version: number;
  /** Version of the coinbase transaction. */
  readonly coinbaseVersion: number;
  /** Start of the coinbase's scriptSig: the height (BIP34). */
  readonly coinbasePrefix: Uint8Array;
  /** Sequence of the coinbase's input. */
  readonly coinbaseSequence: number;
  /** Lock time of the coinbase. */
  readonly coinbaseLocktime: number;
  /** Satoshis the client's outputs may pay: subsidy and fees. */
  readonly valueRemaining: bigint;
  /** Outputs that come last in the coinbase, serialized without a count. */
  readonly outputs: Uint8Array;
  /** How many they are. */
  readonly outputsCount: number;
  /** What is hashed with the coinbase's id up to the merkle root, deepest first. */
  readonly merklePath: readonly Hash[];
  /** All transactions but the coinbase, in block order. */
  readonly transactions: readonly MempoolTransaction[];
  /** What they pay, in satoshi. */
  readonly fees: bigint;
  /** What the client said it needs; the block is valid as long as it keeps to it. */
  readonly room: CoinbaseRoom;
}

/** What a template is made from. */
export interface TemplateParts {
  readonly tip: ChainTip;
  readonly bits: number;
  /** Waiting transactions, best paying first. */
  readonly waiting: readonly MempoolTransaction[];
  readonly room: CoinbaseRoom;
}

const MAX_BLOCK_WEIGHT = 4_000_000;
const MAX_BLOCK_SIGOPS_COST = 80_000;
const WITNESS_SCALE_FACTOR = 4;
/** Spec 7.1: header, transaction count, the coinbase's fixed fields, scriptSig, output count and commitment. */
const RESERVED_WEIGHT = 320 + 12 + 236 + 400 + 12 + 188;
/** Bitcoin Core never reserves less. */
const RESERVED_WEIGHT_FLOOR = 2_000;
const BASE_VERSION = 0x20000000;
const COINBASE_VERSION = 2;
/** Not final, so that the lock time counts (BIP54). */
const COINBASE_SEQUENCE = 0xfffffffe;

/** Weight units kept free for what is not a template's transaction (spec 7.1, segwit blocks). */
export function reservedWeight(room: CoinbaseRoom): number {
  const needed = RESERVED_WEIGHT + WITNESS_SCALE_FACTOR * room.maxAdditionalSize;
  return Math.max(needed, RESERVED_WEIGHT_FLOOR);
}

/** Whether any block at all has that much room. */
export function fitsInBlock(room: CoinbaseRoom): boolean {
  return reservedWeight(room) <= MAX_BLOCK_WEIGHT;
}

/**
 * The best template on a tip: the best paying transactions that leave the client its room.
 *
 * Lock time is height - 1 and the sequence is not final, as BIP54 wants.
 */
export function assembleTemplate({ tip, bits, waiting, room }: TemplateParts): BlockTemplate {
  const height = tip.height + 1;
  const transactions = select(waiting, room);
  const fees = transactions.reduce((sum, { fee }) => sum + fee, 0n);
  return {
    height,
    prevHash: tip.hash,
    medianTimePast: medianTimePast(tip),
    bits,
    target: targetFromBits(bits),
    version: BASE_VERSION,
    coinbaseVersion: COINBASE_VERSION,
    coinbasePrefix: bip34Prefix(height),
    coinbaseSequence: COINBASE_SEQUENCE,
    coinbaseLocktime: height - 1,
    valueRemaining: subsidy(height, "regtest") + fees,
    outputs: encodeOutputs([witnessCommitmentOutput(transactions.map(({ wtxid }) => wtxid))]),
    outputsCount: 1,
    merklePath: merklePath(transactions.map(({ txid }) => txid)),
    transactions,
    fees,
    room,
  };
}

function select(waiting: readonly MempoolTransaction[], room: CoinbaseRoom): readonly MempoolTransaction[] {
  let weight = reservedWeight(room);
  // The spec does not say whether the client counts a legacy operation as one or, as a block does, as four.
  let sigopsCost = Math.min(room.maxAdditionalSigops * WITNESS_SCALE_FACTOR, MAX_BLOCK_SIGOPS_COST);
  return waiting.filter((transaction) => {
    const fits =
      weight + transaction.weight <= MAX_BLOCK_WEIGHT && sigopsCost + transaction.sigopsCost <= MAX_BLOCK_SIGOPS_COST;
    if (!fits) return false;
    weight += transaction.weight;
    sigopsCost += transaction.sigopsCost;
    return true;
  });
}
