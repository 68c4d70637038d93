import { concatBytes } from "@noble/hashes/utils.js";
import { Script } from "@scure/btc-signer/script.js";
import { BitcoinError } from "./errors.ts";
import { hashPair, merkleRootOf } from "./merkle.ts";
import { MAX_DIRECT_PUSH } from "./script.ts";
import {
  compactSize,
  decodeOutputs,
  decodeTransaction,
  encodeOutputs,
  encodeTransaction,
  isCoinbase,
  type TxOutput,
} from "./transaction.ts";

/** What a coinbase is put together from: a template's part and the role's part. */
export interface CoinbaseSpec {
  /** `coinbase_tx_version` of the template. */
  readonly txVersion: number;
  /** `coinbase_prefix` of the template (BIP34 height and what else it puts first), at most 8 bytes. */
  readonly scriptSigPrefix: Uint8Array;
  /** Text pushed behind the prefix, printable ASCII, at most 75 bytes; "" for none. */
  readonly tag: string;
  /** Size of the whole extranonce, every prefix included: 1 to 32 bytes. */
  readonly extranonceSize: number;
  /** `coinbase_tx_input_sequence` of the template. */
  readonly inputSequence: number;
  /** The role's outputs, which come first. */
  readonly outputs: readonly TxOutput[];
  /** `coinbase_tx_outputs` of the template, serialized, which come last. */
  readonly templateOutputs: Uint8Array;
  /** `coinbase_tx_outputs_count` of the template. */
  readonly templateOutputsCount: number;
  /** `coinbase_tx_locktime` of the template. */
  readonly locktime: number;
}

/** The part of {@link CoinbaseSpec} that decides the size of the scriptSig. */
export type ScriptSigSpec = Pick<CoinbaseSpec, "scriptSigPrefix" | "tag" | "extranonceSize">;

/** A coinbase around its extranonce, without marker, flag and witness (spec 5.3.15). */
export interface CoinbaseParts {
  /** Everything before the extranonce. {@link buildCoinbase} ends it with the push opcode for {@link extranonceSize} bytes. */
  readonly prefix: Uint8Array;
  /** Everything behind the extranonce. */
  readonly suffix: Uint8Array;
  /** Size of the whole scriptSig in bytes, extranonce included. */
  readonly scriptSigSize: number;
  /** The only size of extranonce that fits between the two. */
  readonly extranonceSize: number;
}

/** The longest scriptSig a coinbase may have, in bytes. */
export const MAX_SCRIPT_SIG = 100;

const MAX_TEMPLATE_PREFIX = 8;
const MAX_EXTRANONCE = 32;
const ZERO_32 = new Uint8Array(32);
/** OP_RETURN, a push of 36 bytes, and the four bytes that mark a witness commitment (BIP141). */
const COMMITMENT_HEADER = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed);

/**
 * Size of the scriptSig that these pieces make. Ask before changing any of them: an extranonce prefix, its size, a tag,
 * a template's prefix. A scriptSig over 100 bytes makes every block invalid.
 *
 * @throws BitcoinError `prefix-too-long`, `bad-tag`, `extranonce-too-short`, `extranonce-too-long`,
 *   `script-sig-too-long`
 */
export function scriptSigSizeOf({ scriptSigPrefix, tag, extranonceSize }: ScriptSigSpec): number {
  if (scriptSigPrefix.length > MAX_TEMPLATE_PREFIX) {
    throw new BitcoinError(
      "prefix-too-long",
      `the template's prefix has ${scriptSigPrefix.length} bytes, 8 are allowed`,
    );
  }
  if (extranonceSize > MAX_EXTRANONCE) {
    throw new BitcoinError("extranonce-too-long", `an extranonce has at most 32 bytes, not ${extranonceSize}`);
  }
  if (!Number.isInteger(extranonceSize) || extranonceSize < 1) {
    throw new BitcoinError("extranonce-too-short", `an extranonce has 1 byte or more, not ${extranonceSize}`);
  }
  const size = scriptSigPrefix.length + tagPush(tag).length + 1 + extranonceSize;
  if (size > MAX_SCRIPT_SIG) {
    throw new BitcoinError("script-sig-too-long", `the scriptSig has ${size} bytes, 100 are allowed: shorten the tag`);
  }
  return size;
}

