import {
  encodeOutputs,
  encodeTransaction,
  hash,
  type Transaction,
  witnessCommitmentOutput,
  wtxid,
} from "@adit/bitcoin";
import { type DeclareMiningJob, type NewTemplate, u256 } from "@adit/codec";
import { DeclaredJob, type Granted } from "./declared-job.ts";
import type { WholeTemplate } from "./template-feed.ts";

/** Size of the whole extranonce that attackers declare with. */
export const EXTRANONCE_SIZE = 20;

/** A job of a template with these fields in place of its own: whatever follows from them is right. */
export function jobOf(whole: WholeTemplate, granted: Granted, changes: Partial<NewTemplate> = {}): DeclaredJob {
  return new DeclaredJob({ ...whole, template: { ...whole.template, ...changes } }, granted, EXTRANONCE_SIZE);
}

/** A declaration of transactions of which only hashes are known; its coinbase commits to them. */
export function declarationOf(
  whole: WholeTemplate,
  granted: Granted,
  { requestId, wtxids }: { readonly requestId: number; readonly wtxids: readonly Uint8Array[] },
): DeclareMiningJob {
  const coinbaseTxOutputs = encodeOutputs([witnessCommitmentOutput(wtxids)]);
  const job = jobOf(whole, granted, { coinbaseTxOutputs, coinbaseTxOutputsCount: 1 });
  return { ...job.declaration(requestId), wtxidList: wtxids.map((one) => u256(one)) };
}

/** Hashes that belong to no transaction; no two numbers give the same. */
export function hashesOf(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, at) => {
    const bytes = new Uint8Array(32).fill(0xee);
    new DataView(bytes.buffer).setUint32(0, at);
    return bytes;
  });
}

/** A transaction that nobody has heard of, with a witness; its output's script has this many bytes. */
export function unheardOf(seed: number, scriptSize = 22): Uint8Array {
  return encodeTransaction(transactionOf(seed, scriptSize));
}

/** The same without its witness: the id is right, the hash with witnesses is another. */
export function withoutWitness(seed: number): Uint8Array {
  return encodeTransaction(transactionOf(seed, 22), false);
}

/** Hashes of transactions with their witnesses. */
export function wtxidsOf(transactions: readonly Uint8Array[]): readonly Uint8Array[] {
  return transactions.map((transaction) => wtxid(transaction));
}

function transactionOf(seed: number, scriptSize: number): Transaction {
  const prevHash = hash(new Uint8Array(32).fill(seed));
  const input = { prevHash, index: seed, script: new Uint8Array(0), sequence: 0, witness: [Uint8Array.of(seed)] };
  const output = { value: 1_000n, script: new Uint8Array(scriptSize).fill(0x51) };
  return { version: 2, inputs: [input], outputs: [output], locktime: 0, segwit: true };
}
