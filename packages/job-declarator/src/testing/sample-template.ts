import {
  bip34Prefix,
  coinbaseAround,
  compactSize,
  encodeOutputs,
  encodeTransaction,
  type Hash,
  hash,
  type TxOutput,
  txid,
  witnessCommitmentOutput,
  wtxid,
} from "@adit/bitcoin";
import type { KnownTransaction } from "../core/known-transaction.ts";
import type { DeclaratorTip } from "../core/tip.ts";

/** Output script of the pool: P2WPKH of a made-up key. */
export const PAYOUT_SCRIPT: Uint8Array = Uint8Array.from([0x00, 0x14, ...new Uint8Array(20).fill(7)]);

/** 50 bitcoins, in satoshi. */
export const REWARD = 5_000_000_000n;

const NBITS = 0x2000ffff;

/** A tip of regtest below `height`; one hash of 256 makes a block on it. */
export function tipBelow(height: number, fields: Partial<DeclaratorTip> = {}): DeclaratorTip {
  return { prevHash: hashOf(height - 1), height, nbits: NBITS, minNtime: 1_800_000_000, ...fields };
}

/** A hash; no two numbers give the same. */
export function hashOf(seed: number): Hash {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, seed);
  return hash(bytes);
}

/** A transaction that spends a coin of its own: no two numbers give the same. `bytes` of output script. */
export function transaction(seed: number, { bytes = 22, spends = seed } = {}): KnownTransaction {
  const tx = {
    version: 2,
    inputs: [
      {
        prevHash: hashOf(1_000_000 + spends),
        index: 0,
        script: new Uint8Array(0),
        sequence: 0xffffffff,
        witness: [Uint8Array.of(seed & 255)],
      },
    ],
    outputs: [{ value: BigInt(1_000 + seed), script: new Uint8Array(bytes).fill(0x51) }],
    locktime: 0,
    segwit: true,
  };
  return { txid: txid(tx), wtxid: wtxid(tx), bytes: encodeTransaction(tx) };
}

/** What a test makes a coinbase of. */
export interface SampleCoinbase {
  readonly height: number;
  readonly wtxids: readonly Uint8Array[];
  /** Before the witness commitment. */
  readonly outputs: readonly TxOutput[];
  /** Behind the height in the scriptSig, before the extranonce. */
  readonly tag: Uint8Array;
  readonly extranonceSize: number;
  readonly sequence: number;
  readonly locktime: number;
  /** Undefined for a coinbase without BIP141 fields. */
  readonly reservedValue: Uint8Array | undefined;
  /** In place of the output with the right commitment. */
  readonly commitment: TxOutput | undefined;
}

/** `coinbase_tx_prefix` and `coinbase_tx_suffix` of a good coinbase but for what a test changes. */
export function coinbaseParts(fields: Partial<SampleCoinbase> = {}): {
  readonly prefix: Uint8Array;
  readonly suffix: Uint8Array;
} {
  const sample = sampleCoinbase(fields);
  const { commitment, outputs, reservedValue } = sample;
  const all = commitment === undefined ? outputs : [...outputs, commitment];
  const { prefix, suffix } = coinbaseAround({
    txVersion: 2,
    scriptSigStart: concat(bip34Prefix(sample.height), sample.tag),
    extranonceSize: sample.extranonceSize,
    inputSequence: sample.sequence,
    countedOutputs: concat(compactSize(all.length), encodeOutputs(all)),
    locktime: sample.locktime,
  });
  if (reservedValue === undefined) return { prefix, suffix };
  return {
    prefix: concat(prefix.subarray(0, 4), Uint8Array.of(0, 1), prefix.subarray(4)),
    suffix: concat(suffix.subarray(0, -4), Uint8Array.of(1, reservedValue.length), reservedValue, suffix.subarray(-4)),
  };
}

/** Bytes one after the other. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function sampleCoinbase(fields: Partial<SampleCoinbase>): SampleCoinbase {
  const { wtxids = [], height = 102 } = fields;
  const reservedValue = "reservedValue" in fields ? fields.reservedValue : new Uint8Array(32).fill(9);
  return {
    height,
    wtxids,
    outputs: [{ value: REWARD, script: PAYOUT_SCRIPT }],
    tag: Uint8Array.of(4, 0x41, 0x64, 0x69, 0x74, 8),
    extranonceSize: 8,
    sequence: 0xfffffffe,
    locktime: height - 1,
    reservedValue,
    ...fields,
    commitment: "commitment" in fields ? fields.commitment : witnessCommitmentOutput(wtxids, reservedValue),
  };
}