/**
 * Lays out the coinbase around its extranonce. scriptSig: the template's prefix, a push of the tag, a push of the
 * extranonce. Outputs: the role's, then the template's.
 *
 * @throws BitcoinError as {@link scriptSigSizeOf}, `bad-outputs` when the template's outputs are not as counted,
 *   `bad-coinbase` when there is no output at all or a number is out of range.
 */
export function buildCoinbase(spec: CoinbaseSpec): CoinbaseParts {
  scriptSigSizeOf(spec);
  decodeOutputs(spec.templateOutputs, spec.templateOutputsCount);
  const outputsCount = spec.outputs.length + spec.templateOutputsCount;
  if (outputsCount === 0) throw new BitcoinError("bad-coinbase", "a coinbase has at least one output");
  return coinbaseAround({
    txVersion: spec.txVersion,
    scriptSigStart: concatBytes(spec.scriptSigPrefix, tagPush(spec.tag), Uint8Array.of(spec.extranonceSize)),
    extranonceSize: spec.extranonceSize,
    inputSequence: spec.inputSequence,
    countedOutputs: concatBytes(compactSize(outputsCount), encodeOutputs(spec.outputs), spec.templateOutputs),
    locktime: spec.locktime,
  });
}

/** A coinbase whose scriptSig and outputs somebody else has put together. */
export interface CoinbaseFrame {
  /** Version of the transaction. */
  readonly txVersion: number;
  /** Every byte of the scriptSig before the extranonce. */
  readonly scriptSigStart: Uint8Array;
  /** Size of the whole extranonce, which ends the scriptSig. */
  readonly extranonceSize: number;
  /** nSequence of the only input. */
  readonly inputSequence: number;
  /** All outputs, serialized behind their CompactSize count. */
  readonly countedOutputs: Uint8Array;
  /** Lock time. */
  readonly locktime: number;
}

/**
 * Lays a coinbase out around its extranonce, as `SetCustomMiningJob` describes one (spec 5.3.18).
 *
 * @throws BitcoinError `script-sig-too-long`, `bad-coinbase` when a number is out of range. The outputs are not read.
 */
export function coinbaseAround(frame: CoinbaseFrame): CoinbaseParts {
  const { scriptSigStart, extranonceSize } = frame;
  const scriptSigSize = scriptSigStart.length + extranonceSize;
  if (scriptSigSize > MAX_SCRIPT_SIG) {
    throw new BitcoinError("script-sig-too-long", `the scriptSig has ${scriptSigSize} bytes, 100 are allowed`);
  }
  return {
    prefix: concatBytes(
      u32(frame.txVersion),
      compactSize(1),
      ZERO_32,
      u32(0xffffffff),
      compactSize(scriptSigSize),
      scriptSigStart,
    ),
    suffix: concatBytes(u32(frame.inputSequence), frame.countedOutputs, u32(frame.locktime)),
    scriptSigSize,
    extranonceSize,
  };
}

/**
 * The coinbase with its extranonce in place, without witness.
 *
 * @throws BitcoinError `bad-coinbase` when the extranonce is not of the size the parts were laid out for: the push
 *   opcode and the scriptSig length in them would be wrong, and so would the block.
 */
export function assembleCoinbase(parts: CoinbaseParts, extranonce: Uint8Array): Uint8Array {
  if (extranonce.length !== parts.extranonceSize) {
    const sizes = `${extranonce.length} bytes, this coinbase takes ${parts.extranonceSize}`;
    throw new BitcoinError("bad-coinbase", `the extranonce has ${sizes}`);
  }
  return concatBytes(parts.prefix, extranonce, parts.suffix);
}

/**
 * Puts marker, flag and the coinbase witness back in, as a block needs them. Without BIP141 fields in, with them out.
 *
 * @param reservedValue the witness reserved value the template's commitment was made with; the spec assumes 32 zeros
 * @throws BitcoinError `bad-transaction` when the bytes are no transaction, `bad-coinbase` when it is not a coinbase,
 *   has a witness already, or the value is not 32 bytes.
 */
