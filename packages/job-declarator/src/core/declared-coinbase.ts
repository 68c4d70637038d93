import {
  assembleCoinbase,
  BitcoinError,
  type CoinbaseParts,
  coinbaseAround,
  decodeTransaction,
  isCoinbase,
  MAX_SCRIPT_SIG,
  parseBip34,
  restoreWitness,
  type Transaction,
  type TxOutput,
} from "@adit/bitcoin";
import { type DeclarationFault, fault } from "./fault.ts";

/** A declared coinbase taken apart. Nothing in it is a view into a frame. */
export interface DeclaredCoinbase {
  /** Around the whole extranonce, without marker, flag and witness. */
  readonly parts: CoinbaseParts;
  /** The witness reserved value (BIP141); undefined for a coinbase without a witness. */
  readonly reservedValue: Uint8Array | undefined;
  /** The height it starts with (BIP34). */
  readonly height: number;
  readonly txVersion: number;
  readonly inputSequence: number;
  readonly locktime: number;
  /** Every scriptSig byte before the extranonce. */
  readonly scriptSigStart: Uint8Array;
  /** The outputs behind their CompactSize count. */
  readonly countedOutputs: Uint8Array;
  readonly outputs: readonly TxOutput[];
}

const VERSION_SIZE = 4;
const MARKER_AND_FLAG_SIZE = 2;
/** Previous output of the only input: a hash of zeros and the index 0xffffffff. */
const OUTPOINT_SIZE = 36;
const SEQUENCE_SIZE = 4;
const LOCKTIME_SIZE = 4;
/** One item of 32 bytes behind count and length. Nothing is read whose counts are not in their shortest form. */
const WITNESS_SIZE = 34;
const MIN_SCRIPT_SIG = 2;
const MAX_EXTRANONCE = 32;

/** Where the scriptSig begins, and how long it is. */
interface ScriptSigPlace {
  readonly isSegwit: boolean;
  /** Every byte before the extranonce. */
  readonly start: Uint8Array;
  readonly extranonceSize: number;
}

/**
 * Reads `coinbase_tx_prefix` and `coinbase_tx_suffix` (spec 6.4.4), which keep their BIP141 fields. The size of the
 * extranonce is what the scriptSig's length leaves for it.
 */
export function readDeclaredCoinbase(prefix: Uint8Array, suffix: Uint8Array): DeclaredCoinbase | DeclarationFault {
  const place = scriptSigPlace(prefix);
  if ("errorCode" in place) return place;
  const whole = new Uint8Array(prefix.length + place.extranonceSize + suffix.length);
  whole.set(prefix);
  whole.set(suffix, prefix.length + place.extranonceSize);
  const tx = decoded(whole);
  if (tx === undefined) return fault("invalid-coinbase-tx", "prefix, extranonce and suffix make no transaction");
  const [input] = tx.inputs;
  if (input === undefined || !isCoinbase(tx)) {
    return fault("invalid-coinbase-tx-input", "the only input has to spend nothing: hash zero, index 0xffffffff");
  }
  const height = parseBip34(place.start);
  if (height === undefined) {
    return fault("invalid-coinbase-tx-input", "the scriptSig does not start with the block's height (BIP34)");
  }
  const reservedValue = input.witness[0]?.slice();
  const hasFitWitness = !place.isSegwit || (input.witness.length === 1 && reservedValue?.length === 32);
  if (!hasFitWitness) {
    return fault("invalid-coinbase-tx", "the coinbase's witness has to be one item of 32 bytes (BIP141)");
  }
  return assembled(suffix, { place, tx, sequence: input.sequence, height, reservedValue });
}

/**
 * The coinbase as a block has it, witness included.
 *
 * @throws BitcoinError `bad-coinbase` when the extranonce is not of the coinbase's size.
 */
export function blockCoinbase(
  { parts, reservedValue }: Pick<DeclaredCoinbase, "parts" | "reservedValue">,
  extranonce: Uint8Array,
): Uint8Array {
  const stripped = assembleCoinbase(parts, extranonce);
  return reservedValue === undefined ? stripped : restoreWitness(stripped, reservedValue);
}

function scriptSigPlace(prefix: Uint8Array): ScriptSigPlace | DeclarationFault {
  const isSegwit = prefix[VERSION_SIZE] === 0 && prefix[VERSION_SIZE + 1] === 1;
  const inputs = VERSION_SIZE + (isSegwit ? MARKER_AND_FLAG_SIZE : 0);
  if (prefix[inputs] !== 1) return fault("invalid-coinbase-tx-input", "a coinbase has exactly one input");
  const lengthAt = inputs + 1 + OUTPOINT_SIZE;
  const length = prefix[lengthAt];
  if (length === undefined) return fault("invalid-coinbase-tx", "the prefix ends before the scriptSig");
  if (length < MIN_SCRIPT_SIG || length > MAX_SCRIPT_SIG) {
    return fault("invalid-coinbase-tx-input", `a scriptSig has 2 to 100 bytes, extranonce included, not ${length}`);
  }
  const start = prefix.slice(lengthAt + 1);
  const extranonceSize = length - start.length;
  if (extranonceSize < 1 || extranonceSize > MAX_EXTRANONCE) {
    const left = `the scriptSig's length leaves ${extranonceSize} bytes for the extranonce`;
    return fault("invalid-coinbase-tx-input", `${left}, 1 to 32 are allowed`);
  }
  return { isSegwit, start, extranonceSize };
}

function assembled(
  suffix: Uint8Array,
  read: {
    readonly place: ScriptSigPlace;
    readonly tx: Transaction;
    readonly sequence: number;
    readonly height: number;
    readonly reservedValue: Uint8Array | undefined;
  },
): DeclaredCoinbase {
  const { place, tx, height, reservedValue } = read;
  const end = suffix.length - LOCKTIME_SIZE - (place.isSegwit ? WITNESS_SIZE : 0);
  const countedOutputs = suffix.slice(SEQUENCE_SIZE, end);
  const frame = {
    txVersion: tx.version,
    scriptSigStart: place.start,
    extranonceSize: place.extranonceSize,
    inputSequence: read.sequence,
    countedOutputs,
    locktime: tx.locktime,
  };
  const outputs = tx.outputs.map(({ value, script }) => ({ value, script: script.slice() }));
  return { ...frame, parts: coinbaseAround(frame), reservedValue, height, outputs };
}

function decoded(bytes: Uint8Array): Transaction | undefined {
  try {
    return decodeTransaction(bytes);
  } catch (error) {
    if (error instanceof BitcoinError) return undefined;
    throw error;
  }
}
