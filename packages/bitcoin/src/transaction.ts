import { concatBytes } from "@noble/hashes/utils.js";
import { BTCArray, CompactSizeLen, RawOldTx, RawOutput, RawTx } from "@scure/btc-signer/script.js";
import { BitcoinError } from "./errors.ts";
import { type Hash, hash, sha256d } from "./hash.ts";
import { countSigops } from "./script.ts";

/** What a transaction pays. */
export interface TxOutput {
  /** Amount in satoshi. */
  readonly value: bigint;
  /** Output script (scriptPubKey). */
  readonly script: Uint8Array;
}

/** What a transaction spends. */
export interface TxInput {
  /** Id of the transaction that is spent from, internal order; all zeros in a coinbase. */
  readonly prevHash: Hash;
  /** Which output of it; 0xffffffff in a coinbase. */
  readonly index: number;
  /** Input script (scriptSig). */
  readonly script: Uint8Array;
  /** Sequence number (nSequence). */
  readonly sequence: number;
  /** Witness items; empty when there are none. */
  readonly witness: readonly Uint8Array[];
}

/** A transaction, taken apart. Integers but the amounts are unsigned 32-bit. */
export interface Transaction {
  /** Version, unsigned. */
  readonly version: number;
  /** Inputs in order, at least one. */
  readonly inputs: readonly TxInput[];
  /** Outputs in order. */
  readonly outputs: readonly TxOutput[];
  /** Lock time (nLockTime). */
  readonly locktime: number;
  /** Some input has a witness, so that the BIP144 form is used. */
  readonly segwit: boolean;
}

/** The most a block may weigh (BIP141), so also the most bytes a block or a transaction may have. */
export const MAX_BLOCK_WEIGHT = 4_000_000;

/** 21 million bitcoins, in satoshi: no amount, and no sum of amounts, is above it. */
export const MAX_MONEY = 2_100_000_000_000_000n;

type RawTransaction = ReturnType<typeof RawTx.decode>;

const rawOutputs = BTCArray(RawOutput);
const rawTransactions = BTCArray(RawTx);

/**
 * Serializes a transaction: the BIP144 form with witnesses (the default for a segwit transaction), or without.
 *
 * @throws BitcoinError `bad-transaction` when there is no input or a field is out of range.
 */
export function encodeTransaction(tx: Transaction, withWitness: boolean = tx.segwit): Uint8Array {
  if (tx.inputs.length === 0) throw new BitcoinError("bad-transaction", "a transaction has at least one input");
  const legacy = {
    version: tx.version | 0,
    inputs: tx.inputs.map((input) => ({
      txid: input.prevHash.toReversed(),
      index: input.index,
      finalScriptSig: input.script,
      sequence: input.sequence,
    })),
    outputs: tx.outputs.map(({ value, script }) => ({ amount: value, script })),
    lockTime: tx.locktime,
  };
  try {
    if (!withWitness || !tx.segwit) return RawOldTx.encode(legacy);
    return RawTx.encode({ ...legacy, segwitFlag: true, witnesses: tx.inputs.map((input) => [...input.witness]) });
  } catch (cause) {
    throw new BitcoinError("bad-transaction", "a field of the transaction cannot be serialized", { cause });
  }
}

/**
 * Reads one transaction, with or without witnesses; nothing may follow it. Scripts and witness items are views.
 *
 * @throws BitcoinError `bad-transaction`
 */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  let raw: RawTransaction;
  try {
    raw = RawTx.decode(withinBlock(bytes));
  } catch (cause) {
    throw new BitcoinError("bad-transaction", "the bytes are not one serialized transaction", { cause });
  }
  return transactionOf(raw);
}

/**
 * Reads transactions behind their CompactSize count, as in a block; nothing may follow them.
 *
 * @throws BitcoinError `bad-transaction`
 */
export function decodeTransactions(bytes: Uint8Array): readonly Transaction[] {
  let raw: RawTransaction[];
  try {
    raw = rawTransactions.decode(withinBlock(bytes));
  } catch (cause) {
    throw new BitcoinError("bad-transaction", "the bytes are not a list of serialized transactions", { cause });
  }
  return raw.map(transactionOf);
}

