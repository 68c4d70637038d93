import { encodeHeader, hex, meetsTarget, pureHashing, targetFromBits, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientJob, MiningClient } from "@adit/channels";
import { type MiningMessage, u256 } from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";
import { PacedSearch } from "./paced-search.ts";
import { until } from "./until.ts";

/** How fast a miner hashes, and what it does with a block. */
export interface Sv2MinerOptions {
  /** What it says of itself, in hashes a second. */
  readonly hashrate: number;
  /** As for {@link PacedSearch}. */
  readonly triesAtOnce?: number;
  /** Keeps to itself whatever would make a block, from its first job on. */
  readonly withholdsBlocks?: boolean;
}

/** A Stratum V2 miner on an extended channel that hashes for real, in this process, and remembers what was acknowledged. */
export class Sv2Miner implements AsyncDisposable {
  /** Header hashes that the pool has acknowledged, in hex. */
  readonly acknowledged = new Set<string>();
  /** Shares the pool said it has accepted. */
  acceptedCount = 0;
  readonly rejected: string[] = [];
  /** Keeps to itself whatever would make a block. */
  withholdsBlocks: boolean;
  #handsInOne = false;
  /** Jobs it was to work on, in order. */
  readonly jobs: ClientJob[] = [];
  readonly #connection: Sv2Connection<"mining">;
  readonly #client = new MiningClient();
  readonly #pending = new Map<number, string>();
  readonly #search: PacedSearch;
  #closed = false;
  #channel: ClientChannel | undefined;
  #work: { readonly job: ClientJob; readonly merkleRoot: Uint8Array } | undefined;

  private constructor(connection: Sv2Connection<"mining">, options: Omit<Sv2MinerOptions, "hashrate">) {
    const { triesAtOnce, withholdsBlocks = false } = options;
    this.#connection = connection;
    this.withholdsBlocks = withholdsBlocks;
    this.#search = new PacedSearch((nonce) => this.#find(nonce), triesAtOnce);
    this.#read()
      .catch(() => {})
      .finally(() => {
        this.#closed = true;
      });
  }

  /** Whether the connection is over. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Shares sent that the pool has neither accepted nor rejected. */
  get unanswered(): number {
    return this.#pending.size;
  }

  /** Hands in the next block it finds, and withholds those after it. */
  handInOneBlock(): void {
    this.#handsInOne = true;
    this.withholdsBlocks = false;
  }

  /** Finds no more shares; the connection stays. */
  rest(): void {
    this.#search.stop();
  }

  /** Opens a channel and waits for its first job. Takes the connection over. */
  static async open(
    connection: Sv2Connection<"mining">,
    userIdentity: string,
    rate: number | Sv2MinerOptions,
  ): Promise<Sv2Miner> {
    const { hashrate, ...options } = typeof rate === "number" ? { hashrate: rate } : rate;
    const miner = new Sv2Miner(connection, options);
    await connection.write(
      miner.#client.openExtended({
        requestId: 1,
        userIdentity,
        nominalHashRate: hashrate,
        maxTarget: u256(new Uint8Array(32).fill(0xff)),
        minExtranonceSize: 4,
      }),
    );
    await until("a first job", () => miner.#work);
    return miner;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#search.stop();
    await this.#connection[Symbol.asyncDispose]();
  }

  async #read(): Promise<void> {
    for await (const { message } of this.#connection.messages) {
      for (const event of this.#client.handle(message as MiningMessage, Date.now())) {
        if (event.type === "opened") this.#channel = event.channel;
        else if (event.type === "job") this.#start(event.job);
        else if (event.type === "shares-accepted") this.#settle(event.lastSequenceNumber, event.count);
        else if (event.type === "share-rejected") {
          this.#pending.delete(event.sequenceNumber);
          this.rejected.push(event.errorCode);
        }
      }
    }
  }

  #settle(lastSequenceNumber: number, count: number): void {
    this.acceptedCount += count;
    for (const [sequenceNumber, hash] of this.#pending) {
      if (sequenceNumber > lastSequenceNumber) continue;
      this.#pending.delete(sequenceNumber);
      this.acknowledged.add(hash);
    }
  }

  #start(job: ClientJob): void {
    this.jobs.push(job);
    const { coinbaseTxPrefix: prefix, coinbaseTxSuffix: suffix, merklePath } = job;
    if (prefix === undefined || suffix === undefined || merklePath === undefined) return;
    const extranonce = new Uint8Array(this.#channel?.extranonceSize ?? 0);
    const coinbase = Buffer.concat([prefix, job.extranoncePrefix, extranonce, suffix]);
    this.#work = { job, merkleRoot: pureHashing.merkleRoot(coinbase, merklePath) };
  }

  #find(nonce: number): void {
    if (this.#work === undefined || this.#channel === undefined || !this.#channel.open) return;
    const { job, merkleRoot } = this.#work;
    const { jobId, version, prevHash, nbits, minNtime: ntime } = job;
    const hash = pureHashing.headerHash(encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce }));
    if (!meetsTarget(hash, job.targetBytes)) return;
    // A hostile pool's bits need not be a target: they matter only to who keeps blocks apart from shares.
    const minds = this.withholdsBlocks || this.#handsInOne;
    if (minds && meetsTarget(hash, targetToBytes(targetFromBits(nbits)))) {
      if (this.withholdsBlocks) return;
      this.withholdsBlocks = this.#handsInOne;
    }
    const extranonce = new Uint8Array(this.#channel.extranonceSize);
    const share = this.#channel.submitExtended({ jobId, nonce, ntime, version, extranonce });
    this.#pending.set(share.sequenceNumber, hex(hash));
    this.#connection.write(share).catch(() => {});
  }
}
