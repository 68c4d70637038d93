import { encodeHeader, meetsTarget, pureHashing } from "@adit/bitcoin";
import {
  type MiningMessage,
  type NewExtendedMiningJob,
  type OpenExtendedMiningChannel,
  type OpenExtendedMiningChannelSuccess,
  type SetNewPrevHash,
  type SubmitSharesExtended,
  u256,
} from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";
import { doubleHash } from "./double-hash.ts";
import { until } from "./until.ts";

/** Every hash meets it: who opens a channel with it asks for no more than the server insists on. */
export const ANY_HASH: ReturnType<typeof u256> = u256(new Uint8Array(32).fill(0xff));

/** What the pool made of a share: `accepted`, or its error code. */
export type Verdict = string;

/** A mining client that keeps no rule of its own, and can do proofs of work where an attack needs one. */
export class MiningAttacker implements AsyncDisposable {
  /** Messages that nobody has taken with {@link hear} yet. */
  readonly heard: MiningMessage[] = [];
  /** Verdicts on shares by their sequence number. */
  readonly verdicts: Map<number, Verdict> = new Map();
  readonly connection: Sv2Connection<"mining">;
  #isOver = false;
  #requestId = 0;
  #sequenceNumber = 0;
  /** Newest job and prevhash of the connection; all its channels are of one group. */
  #job: NewExtendedMiningJob | undefined;
  #prevHash: SetNewPrevHash | undefined;

  /** Takes a connection over. */
  constructor(connection: Sv2Connection<"mining">) {
    this.connection = connection;
    void this.#read();
  }

  /** Whether the connection is over, whoever ended it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Says something. A pool that has hung up hears nothing, which is no fault. */
  async say(message: MiningMessage): Promise<void> {
    await this.connection.write(message).catch(() => {});
  }

  /** Resolves to the next message of this name, and takes it. */
  async hear<N extends MiningMessage["name"]>(name: N): Promise<Extract<MiningMessage, { name: N }>> {
    await until(`a ${name}`, () => this.#isOver || this.heard.some((message) => message.name === name));
    const at = this.heard.findIndex((message) => message.name === name);
    if (at === -1) throw new Error(`the pool left before its ${name}`);
    return this.heard.splice(at, 1)[0] as Extract<MiningMessage, { name: N }>;
  }

  /** What an honest miner would ask for, unless changed. */
  request(changes: Partial<OpenExtendedMiningChannel> = {}): OpenExtendedMiningChannel {
    this.#requestId += 1;
    return {
      name: "OpenExtendedMiningChannel",
      requestId: this.#requestId,
      userIdentity: "hostile",
      nominalHashRate: 0,
      maxTarget: ANY_HASH,
      minExtranonceSize: 4,
      ...changes,
    };
  }

  /** Opens a channel and waits until there is work. */
  async open(changes: Partial<OpenExtendedMiningChannel> = {}): Promise<OpenExtendedMiningChannelSuccess> {
    await this.say(this.request(changes));
    const opened = await this.hear("OpenExtendedMiningChannelSuccess");
    await until("a job", () => this.#prevHash !== undefined && this.#job !== undefined);
    return opened;
  }

  /** The newest job. */
  get job(): NewExtendedMiningJob {
    if (this.#job === undefined) throw new Error("no job yet");
    return this.#job;
  }

  /** The newest tip. */
  get tip(): SetNewPrevHash {
    if (this.#prevHash === undefined) throw new Error("no tip yet");
    return this.#prevHash;
  }

  /** A share for the newest job that is right but for its hash, which is whatever it is. */
  share(channel: OpenExtendedMiningChannelSuccess, changes: Partial<SubmitSharesExtended> = {}): SubmitSharesExtended {
    const { jobId, version, minNtime } = this.job;
    this.#sequenceNumber += 1;
    return {
      name: "SubmitSharesExtended",
      channelId: channel.channelId,
      sequenceNumber: this.#sequenceNumber,
      jobId,
      nonce: 1,
      ntime: minNtime ?? this.tip.minNtime,
      version,
      extranonce: new Uint8Array(channel.extranonceSize),
      ...changes,
    };
  }

  /** Hashes until a share meets the channel's target. It is not sent. `aheadSec`: how far its ntime is ahead of the job's. */
  findOne(channel: OpenExtendedMiningChannelSuccess, aheadSec = 0): SubmitSharesExtended {
    const [share] = this.find(channel, 1, aheadSec);
    if (share === undefined) throw new Error("no share");
    return share;
  }

  /** {@link findOne}, over and over. */
  find(channel: OpenExtendedMiningChannelSuccess, count: number, aheadSec = 0): readonly SubmitSharesExtended[] {
    const extranonce = new Uint8Array(channel.extranonceSize).fill(1);
    const { version, jobId, minNtime, coinbaseTxPrefix, coinbaseTxSuffix, merklePath } = this.job;
    const { prevHash, nbits } = this.tip;
    const ntime = (minNtime ?? this.tip.minNtime) + aheadSec;
    const coinbase = Buffer.concat([coinbaseTxPrefix, channel.extranoncePrefix, extranonce, coinbaseTxSuffix]);
    const merkleRoot = pureHashing.merkleRoot(coinbase, merklePath);
    const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce: 0 });
    const view = new DataView(header.buffer, header.byteOffset);
    const found: SubmitSharesExtended[] = [];
    for (let nonce = 0; found.length < count; nonce += 1) {
      view.setUint32(76, nonce, true);
      if (meetsTarget(doubleHash(header), channel.target))
        found.push(this.share(channel, { jobId, nonce, ntime, extranonce }));
    }
    return found;
  }

  /** Submits a share and resolves to what the pool made of it. */
  async submit(share: SubmitSharesExtended): Promise<Verdict> {
    await this.say(share);
    return await until(`a verdict on share ${share.sequenceNumber}`, () => this.verdicts.get(share.sequenceNumber));
  }

  /** {@link submit} for a share that was sent before or elsewhere, under a number of its own. */
  async submitAgain(share: SubmitSharesExtended, changes: Partial<SubmitSharesExtended> = {}): Promise<Verdict> {
    this.#sequenceNumber += 1;
    return await this.submit({ ...share, ...changes, sequenceNumber: this.#sequenceNumber });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }

  async #read(): Promise<void> {
    try {
      for await (const { message } of this.connection.messages) this.#take(structuredClone(message) as MiningMessage);
    } catch {
      // Broken off is over, too.
    } finally {
      this.#isOver = true;
    }
  }

  #take(message: MiningMessage): void {
    if (message.name === "SubmitSharesError") this.verdicts.set(message.sequenceNumber, message.errorCode);
    // The scenes' pool acknowledges each share by itself.
    else if (message.name === "SubmitSharesSuccess") this.verdicts.set(message.lastSequenceNumber, "accepted");
    else if (message.name === "NewExtendedMiningJob") this.#job = message;
    else if (message.name === "SetNewPrevHash") this.#prevHash = message;
    else this.heard.push(message);
  }
}
