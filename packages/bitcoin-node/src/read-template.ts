import { hashFromDisplay, targetFromBits } from "@adit/bitcoin";
import { z } from "zod";
import { count, displayedHash, fitting, hexBytes, satoshi, uint32, unusable } from "./answer.ts";
import { bitsOf, commitmentScript, limitsOf } from "./differences.ts";
import { bytesOfHex } from "./fast-hex.ts";
import type { CallSite } from "./node-faults.ts";
import type { NodeTemplate, NodeTransaction } from "./node-template.ts";
import type { TransactionStore } from "./transaction-store.ts";

const hashText = z.string().regex(/^[0-9a-f]{64}$/);

const templateTransaction = z.object({
  data: z.string(),
  txid: hashText,
  hash: hashText,
  depends: z.array(z.int().min(1)),
  fee: satoshi,
  sigops: count,
  weight: z.int().min(1),
});

const template = z.object({
  version: z.int().min(-0x8000_0000).max(0xffff_ffff),
  previousblockhash: displayedHash,
  height: z.int().min(1).max(0xffff_ffff),
  bits: z.string().regex(/^[0-9a-f]{1,8}$/),
  mintime: uint32,
  curtime: uint32,
  coinbasevalue: satoshi,
  transactions: z.array(templateTransaction),
  default_witness_commitment: hexBytes.optional(),
  rules: z.array(z.string()).optional(),
  sigoplimit: count,
  sizelimit: count,
  weightlimit: count.optional(),
  longpollid: z.string().optional(),
});

type RawTransaction = z.output<typeof templateTransaction>;

/**
 * The template in the result of `getblocktemplate`; transactions it shares with those before come out of `store`.
 *
 * @throws NodeError `bad-response`
 */
export function readTemplate(result: unknown, store: TransactionStore, site: CallSite): NodeTemplate {
  const raw = fitting(template, result, site);
  const { weightLimit, sigopsLimit, sigopsScale } = limitsOf(raw);
  const bits = bitsOf(raw.bits);
  try {
    store.begin();
    return {
      // Core and btcd write it signed.
      version: raw.version >>> 0,
      prevHash: raw.previousblockhash,
      height: raw.height,
      bits,
      target: targetFromBits(bits),
      minTime: raw.mintime,
      curTime: raw.curtime,
      coinbaseValue: raw.coinbasevalue,
      transactions: raw.transactions.map((transaction, at) => readTransaction(transaction, at, { store, sigopsScale })),
      witnessCommitment: commitmentScript(raw.default_witness_commitment, raw.rules),
      weightLimit,
      sigopsLimit,
      longPollId: raw.longpollid,
    };
  } catch (cause) {
    throw unusable((cause as Error).message, site, cause);
  }
}

interface Reading {
  readonly store: TransactionStore;
  readonly sigopsScale: number;
}

function readTransaction(raw: RawTransaction, at: number, { store, sigopsScale }: Reading): NodeTransaction {
  const { bytes, txid, wtxid } = store.get(raw.hash, () => ({
    bytes: bytesOfHex(raw.data),
    txid: hashFromDisplay(raw.txid),
    wtxid: hashFromDisplay(raw.hash),
  }));
  // Whoever trims a template relies on this order.
  const astray = raw.depends.find((position) => position > at);
  if (astray !== undefined) throw new RangeError(`transactions.${at}.depends: ${astray} does not come before it`);
  return {
    bytes,
    txid,
    wtxid,
    fee: raw.fee,
    weight: raw.weight,
    sigopsCost: raw.sigops * sigopsScale,
    depends: raw.depends.map((position) => position - 1),
  };
}
