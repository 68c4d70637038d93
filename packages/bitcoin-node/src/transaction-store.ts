import type { Hash } from "@adit/bitcoin";

/** What of a transaction does not depend on the template it is in. */
export interface StoredTransaction {
  readonly bytes: Uint8Array;
  readonly txid: Hash;
  readonly wtxid: Hash;
}

/** Templates whose transactions are kept. Two besides the one being read, as the answers to a long poll and to another request may cross. */
const GENERATIONS = 3;

/**
 * The transactions of the last templates, so that one which stays in a node's mempool is decoded once and its bytes are in
 * memory once.
 */
export class TransactionStore {
  /** The newest first. */
  #templates: readonly Map<string, StoredTransaction>[] = [];

  /** Starts a template; what only older ones had is forgotten. */
  begin(): void {
    this.#templates = [new Map<string, StoredTransaction>(), ...this.#templates].slice(0, GENERATIONS);
  }

  /** The transaction with this wtxid, as displayed; `decode` makes it when it is not at hand. */
  get(wtxid: string, decode: () => StoredTransaction): StoredTransaction {
    const holder = this.#templates.find((template) => template.has(wtxid));
    const transaction = holder?.get(wtxid) ?? decode();
    this.#templates[0]?.set(wtxid, transaction);
    return transaction;
  }
}
