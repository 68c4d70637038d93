import {
  BitcoinError,
  decodeTransaction,
  encodeTransaction,
  type Hash,
  hex,
  isCoinbase,
  txid,
  wtxid,
} from "@adit/bitcoin";

/** A transaction that a block can be put together with. */
export interface KnownTransaction {
  /** Its id, internal order. */
  readonly txid: Hash;
  /** Its hash with witnesses, internal order. */
  readonly wtxid: Hash;
  /** Serialized, with its witnesses. */
  readonly bytes: Uint8Array;
}

/**
 * A transaction that a client provided for `expected`, copied; undefined when the bytes are not one transaction with that
 * hash, or are a coinbase.
 */
export function providedTransaction(bytes: Uint8Array, expected: Uint8Array): KnownTransaction | undefined {
  try {
    const tx = decodeTransaction(bytes);
    const hash = wtxid(tx);
    if (isCoinbase(tx) || hex(hash) !== hex(expected)) return undefined;
    return { txid: txid(tx), wtxid: hash, bytes: encodeTransaction(tx) };
  } catch (error) {
    if (error instanceof BitcoinError) return undefined;
    throw error;
  }
}

interface Shared {
  readonly transaction: KnownTransaction;
  users: number;
}

/** Transactions of many declared jobs, each in memory once. */
export class SharedTransactions {
  readonly #byWtxid = new Map<string, Shared>();
  #bytes = 0;

  /** Bytes of all transactions, each counted once. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Transactions, each counted once. */
  get size(): number {
    return this.#byWtxid.size;
  }

  /** Keeps these until they are {@link release}d, and returns the copies to use. */
  keep(transactions: readonly KnownTransaction[]): readonly KnownTransaction[] {
    return transactions.map((transaction) => {
      const key = hex(transaction.wtxid);
      const shared = this.#byWtxid.get(key) ?? { transaction, users: 0 };
      if (shared.users === 0) {
        this.#byWtxid.set(key, shared);
        this.#bytes += transaction.bytes.length;
      }
      shared.users += 1;
      return shared.transaction;
    });
  }

  /** Gives up what {@link keep} returned. */
  release(transactions: readonly KnownTransaction[]): void {
    for (const { wtxid: hash, bytes } of transactions) {
      const shared = this.#byWtxid.get(hex(hash));
      if (shared === undefined) continue;
      shared.users -= 1;
      if (shared.users > 0) continue;
      this.#byWtxid.delete(hex(hash));
      this.#bytes -= bytes.length;
    }
  }
}
