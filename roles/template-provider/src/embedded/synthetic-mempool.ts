import type { MempoolTransaction } from "../template/block-template.ts";
import { type Random, syntheticTransaction } from "./synthetic-transaction.ts";

/** Transactions that wait for a block: invented, and renewed as time passes and blocks take them. */
export class SyntheticMempool {
  readonly #size: number;
  readonly #random: Random;
  #transactions: readonly MempoolTransaction[] = [];

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

  /** New transactions come in: up to half the size at once, then a few at a time. What pays least makes room. */
  arrive(): void {
    if (this.#size === 0) return;
    const few = 1 + Math.floor(this.#random() * (this.#size / 4));
    const count = Math.max(few, Math.ceil(this.#size / 2) - this.#transactions.length);
    const arrivals = Array.from({ length: count }, () => syntheticTransaction(this.#random));
    this.#transactions = [...this.#transactions, ...arrivals].toSorted(byFeeRate).slice(0, this.#size);
  }

  /** A block has taken these, so they wait no longer. */
  remove(taken: readonly MempoolTransaction[]): void {
    const gone = new Set(taken);
    this.#transactions = this.#transactions.filter((transaction) => !gone.has(transaction));
  }
}

function byFeeRate(a: MempoolTransaction, b: MempoolTransaction): number {
  return Number(b.fee) / b.weight - Number(a.fee) / a.weight;
}
