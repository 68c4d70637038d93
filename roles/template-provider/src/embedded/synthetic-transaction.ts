import {
  encodeTransaction,
  hash,
  legacySigops,
  type Transaction,
  type TxInput,
  type TxOutput,
  transactionWeight,
  txid,
  wtxid,
} from "@adit/bitcoin";
import type { MempoolTransaction } from "../template/block-template.ts";

/** A number from 0 (included) to 1 (excluded), as `Math.random` gives it. */
export type Random = () => number;

type Kind = "p2pkh" | "p2wpkh" | "p2tr";

const kinds: readonly Kind[] = ["p2wpkh", "p2tr", "p2pkh"];
const RBF_SEQUENCE = 0xfffffffd;
const WITNESS_SCALE_FACTOR = 4;
const MAX_FEE_RATE = 80;

/**
 * Invents a transaction that is well formed and spends coins which do not exist: random outpoints, signatures of the
 * right shape, one to three inputs and one to three outputs of one common kind.
 */
export function syntheticTransaction(random: Random): MempoolTransaction {
  const kind = pick(kinds, random);
  const tx: Transaction = {
    version: 2,
    inputs: times(1 + below(3, random), () => inputOf(kind, random)),
    outputs: times(1 + below(3, random), () => outputOf(pick(kinds, random), random)),
    locktime: 0,
    segwit: kind !== "p2pkh",
  };
  const witnessSigops = kind === "p2wpkh" ? tx.inputs.length : 0;
  // Most pay little, a few pay much, as in a real mempool.
  const feeRate = 1 + (MAX_FEE_RATE - 1) * random() ** 3;
  const weight = transactionWeight(tx);
  return {
    bytes: encodeTransaction(tx),
    txid: txid(tx),
    wtxid: wtxid(tx),
    fee: BigInt(Math.ceil((feeRate * weight) / WITNESS_SCALE_FACTOR)),
    weight,
    sigopsCost: legacySigops(tx) * WITNESS_SCALE_FACTOR + witnessSigops,
  };
}

function inputOf(kind: Kind, random: Random): TxInput {
  const spent = { prevHash: hash(bytes(32, random)), index: below(4, random), sequence: RBF_SEQUENCE };
  const empty = new Uint8Array(0);
  switch (kind) {
    case "p2pkh":
      return {
        ...spent,
        script: joined([71], bytes(71, random), [33], publicKey(random)),
        witness: [],
      };
    case "p2wpkh":
      return { ...spent, script: empty, witness: [bytes(71, random), publicKey(random)] };
    case "p2tr":
      return { ...spent, script: empty, witness: [bytes(64, random)] };
    default:
      return kind satisfies never;
  }
}

function outputOf(kind: Kind, random: Random): TxOutput {
  return { value: BigInt(1_000 + below(100_000_000, random)), script: outputScript(kind, random) };
}

function outputScript(kind: Kind, random: Random): Uint8Array {
  switch (kind) {
    case "p2pkh":
      return joined([0x76, 0xa9, 20], bytes(20, random), [0x88, 0xac]);
    case "p2wpkh":
      return joined([0x00, 20], bytes(20, random));
    case "p2tr":
      return joined([0x51, 32], bytes(32, random));
    default:
      return kind satisfies never;
  }
}

function publicKey(random: Random): Uint8Array {
  return joined([2 + below(2, random)], bytes(32, random));
}

function bytes(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => below(256, random));
}

function below(limit: number, random: Random): number {
  return Math.floor(random() * limit);
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

function pick<T>(choices: readonly T[], random: Random): T {
  const choice = choices[below(choices.length, random)];
  if (choice === undefined) throw new RangeError("random() gave a number outside 0 to 1, or there is nothing to pick");
  return choice;
}

function joined(...parts: readonly ArrayLike<number>[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part)));
}
