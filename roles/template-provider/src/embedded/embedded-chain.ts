import { type Hash, subsidy } from "@adit/bitcoin";
import {
  assembleTemplate,
  BASE_VERSION,
  type BlockTemplate,
  type CoinbaseRoom,
  type MempoolTransaction,
  type WaitingTransaction,
} from "../template/block-template.ts";
import type { SolvedBlock } from "../template/solved-block.ts";
import type { TemplateSource } from "../template-source.ts";
import { type ChainTip, medianTimePast, startTime, tipAfter } from "./chain-tip.ts";
import { SyntheticMempool } from "./synthetic-mempool.ts";
import type { Random } from "./synthetic-transaction.ts";

/** What {@link EmbeddedChain} starts from. */
export interface EmbeddedChainOptions {
  /** Compact target of every block to come. */
  readonly bits: number;
  /** Where the stored chain ends. */
  readonly tip: ChainTip;
  /** Most transactions in the synthetic mempool. */
  readonly mempoolTransactions: number;
  readonly random: Random;
}

/** The development chain as templates see it: its tip, its target that never changes, and what waits for a block. */
export class EmbeddedChain implements TemplateSource {
  readonly bits: number;
  readonly #mempool: SyntheticMempool;
  #tip: ChainTip;

  constructor({ bits, tip, mempoolTransactions, random }: EmbeddedChainOptions) {
    this.bits = bits;
    this.#tip = tip;
    this.#mempool = new SyntheticMempool({ size: mempoolTransactions, random });
  }

  /** The last block. */
  get tip(): ChainTip {
    return this.#tip;
  }

  /** Transactions that wait, and the fees they would pay together in satoshi. */
  get mempool(): { readonly transactions: number; readonly fees: bigint } {
    const { transactions } = this.#mempool;
    return { transactions: transactions.length, fees: transactions.reduce((sum, { fee }) => sum + fee, 0n) };
  }

  /** What waits for a block, best paying first. */
  get waiting(): readonly MempoolTransaction[] {
    return this.#mempool.transactions;
  }

  /** A transaction that waits, by its id. */
  transaction(txid: Hash): MempoolTransaction | undefined {
    return this.#mempool.find(txid);
  }

  /** What a transaction of this chain's making pays, in satoshi, unless it is in a block or long forgotten. */
  feeOf(txid: Hash): bigint | undefined {
    return this.#mempool.feeOf(txid);
  }

  /** The best template now that leaves a coinbase its room. */
  template(room: CoinbaseRoom): BlockTemplate {
    return embeddedTemplate({ tip: this.#tip, bits: this.bits, waiting: this.#mempool.transactions, room });
  }

  /** Header time a miner should start at, Unix seconds. `now` is Unix milliseconds. */
  startTime(now: number): number {
    return startTime(this.#tip, now);
  }

  /** Lets new transactions come in. */
  arrive(): void {
    this.#mempool.arrive();
  }

  /** Moves the tip onto a checked block that is on disk, and renews the mempool it has emptied. */
  connect(block: SolvedBlock): void {
    this.#tip = tipAfter(this.#tip, block.header);
    this.#mempool.remove(block.transactions);
    this.#mempool.arrive();
  }
}

/** The best template on a tip of this chain, in which `bits` never changes. */
export function embeddedTemplate({
  tip,
  bits,
  waiting,
  room,
}: {
  readonly tip: ChainTip;
  readonly bits: number;
  readonly waiting: readonly WaitingTransaction[];
  readonly room: CoinbaseRoom;
}): BlockTemplate {
  const height = tip.height + 1;
  return assembleTemplate({
    height,
    prevHash: tip.hash,
    medianTimePast: medianTimePast(tip),
    bits,
    version: BASE_VERSION,
    subsidy: subsidy(height, "regtest"),
    waiting,
    room,
  });
}
