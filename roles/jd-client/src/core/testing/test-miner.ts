import { type Hash, MAX_TARGET, meetsTarget, pureHashing, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientJob, coinbaseOf, MiningClient } from "@adit/channels";
import { type MiningMessage, u256 } from "@adit/codec";

/** A miner with one extended channel, that believes only what it is told. */
export class TestMiner {
  readonly connection: number;
  /** Names of the messages it was sent, in order. */
  readonly heard: MiningMessage["name"][] = [];
  /** Error codes of its shares. */
  readonly rejected: string[] = [];
  accepted = 0;
  readonly #send: (message: MiningMessage, worker: string | undefined) => void;
  readonly #client = new MiningClient();
  #nonce = 0;

  constructor(connection: number, send: (message: MiningMessage, worker: string | undefined) => void) {
    this.connection = connection;
    this.#send = send;
  }

  open(): void {
    this.#send(
      this.#client.openExtended({
        requestId: 1,
        userIdentity: `miner-${this.connection}`,
        nominalHashRate: 0,
        maxTarget: u256(targetToBytes(MAX_TARGET)),
        minExtranonceSize: 8,
      }),
      undefined,
    );
  }

  receive(message: MiningMessage): void {
    this.heard.push(message.name);
    for (const event of this.#client.handle(message, 0)) {
      if (event.type === "share-rejected") this.rejected.push(event.errorCode);
      if (event.type === "shares-accepted") this.accepted += event.count;
      if (event.type === "protocol-fault") throw new Error(`${event.code}: ${event.detail}`);
    }
  }

  get channel(): ClientChannel {
    const [channel] = this.#client.channels.values();
    if (channel === undefined) throw new Error("no channel is open");
    return channel;
  }

  get job(): ClientJob {
    const { activeJob } = this.channel;
    if (activeJob === undefined) throw new Error("there is nothing to mine");
    return activeJob;
  }

  /** The whole coinbase of the job, its extranonce included, as the miner hashes it. */
  get coinbase(): Uint8Array {
    return this.#coinbaseOf(this.job);
  }

  /** Finds a share of its job, or of an older one, that meets also `isGood`, and submits it. */
  mine({ job = this.job, isGood = () => true, worker }: MiningWish = {}): void {
    for (;;) {
      this.#nonce += 1;
      const found = this.#hash(job, this.#nonce);
      if (!meetsTarget(found, job.targetBytes) || !isGood(found)) continue;
      const extranonce = new Uint8Array(this.channel.extranonceSize);
      const { jobId, version, minNtime: ntime } = job;
      this.#send(this.channel.submitExtended({ jobId, nonce: this.#nonce, ntime, version, extranonce }), worker);
      return;
    }
  }

  #hash(job: ClientJob, nonce: number): Hash {
    const { version, prevHash, minNtime: ntime, nbits } = job;
    return pureHashing.shareHash({
      coinbase: this.#coinbaseOf(job),
      merklePath: job.merklePath ?? [],
      header: { version, prevHash, ntime, nbits, nonce },
    }).hash;
  }

  #coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix, extranoncePrefix }: ClientJob): Uint8Array {
    if (coinbaseTxPrefix === undefined || coinbaseTxSuffix === undefined) throw new Error("not an extended job");
    const extranonce = new Uint8Array(this.channel.extranonceSize);
    return coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix }, extranoncePrefix, extranonce);
  }
}

interface MiningWish {
  readonly job?: ClientJob;
  readonly isGood?: (hash: Hash) => boolean;
  readonly worker?: string;
}
