import { type Hash, hex } from "@adit/bitcoin";
import type { MempoolTransaction } from "../template/block-template.ts";
import { type Random, syntheticTransaction } from "./synthetic-transaction.ts";

/** Outbid transactions whose fees are remembered: a block that somebody has begun with one may still come. */
const MAX_OUTBID = 20_000;

/** Transactions that wait for a block: invented, and renewed as time passes and blocks take them. */
export class SyntheticMempool {
  readonly #size: number;
  readonly #random: Random;
  #transactions: readonly MempoolTransaction[] = [];
  /** The same by id in hexadecimal; made when somebody asks. */
  #byId: ReadonlyMap<string, MempoolTransaction> | undefined;
  /** Fees of those that made room for others, oldest first, by id in hexadecimal. */
  readonly #outbid = new Map<string, bigint>();

  /** @param options.size most transactions at once; 0 for an empty mempool for ever */
  constructor(options: { readonly size: number; readonly random: Random }) {
    this.#size = options.size;
    this.#random = options.random;
    this.arrive();
  }

  /** What waits, best paying first. */
  get transactions(): readonly MempoolTransaction[] {
    return this.#transactions;
  }

  /** The transaction with this id, if it waits. */
  find(txid: Hash): MempoolTransaction | undefined {
    this.#byId ??= new Map(this.#transactions.map((transaction) => [hex(transaction.txid), transaction]));
    return this.#byId.get(hex(txid));
  }

  /** What a transaction pays that waits, or that waited until others outbid it; undefined for any other. */
  feeOf(txid: Hash): bigint | undefined {
    return this.find(txid)?.fee ?? this.#outbid.get(hex(txid));
  }

  /** New transactions come in: up to half the size at once, then a few at a time. What pays least makes room. */
  arrive(): void {
    if (this.#size === 0) return;
    const few = 1 + Math.floor(this.#random() * (this.#size / 4));
    const count = Math.max(few, Math.ceil(this.#size / 2) - this.#transactions.length);
    const arrivals = Array.from({ length: count }, () => syntheticTransaction(this.#random));
    const ranked = [...this.#transactions, ...arrivals].toSorted(byFeeRate);
    this.#keep(ranked.slice(0, this.#size));
    for (const { txid, fee } of ranked.slice(this.#size)) this.#outbid.set(hex(txid), fee);
    for (const txid of this.#outbid.keys()) {
      if (this.#outbid.size <= MAX_OUTBID) return;
      this.#outbid.delete(txid);
    }
  }

  /** A block has taken these, so they wait no longer. */
  remove(taken: readonly MempoolTransaction[]): void {
    const gone = new Set(taken);
    this.#keep(this.#transactions.filter((transaction) => !gone.has(transaction)));
  }

  #keep(transactions: readonly MempoolTransaction[]): void {
    this.#transactions = transactions;
    this.#byId = undefined;
  }
}

function byFeeRate(a: MempoolTransaction, b: MempoolTransaction): number {
  return Number(b.fee) / b.weight - Number(a.fee) / a.weight;
}
