import { encodeHeader, pureHashing } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, type ClientJob, MiningClient } from "@adit/channels";
import { type MiningMessage, REQUIRES_STANDARD_JOBS, u256 } from "@adit/codec";
import { type ByteStream, dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";
import type { FoundShare, Link, LinkEvents, Work } from "./link.ts";
import type { SeatSpec, Targets } from "./messages.ts";
import { codeOf } from "./sv1-link.ts";

const DIAL_MS = 30_000;
const ANY_TARGET = u256(new Uint8Array(32).fill(0xff));

/** Who dials, from where. */
export interface Sv2Dialler {
  readonly spec: SeatSpec;
  readonly targets: Pick<Targets, "poolTcp" | "poolTicket" | "authority">;
  readonly node: IrohNodeManager | undefined;
  readonly hashrate: number;
}

/** A Stratum V2 connection to the pool with one channel. */
export class Sv2Link implements Link {
  work: Work | undefined;
  readonly ended: Promise<string>;
  readonly #connection: Sv2Connection<"mining">;
  readonly #events: LinkEvents;
  readonly #client = new MiningClient();
  /** What was submitted and when, by its sequence number, in order. */
  readonly #submits = new Map<number, { readonly share: FoundShare; readonly at: number }>();
  #channel: ClientChannel | undefined;
  #cause = "closed by the pool";

  private constructor(connection: Sv2Connection<"mining">, dialler: Sv2Dialler, events: LinkEvents) {
    this.#connection = connection;
    this.#events = events;
    this.ended = this.#run(dialler);
  }

  static async dial(dialler: Sv2Dialler, events: LinkEvents): Promise<Sv2Link> {
    const connection = await dialSv2(await dialStream(dialler), clientOf(dialler.spec), {
      security: { noise: { crypto: pureCrypto, authority: decodeAuthorityPublicKey(dialler.targets.authority) } },
      signal: new AbortController().signal,
      deadlineMs: DIAL_MS,
    });
    return new Sv2Link(connection, dialler, events);
  }

  get pending(): number {
    return this.#submits.size;
  }

  leave(how: "clean" | "reset"): void {
    this.work = undefined;
    if (how === "reset") this.#connection.abort(new Error("left"));
    else void this.#close();
  }

  async #run(dialler: Sv2Dialler): Promise<string> {
    try {
      await this.#connection.write(this.#opening(dialler));
      for await (const { message } of this.#connection.messages) {
        for (const event of this.#client.handle(message as MiningMessage, Date.now())) this.#take(event);
      }
    } catch (error) {
      this.#cause = codeOf(error);
    }
    this.work = undefined;
    await this.#close();
    for (const { share } of this.#submits.values()) this.#events.uncertain(share);
    this.#submits.clear();
    return this.#cause;
  }

  async #close(): Promise<void> {
    try {
      await this.#connection[Symbol.asyncDispose]();
    } catch {
      // Broken already: closed all the same.
    }
  }

  #opening({ spec, hashrate }: Sv2Dialler): MiningMessage {
    const request = { requestId: 1, userIdentity: spec.identity, nominalHashRate: hashrate, maxTarget: ANY_TARGET };
    if (spec.channel === "extended") return this.#client.openExtended({ ...request, minExtranonceSize: 4 });
    return this.#client.openStandard(request);
  }

  #take(event: ClientEvent): void {
    switch (event.type) {
      case "opened":
        this.#channel = event.channel;
        return;
      case "job":
        return this.#start(event.job);
      case "shares-accepted":
        return this.#acknowledge(event);
      case "share-rejected": {
        const share = this.#submits.get(event.sequenceNumber)?.share;
        this.#submits.delete(event.sequenceNumber);
        return this.#events.rejected(event.errorCode, share);
      }
      case "open-refused":
        return this.#give(`open refused: ${event.errorCode}`);
      case "channel-closed":
        return this.#give(`channel closed: ${event.reasonCode}`);
      case "protocol-fault":
        return this.#events.fault(`protocol fault: ${event.code}`);
      case "reconnect":
        this.work = undefined;
        this.#cause = "sent away";
        void this.#close();
        return;
      default:
    }
  }

  #give(cause: string): void {
    this.#events.fault(cause);
    this.#connection.abort(new Error(cause));
  }

  #acknowledge({ lastSequenceNumber, count, sum }: Extract<ClientEvent, { type: "shares-accepted" }>): void {
    const now = performance.now();
    const latencies: number[] = [];
    const shares: FoundShare[] = [];
    for (const [sequenceNumber, { share, at }] of this.#submits) {
      if (sequenceNumber > lastSequenceNumber) break;
      this.#submits.delete(sequenceNumber);
      latencies.push(now - at);
      shares.push(share);
    }
    if (latencies.length !== count) this.#events.fault("acknowledged another number of shares than were open");
    this.#events.acknowledged(count, latencies, { sum, shares });
  }

  #start(job: ClientJob): void {
    const channel = this.#channel;
    const extranonce = new Uint8Array(channel?.extranonceSize ?? 0);
    const merkleRoot = job.merkleRoot ?? extendedRoot(job, extranonce);
    if (channel === undefined || merkleRoot === undefined) return this.#events.fault("a job that cannot be mined");
    const { jobId, version, prevHash, nbits, minNtime: ntime } = job;
    const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce: 0 });
    const target = job.targetBytes;
    this.work = {
      header,
      target,
      submit: (nonce, hash) => {
        if (!channel.open) return;
        const share = { jobId, nonce, ntime, version };
        const message =
          channel.kind === "extended"
            ? channel.submitExtended({ ...share, extranonce })
            : channel.submitStandard(share);
        const found = { hash, header: header.slice(), target };
        this.#submits.set(message.sequenceNumber, { share: found, at: performance.now() });
        this.#events.submitted(found);
        this.#connection.write(message).catch(() => {});
      },
    };
    this.#events.job(prevHash, Date.now());
  }
}

function extendedRoot(job: ClientJob, extranonce: Uint8Array): ReturnType<typeof pureHashing.merkleRoot> | undefined {
  const { coinbaseTxPrefix: prefix, coinbaseTxSuffix: suffix, merklePath } = job;
  if (prefix === undefined || suffix === undefined || merklePath === undefined) return undefined;
  return pureHashing.merkleRoot(Buffer.concat([prefix, job.extranoncePrefix, extranonce, suffix]), merklePath);
}

/** Breaks off in the first act of the handshake. */
export async function breakOffSv2(dialler: Sv2Dialler): Promise<void> {
  const stream = await dialStream(dialler);
  await stream.write(new Uint8Array(20)).catch(() => {});
  stream.abort(new Error("left"));
}

async function dialStream({ targets, node }: Sv2Dialler): Promise<ByteStream> {
  const signal = AbortSignal.timeout(DIAL_MS);
  if (node === undefined) return await tcp().dial(targets.poolTcp, { signal });
  return await node.transport(alpns.mining.noise).dial(targets.poolTicket, { signal });
}

function clientOf(spec: SeatSpec): Parameters<typeof dialSv2<"mining">>[1] {
  return {
    protocol: "mining",
    flags: spec.channel === "standard" ? REQUIRES_STANDARD_JOBS : 0,
    endpointHost: "127.0.0.1",
    endpointPort: 0,
    vendor: "soak",
    hardwareVersion: "",
    firmware: "",
    deviceId: spec.identity,
    requestExtensions: [],
  };
}