/** Id of a transaction (its hash without witnesses), internal order. BitcoinError `bad-transaction` for bad bytes. */
export function txid(tx: Transaction | Uint8Array): Hash {
  return sha256d(encodeTransaction(parsed(tx), false));
}

/** Hash of a transaction with its witnesses (BIP141), internal order. BitcoinError `bad-transaction` for bad bytes. */
export function wtxid(tx: Transaction | Uint8Array): Hash {
  return sha256d(encodeTransaction(parsed(tx)));
}

/** Weight units (BIP141): three times the size without witnesses plus the size with them. */
export function transactionWeight(tx: Transaction): number {
  const stripped = encodeTransaction(tx, false).length;
  return stripped * 3 + (tx.segwit ? encodeTransaction(tx).length : stripped);
}

/** Signature operations in scriptSigs and output scripts, counted as Bitcoin Core's `GetLegacySigOpCount`. */
export function legacySigops(tx: Transaction): number {
  let count = 0;
  for (const { script } of tx.inputs) count += countSigops(script);
  for (const { script } of tx.outputs) count += countSigops(script);
  return count;
}

/** Whether a transaction is a coinbase: one input, which spends nothing. */
export function isCoinbase(tx: Transaction): boolean {
  const [input] = tx.inputs;
  return tx.inputs.length === 1 && input?.index === 0xffffffff && input.prevHash.every((byte) => byte === 0);
}

/**
 * Serializes outputs one after the other, without a count.
 *
 * @throws BitcoinError `bad-outputs` when an amount does not fit in 64 bits.
 */
export function encodeOutputs(outputs: readonly TxOutput[]): Uint8Array {
  try {
    return concatBytes(...outputs.map(({ value, script }) => RawOutput.encode({ amount: value, script })));
  } catch (cause) {
    throw new BitcoinError("bad-outputs", "an output cannot be serialized", { cause });
  }
}

/**
 * Reads exactly `count` serialized outputs (`coinbase_tx_outputs` of spec 7.2); nothing may follow them.
 *
 * @throws BitcoinError `bad-outputs`
 */
export function decodeOutputs(bytes: Uint8Array, count: number): readonly TxOutput[] {
  try {
    return decodeCountedOutputs(concatBytes(compactSize(count), bytes));
  } catch (cause) {
    throw new BitcoinError("bad-outputs", `the bytes are not ${count} serialized outputs`, { cause });
  }
}

/**
 * Reads serialized outputs behind their CompactSize count (`coinbase_tx_outputs` of spec 5.3.18 and 6.4.3); nothing may
 * follow them.
 *
 * @throws BitcoinError `bad-outputs`
 */
export function decodeCountedOutputs(bytes: Uint8Array): readonly TxOutput[] {
  try {
    return rawOutputs.decode(bytes).map(({ amount, script }) => ({ value: amount, script }));
  } catch (cause) {
    throw new BitcoinError("bad-outputs", "the bytes are not a list of serialized outputs", { cause });
  }
}

/**
 * A count or length as Bitcoin's CompactSize, in its shortest form.
 *
 * @throws RangeError unless `n` is a safe integer of at least 0.
 */
export function compactSize(n: number): Uint8Array {
  if (!Number.isSafeInteger(n) || n < 0) throw new RangeError(`${n} is not a count`);
  return CompactSizeLen.encode(n);
}

/** Reading makes many small objects out of few bytes, so bytes that fit in no block are not read at all. */
function withinBlock(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_BLOCK_WEIGHT) throw new RangeError(`${bytes.length} bytes do not fit in a block`);
  return bytes;
}

function parsed(tx: Transaction | Uint8Array): Transaction {
  return tx instanceof Uint8Array ? decodeTransaction(tx) : tx;
}

function transactionOf(raw: RawTransaction): Transaction {
  if (raw.inputs.length === 0) throw new BitcoinError("bad-transaction", "a transaction has at least one input");
  return {
    version: raw.version >>> 0,
    inputs: raw.inputs.map((input, at) => ({
      prevHash: hash(input.txid.toReversed()),
      index: input.index,
      script: input.finalScriptSig,
      sequence: input.sequence,
      witness: raw.witnesses?.[at] ?? [],
    })),
    outputs: raw.outputs.map(({ amount, script }) => ({ value: amount, script })),
    locktime: raw.lockTime,
    segwit: raw.segwitFlag === true,
  };
}
