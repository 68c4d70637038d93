import { type Hash, hex, sha256d } from "@adit/bitcoin";
import type { BitcoinNode, NodeRequest } from "./bitcoin-node.ts";

/** How much a {@link MempoolIndex} holds. */
export interface MempoolIndexOptions {
  /** Transactions at most; 100,000 unless told, about what a mempool of Core's default size holds. */
  readonly maxTransactions?: number;
  /** Bytes of transactions at most; 64 MiB unless told. What does not fit is known by its ids and fetched when asked for. */
  readonly maxBytes?: number;
}

/** A transaction in a node's mempool. */
export interface MempoolTransaction {
  /** Its id. */
  readonly txid: Hash;
  /** Its hash with witnesses. */
  readonly wtxid: Hash;
  /** Serialized, with its witnesses. */
  readonly bytes: Uint8Array;
}

/** What a refresh changed. */
export interface MempoolChange {
  /** Transactions that are new in the index. */
  readonly added: number;
  /** Transactions that left the mempool, for a block or for good. */
  readonly removed: number;
  /** Transactions of the mempool that found no room. */
  readonly left: number;
}

interface Entry {
  readonly txid: Hash;
  readonly wtxid: Hash;
  /** Undefined when there is no room for them. */
  readonly bytes: Uint8Array | undefined;
}

/** Ids asked for before the answers are indexed, so that a refresh that is ended keeps what it has. */
const STEP = 256;

/**
 * Finds transactions of a node's mempool by wtxid, which a node cannot be asked for, and by txid. It knows what the last
 * {@link refresh} saw.
 */
export class MempoolIndex {
  readonly #node: BitcoinNode;
  readonly #maxTransactions: number;
  readonly #maxBytes: number;
  readonly #byTxid = new Map<string, Entry>();
  readonly #byWtxid = new Map<string, Entry>();
  #bytes = 0;

  constructor(node: BitcoinNode, options: MempoolIndexOptions = {}) {
    this.#node = node;
    this.#maxTransactions = options.maxTransactions ?? 100_000;
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
  }

  /** Transactions in the index. */
  get size(): number {
    return this.#byTxid.size;
  }

  /** Bytes of transactions in the index. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Forgets what has left the node's mempool and fetches what is new in it. Await one before the next.
   *
   * @throws NodeError; what was indexed until then stays.
   */
  async refresh({ signal }: NodeRequest): Promise<MempoolChange> {
    const ids = await this.#node.mempoolIds({ signal });
    const removed = this.#keepOnly(new Set(ids.map(hex)));
    const fresh = ids.filter((txid) => !this.#byTxid.has(hex(txid)));
    const room = Math.max(0, this.#maxTransactions - this.size);
    const before = this.size;
    for (let at = 0; at < Math.min(fresh.length, room); at += STEP) {
      const step = fresh.slice(at, Math.min(at + STEP, room));
      const fetched = await this.#node.transactions(step, { signal });
      fetched.forEach((bytes, index) => this.#add(step[index], bytes));
    }
    return { added: this.size - before, removed, left: Math.max(0, fresh.length - room) };
  }

  /** Whether the transaction with this wtxid was in the mempool at the last refresh. */
  has(wtxid: Hash): boolean {
    return this.#byWtxid.has(hex(wtxid));
  }

  /**
   * The transactions with these wtxids, in their order; undefined where the mempool has none.
   *
   * @throws NodeError when bytes have to be fetched and cannot be.
   */
  async byWtxid(wtxids: readonly Hash[], request: NodeRequest): Promise<readonly (MempoolTransaction | undefined)[]> {
    return await this.#complete(
      wtxids.map((wtxid) => this.#byWtxid.get(hex(wtxid))),
      request,
    );
  }

  /** Like {@link byWtxid}, by txid. */
  async byTxid(txids: readonly Hash[], request: NodeRequest): Promise<readonly (MempoolTransaction | undefined)[]> {
    return await this.#complete(
      txids.map((txid) => this.#byTxid.get(hex(txid))),
      request,
    );
  }

  #keepOnly(ids: ReadonlySet<string>): number {
    let removed = 0;
    for (const [txid, { wtxid, bytes }] of this.#byTxid) {
      if (ids.has(txid)) continue;
      this.#byTxid.delete(txid);
      this.#byWtxid.delete(hex(wtxid));
      this.#bytes -= bytes?.length ?? 0;
      removed += 1;
    }
    return removed;
  }

  /** A transaction can leave the mempool between the list and this; then there are no bytes. */
  #add(txid: Hash | undefined, bytes: Uint8Array | undefined): void {
    if (txid === undefined || bytes === undefined) return;
    const fits = this.#bytes + bytes.length <= this.#maxBytes;
    const entry: Entry = { txid, wtxid: sha256d(bytes), bytes: fits ? bytes : undefined };
    if (fits) this.#bytes += bytes.length;
    this.#byTxid.set(hex(txid), entry);
    this.#byWtxid.set(hex(entry.wtxid), entry);
  }

  async #complete(
    entries: readonly (Entry | undefined)[],
    { signal }: NodeRequest,
  ): Promise<readonly (MempoolTransaction | undefined)[]> {
    const bare = entries.filter((entry) => entry !== undefined && entry.bytes === undefined);
    const txids = bare.flatMap((entry) => (entry === undefined ? [] : [entry.txid]));
    const fetched = await this.#node.transactions(txids, { signal });
    const bytesOf = new Map(bare.map((entry, at) => [entry, fetched[at]]));
    return entries.map((entry) => entry && whole(entry, bytesOf.get(entry)));
  }
}

/** The entry with its bytes, or with `fetched` unless those are of a transaction that has taken another witness since. */
function whole({ txid, wtxid, bytes }: Entry, fetched: Uint8Array | undefined): MempoolTransaction | undefined {
  if (bytes !== undefined) return { txid, wtxid, bytes };
  return fetched !== undefined && hex(sha256d(fetched)) === hex(wtxid) ? { txid, wtxid, bytes: fetched } : undefined;
}