export function restoreWitness(stripped: Uint8Array, reservedValue: Uint8Array = ZERO_32): Uint8Array {
  if (reservedValue.length !== 32) throw new BitcoinError("bad-coinbase", "a witness reserved value has 32 bytes");
  const tx = decodeTransaction(stripped);
  if (tx.segwit || !isCoinbase(tx)) throw new BitcoinError("bad-coinbase", "not a coinbase without its witness");
  const version = stripped.subarray(0, 4);
  const locktime = stripped.subarray(-4);
  const witness = concatBytes(Uint8Array.of(1, 32), reservedValue);
  return concatBytes(version, Uint8Array.of(0, 1), stripped.subarray(4, -4), witness, locktime);
}

/**
 * A transaction without marker, flag and witnesses; one that has none comes back equal.
 *
 * @throws BitcoinError `bad-transaction`
 */
export function stripWitness(full: Uint8Array): Uint8Array {
  return encodeTransaction(decodeTransaction(full), false);
}

/**
 * The height a coinbase must start with (BIP34), as Bitcoin Core's `CScript() << nHeight`: OP_0, OP_1 to OP_16 for the
 * first 17 heights, then the shortest push of a script number.
 *
 * @throws RangeError unless the height is an integer from 0 to 2^31 - 1.
 */
export function bip34Prefix(height: number): Uint8Array {
  if (!Number.isInteger(height) || height < 0 || height > 0x7fffffff) throw new RangeError(`${height} is not a height`);
  return Script.encode([height]);
}

/** The height at the start of a scriptSig, or undefined when no number is there in the form {@link bip34Prefix} gives. */
export function parseBip34(scriptSig: Uint8Array): number | undefined {
  const opcode = scriptSig[0];
  if (opcode === undefined) return undefined;
  if (opcode === 0) return 0;
  if (opcode > 0x50 && opcode <= 0x60) return opcode - 0x50;
  if (opcode > 4 || scriptSig.length < 1 + opcode) return undefined;
  let height = 0;
  for (let at = opcode; at >= 1; at--) height = height * 256 + (scriptSig[at] ?? 0);
  if (height > 0x7fffffff) return undefined;
  return startsWith(scriptSig, bip34Prefix(height)) ? height : undefined;
}

/** Whether `bytes` begin with `start`. */
export function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && start.every((byte, at) => byte === bytes[at]);
}

/**
 * The output that commits to the witnesses of a block (BIP141).
 *
 * @param wtxids of all transactions but the coinbase, in block order; internal order
 * @param reservedValue the coinbase's only witness item, 32 bytes; zeros unless given
 */
export function witnessCommitmentOutput(wtxids: readonly Uint8Array[], reservedValue: Uint8Array = ZERO_32): TxOutput {
  const commitment = hashPair(merkleRootOf([ZERO_32, ...wtxids]), reservedValue);
  return { value: 0n, script: concatBytes(COMMITMENT_HEADER, commitment) };
}

/** Whether an output script has the form of a witness commitment (BIP141). */
export function isWitnessCommitment(script: Uint8Array): boolean {
  return script.length >= 38 && startsWith(script, COMMITMENT_HEADER);
}

/** The witness commitment of a coinbase, 32 bytes: of several the last counts (BIP141). */
export function witnessCommitmentOf(outputs: readonly TxOutput[]): Uint8Array | undefined {
  return outputs.findLast(({ script }) => isWitnessCommitment(script))?.script.subarray(6, 38);
}

function tagPush(tag: string): Uint8Array {
  if (!/^[\x20-\x7e]*$/.test(tag)) throw new BitcoinError("bad-tag", "a coinbase tag is printable ASCII");
  if (tag.length > MAX_DIRECT_PUSH) {
    throw new BitcoinError("bad-tag", `a coinbase tag has at most 75 bytes, not ${tag.length}`);
  }
  if (tag === "") return new Uint8Array(0);
  return Uint8Array.from([tag.length, ...Array.from(tag, (character) => character.charCodeAt(0))]);
}

function u32(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new BitcoinError("bad-coinbase", `${value} does not fit in 32 bits`);
  }
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
