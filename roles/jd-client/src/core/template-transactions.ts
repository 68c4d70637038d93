import type { ShareHashing } from "@adit/bitcoin";
import { type U256, u256 } from "@adit/codec";

/** Templates whose transactions are kept or asked for: the one in use, the ones for the next tip, and a few before. */
const MAX_TEMPLATES = 8;
/** Some sixteen full blocks. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The transactions of a template, all but its coinbase, in the order of the block. */
export class TransactionData {
  /** What the pool may want besides (spec 7.5): opaque. */
  readonly excessData: Uint8Array;
  /** Serialized with their witnesses. */
  readonly transactions: readonly Uint8Array[];
  readonly #hashing: ShareHashing;
  #wtxids: readonly U256[] | undefined;

  constructor(
    message: { readonly excessData: Uint8Array; readonly transactions: readonly Uint8Array[] },
    hashing: ShareHashing,
  ) {
    this.excessData = message.excessData;
    this.transactions = message.transactions;
    this.#hashing = hashing;
  }

  /** The id of each, witness included (BIP141), hashed when first asked for: most templates are never declared. */
  get wtxids(): readonly U256[] {
    this.#wtxids ??= this.transactions.map((transaction) => u256(this.#hashing.sha256d(transaction)));
    return this.#wtxids;
  }

  /** Bytes kept. */
  get size(): number {
    return this.transactions.reduce((sum, { length }) => sum + length, this.excessData.length);
  }
}

/** Where a template's transactions are: with us, on their way, or not to be had. */
export type TransactionState = TransactionData | "awaited" | "refused";

/** Transactions of the newest templates of the connected template provider, as far as they were asked for. */
export class TemplateTransactions {
  readonly #hashing: ShareHashing;
  /** Oldest first. */
  readonly #byTemplate = new Map<bigint, TransactionState>();

  constructor(hashing: ShareHashing) {
    this.#hashing = hashing;
  }

  /** Whether to ask for a template's transactions; from then on they are awaited. */
  want(templateId: bigint): boolean {
    if (this.#byTemplate.has(templateId)) return false;
    this.#byTemplate.set(templateId, "awaited");
    this.#forgetOldest();
    return true;
  }

  /** The transactions came. They are not kept when they were not asked for. */
  add(
    templateId: bigint,
    message: { readonly excessData: Uint8Array; readonly transactionList: readonly Uint8Array[] },
  ): void {
    if (this.#byTemplate.get(templateId) !== "awaited") return;
    const excessData = message.excessData.slice();
    const transactions = message.transactionList.map((transaction) => transaction.slice());
    this.#byTemplate.set(templateId, new TransactionData({ excessData, transactions }, this.#hashing));
    this.#forgetOldest();
  }

  /** They will not come. */
  refuse(templateId: bigint): void {
    if (this.#byTemplate.get(templateId) === "awaited") this.#byTemplate.set(templateId, "refused");
  }

  /** The transactions of a template; undefined when they were never asked for, or so long ago that they are forgotten. */
  find(templateId: bigint): TransactionState | undefined {
    return this.#byTemplate.get(templateId);
  }

  /** Forgets all: another provider, or the same one started again, gives its numbers to other templates. */
  clear(): void {
    this.#byTemplate.clear();
  }

  #forgetOldest(): void {
    let bytes = 0;
    for (const state of this.#byTemplate.values()) bytes += sizeOf(state);
    for (const [templateId, state] of this.#byTemplate) {
      // The newest stays, whatever its size: a template provider's messages have a bound of their own.
      if (this.#byTemplate.size <= 1 || (this.#byTemplate.size <= MAX_TEMPLATES && bytes <= MAX_BYTES)) return;
      bytes -= sizeOf(state);
      this.#byTemplate.delete(templateId);
    }
  }
}

function sizeOf(state: TransactionState): number {
  return state instanceof TransactionData ? state.size : 0;
}
