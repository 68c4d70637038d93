import {
  bip34Prefix,
  encodeOutputs,
  type Hash,
  merklePath,
  type Target,
  targetFromBits,
  witnessCommitmentOutput,
} from "@adit/bitcoin";

/** A transaction that waits for a block. */
export interface MempoolTransaction {
  /** Serialized, with its witnesses. */
  readonly bytes: Uint8Array;
  /** Id, internal order. */
  readonly txid: Hash;
  /** Hash with witnesses, internal order. */
  readonly wtxid: Hash;
  /** What it pays to the miner, in satoshi. */
  readonly fee: bigint;
  /** Weight units (BIP141). */
  readonly weight: number;
  /** Signature operations as a block counts them: a legacy one costs four, a witness one costs one (BIP141). */
  readonly sigopsCost: number;
}

/** A transaction that may be chosen for a template. */
export interface WaitingTransaction extends MempoolTransaction {
  /** Positions, in the same list and before its own, of those it cannot be in a block without. */
  readonly depends?: readonly number[];
}

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
  /** Height the block will have. */
  readonly height: number;
  /** Hash of the block it builds on, internal order. */
  readonly prevHash: Hash;
  /** Unix seconds; the block's time must be above it. */
  readonly medianTimePast: number;
  /** Compact target. */
  readonly bits: number;
  /** Header version. */
  readonly version: number;
  /** Satoshis it may pay beside the fees of its transactions. */
  readonly subsidy: bigint;
  /** Waiting transactions, best paying first, parents before children. */
  readonly waiting: readonly WaitingTransaction[];
  /** Script of the witness commitment to all that wait, when somebody has computed it already. */
  readonly commitment?: Uint8Array | undefined;
  readonly room: CoinbaseRoom;
  /** What the block may weigh and count; Bitcoin's own limits unless they are given. */
  readonly limits?: BlockLimits;
}

/** The most a block may take. */
export interface BlockLimits {
  /** Weight units. */
  readonly weight: number;
  /** Signature operations as a block counts them. */
  readonly sigopsCost: number;
}

/** Version that signals nothing (BIP9). */
export const BASE_VERSION = 0x20000000;

/** Bitcoin's limits (BIP141). */
const blockLimits: BlockLimits = { weight: 4_000_000, sigopsCost: 80_000 };

const WITNESS_SCALE_FACTOR = 4;
/** Spec 7.1: header, transaction count, the coinbase's fixed fields, scriptSig, output count and commitment. */
const RESERVED_WEIGHT = 320 + 12 + 236 + 400 + 12 + 188;
/** Bitcoin Core never reserves less. */
const RESERVED_WEIGHT_FLOOR = 2_000;
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
  return reservedWeight(room) <= blockLimits.weight;
}

/**
 * The best template on a tip: the best paying transactions that leave the client its room.
 *
 * Lock time is height - 1 and the sequence is not final, as BIP54 wants.
 */
export function assembleTemplate(parts: TemplateParts): BlockTemplate {
  const { height, bits, waiting, room } = parts;
  const transactions = select(parts);
  const fees = transactions.reduce((sum, { fee }) => sum + fee, 0n);
  const whole = transactions.length === waiting.length ? parts.commitment : undefined;
  const commitment =
    whole === undefined
      ? witnessCommitmentOutput(transactions.map(({ wtxid }) => wtxid))
      : { value: 0n, script: whole };
  return {
    height,
    prevHash: parts.prevHash,
    medianTimePast: parts.medianTimePast,
    bits,
    target: targetFromBits(bits),
    version: parts.version,
    coinbaseVersion: COINBASE_VERSION,
    coinbasePrefix: bip34Prefix(height),
    coinbaseSequence: COINBASE_SEQUENCE,
    coinbaseLocktime: height - 1,
    valueRemaining: parts.subsidy + fees,
    outputs: encodeOutputs([commitment]),
    outputsCount: 1,
    merklePath: merklePath(transactions.map(({ txid }) => txid)),
    transactions,
    fees,
    room,
  };
}

function select({ waiting, room, limits = blockLimits }: TemplateParts): readonly MempoolTransaction[] {
  let weight = reservedWeight(room);
  // The spec does not say whether the client counts a legacy operation as one or, as a block does, as four.
  let sigopsCost = Math.min(room.maxAdditionalSigops * WITNESS_SCALE_FACTOR, limits.sigopsCost);
  const left = new Set<number>();
  return waiting.filter((transaction, at) => {
    const fits =
      weight + transaction.weight <= limits.weight &&
      sigopsCost + transaction.sigopsCost <= limits.sigopsCost &&
      !transaction.depends?.some((parent) => left.has(parent));
    if (!fits) {
      left.add(at);
      return false;
    }
    weight += transaction.weight;
    sigopsCost += transaction.sigopsCost;
    return true;
  });
}
