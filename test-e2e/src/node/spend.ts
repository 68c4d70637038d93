import {
  encodeTransaction,
  type Hash,
  type Transaction,
  type TxInput,
  type TxOutput,
  transactionWeight,
  txid,
} from "@adit/bitcoin";
import { type CoinKind, lockingScript, unlocking } from "./anyone-can-spend.ts";

/** An unspent output that anyone can spend. */
export interface Coin {
  /** Id of its transaction, internal order. */
  readonly txid: Hash;
  readonly index: number;
  /** Satoshi. */
  readonly value: bigint;
  readonly kind: CoinKind;
}

/** A transaction and what it leaves to spend. */
export interface Spend {
  /** Id, internal order. */
  readonly txid: Hash;
  /** Serialized with witnesses. */
  readonly bytes: Uint8Array;
  /** Weight units (BIP141). */
  readonly weight: number;
  /** Satoshi. */
  readonly fee: bigint;
  /** Its outputs. */
  readonly coins: readonly Coin[];
}

/** What {@link spend} builds. */
export interface SpendOptions {
  /** What it spends, all of it. */
  readonly from: readonly Coin[];
  /** Outputs to pay to, which share the money evenly. */
  readonly to: readonly CoinKind[];
  /** Satoshi a virtual byte, at least 1. */
  readonly feeRate: number;
  /** Bytes of an output of no value that makes the transaction big. No node keeps it. */
  readonly padding?: number;
}

const WITNESS_SCALE_FACTOR = 4;
const FINAL_SEQUENCE = 0xffffffff;
const OP_RETURN = 0x6a;

/** Builds a transaction between outputs that anyone can spend. */
export function spend({ from, to, feeRate, padding = 0 }: SpendOptions): Spend {
  const money = from.reduce((sum, { value }) => sum + value, 0n);
  const burnt = padding === 0 ? [] : [{ value: 0n, script: new Uint8Array(padding).fill(OP_RETURN) }];
  const build = (value: bigint): Transaction => ({
    version: 2,
    inputs: from.map(inputOf),
    outputs: [...to.map((kind): TxOutput => ({ value, script: lockingScript(kind) })), ...burnt],
    locktime: 0,
    segwit: from.some(({ kind }) => kind === "segwit"),
  });
  const weight = transactionWeight(build(0n));
  const least = BigInt(Math.ceil((weight * feeRate) / WITNESS_SCALE_FACTOR));
  const value = (money - least) / BigInt(to.length);
  if (value <= 0n) throw new Error(`${money} satoshi do not pay for ${to.length} outputs and a fee of ${least}`);
  const tx = build(value);
  const id = txid(tx);
  return {
    txid: id,
    bytes: encodeTransaction(tx),
    weight,
    fee: money - value * BigInt(to.length),
    coins: to.map((kind, index) => ({ txid: id, index, value, kind })),
  };
}

function inputOf({ txid: prevHash, index, kind }: Coin): TxInput {
  return { prevHash, index, sequence: FINAL_SEQUENCE, ...unlocking(kind) };
}
