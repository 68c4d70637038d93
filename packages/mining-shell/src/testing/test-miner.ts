import { createHash } from "node:crypto";
import { encodeHeader, type Hash, hash, meetsTarget, pureHashing, targetFromBits, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, type ClientJob, MiningClient } from "@adit/channels";
import {
  type MiningMessage,
  type SubmitSharesExtended,
  type SubmitSharesStandard,
  u256,
  WORKER_HASHRATE_TRACKING,
  workerTlvs,
} from "@adit/codec";
import { type ByteStream, dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";

/** A share that was found, with what its header hashes to. */
export interface FoundWork {
  readonly message: SubmitSharesStandard | SubmitSharesExtended;
  readonly hash: Hash;
}

const never = new AbortController().signal;

/** An SV2 miner that hashes for real. Everything it was told stays in `events`. */
export class TestMiner implements AsyncDisposable {
  readonly connection: Sv2Connection<"mining">;
  readonly client = new MiningClient();
  readonly events: ClientEvent[] = [];
  readonly messages: string[] = [];
  /** Resolves when the pool has ended the connection, with what broke it. */
  readonly ended: Promise<Error | undefined>;
  #waiting: { readonly met: () => boolean; readonly resolve: () => void }[] = [];
  #requestId = 0;

  /** Takes over a connection that is set up, and reads it. */
  constructor(connection: Sv2Connection<"mining">) {
    this.connection = connection;
    this.ended = this.#read();
  }

  /** Sets a connection up over a stream, with Noise. */
  static async over(
    stream: ByteStream,
    options: { authority: string | null; flags?: number; workers?: boolean },
  ): Promise<TestMiner> {
    const authority = options.authority === null ? null : decodeAuthorityPublicKey(options.authority);
    const connection = await dialSv2(
      stream,
      {
        protocol: "mining",
        flags: options.flags ?? 0,
        endpointHost: "localhost",
        endpointPort: 1,
        vendor: "test",
        hardwareVersion: "",
        firmware: "",
        deviceId: "",
        requestExtensions: options.workers === true ? [WORKER_HASHRATE_TRACKING] : [],
      },
      { security: { noise: { crypto: pureCrypto, authority } }, signal: never, deadlineMs: 10_000 },
    );
    return new TestMiner(connection);
  }

  /** Opens a channel and waits until it has a job. */
  async open(kind: "standard" | "extended", userIdentity: string): Promise<ClientChannel> {
    this.#requestId += 1;
    const requestId = this.#requestId;
    const request = { requestId, userIdentity, nominalHashRate: 1, maxTarget: u256(new Uint8Array(32).fill(0xff)) };
    await this.connection.write(
      kind === "standard"
        ? this.client.openStandard(request)
        : this.client.openExtended({ ...request, minExtranonceSize: 4 }),
    );
    const opened = (): ClientChannel | undefined =>
      this.events.flatMap((event) =>
        event.type === "opened" && event.requestId === requestId ? [event.channel] : [],
      )[0];
    await this.until(() => opened()?.activeJob !== undefined);
    const channel = opened();
    if (channel === undefined) throw new Error("no channel");
    return channel;
  }

  /** Hashes until a header meets the job's target (and that of `nbits`, for a block). Nothing is sent. */
  find(channel: ClientChannel, options: { block?: boolean; seed?: number } = {}): FoundWork {
    const job = channel.activeJob;
    if (job === undefined) throw new Error("no job");
    const target = options.block === true ? targetToBytes(targetFromBits(job.nbits)) : job.targetBytes;
    const extranonce = new Uint8Array(channel.extranonceSize);
    if (extranonce.length > 0) new DataView(extranonce.buffer).setUint32(0, options.seed ?? 0);
    const merkleRoot = merkleRootOfJob(job, extranonce);
    const { version, prevHash, nbits, minNtime: ntime } = job;
    const header = encodeHeader({ version, prevHash, merkleRoot, nbits, ntime, nonce: 0 });
    const view = new DataView(header.buffer);
    for (let nonce = Math.floor(Math.random() * 2 ** 31); ; nonce += 1) {
      view.setUint32(76, nonce, true);
      const found = twice(header);
      if (!meetsTarget(found, target)) continue;
      const share = { jobId: job.jobId, nonce, ntime, version };
      const message =
        channel.kind === "standard" ? channel.submitStandard(share) : channel.submitExtended({ ...share, extranonce });
      return { message, hash: hash(found) };
    }
  }

  async submit({ message }: FoundWork, worker?: string): Promise<void> {
    await this.connection.write(message, workerTlvs(worker));
  }

  /** Shares acknowledged on all channels. */
  get accepted(): number {
    return this.events.reduce((sum, event) => sum + (event.type === "shares-accepted" ? event.count : 0), 0);
  }

  /** Error codes of rejected shares, in order. */
  get rejected(): readonly string[] {
    return this.events.flatMap((event) => (event.type === "share-rejected" ? [event.errorCode] : []));
  }

  /** Resolves as soon as a message has made the condition true. */
  async until(met: () => boolean): Promise<void> {
    if (met()) return;
    await new Promise<void>((resolve) => this.#waiting.push({ met, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }

  async #read(): Promise<Error | undefined> {
    try {
      for await (const { message } of this.connection.messages) {
        this.messages.push(message.name);
        this.events.push(...this.client.handle(message as MiningMessage, Date.now()));
        this.#check();
      }
      await this.connection[Symbol.asyncDispose]();
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  #check(): void {
    const due = this.#waiting.filter(({ met }) => met());
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
    for (const { resolve } of due) resolve();
  }
}

function merkleRootOfJob(job: ClientJob, extranonce: Uint8Array): Uint8Array {
  if (job.coinbaseTxPrefix === undefined) return job.merkleRoot ?? new Uint8Array(32);
  const parts = [job.coinbaseTxPrefix, job.extranoncePrefix, extranonce, job.coinbaseTxSuffix ?? extranonce];
  if (extranonce.length === 0 && job.merkleRoot !== undefined) return job.merkleRoot;
  return pureHashing.merkleRoot(Buffer.concat(parts), job.merklePath ?? []);
}

function twice(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(createHash("sha256").update(bytes).digest()).digest();
}
