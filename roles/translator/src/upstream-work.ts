import type { ClientChannel, ClientJob } from "@adit/channels";
import type { SubmitSharesExtended } from "@adit/codec";
import { keepAliveJob, ROLLABLE_VERSION_BITS, type Sv1Job } from "@adit/sv1";
import type { SessionId } from "./effects.ts";
import { type ExtranonceLayout, joined, upstreamExtranonce } from "./extranonce-layout.ts";

/** What of a found share goes upstream. */
export interface FoundShare {
  readonly extranonce1: Uint8Array;
  readonly extranonce2: Uint8Array;
  readonly nonce: number;
  readonly ntime: number;
  readonly version: number;
}

/** A header's time has 32 bits. */
const LATEST_NTIME = 0xffffffff;

/** A job of an upstream channel, as Stratum V1 work for any of the channel's miners. */
export class UpstreamWork {
  /** Where shares of it go. */
  readonly session: SessionId;
  readonly channel: ClientChannel;
  readonly job: ClientJob;
  readonly layout: ExtranonceLayout;
  /** Version bits that miners may roll in it. */
  readonly versionMask: number;
  readonly #since: number;
  readonly #original: Sv1Job;

  /** `since`: when the job became active. `clean`: the prevhash changed with it. */
  constructor(
    from: {
      readonly session: SessionId;
      readonly channel: ClientChannel;
      readonly job: ClientJob;
      readonly layout: ExtranonceLayout;
      readonly fixedVersion: boolean;
    },
    told: { readonly id: string; readonly clean: boolean; readonly since: number },
  ) {
    const { channel, job, layout } = from;
    this.session = from.session;
    this.channel = channel;
    this.job = job;
    this.layout = layout;
    this.versionMask = job.versionRollingAllowed && !from.fixedVersion ? ROLLABLE_VERSION_BITS : 0;
    this.#since = told.since;
    this.#original = {
      id: told.id,
      prevHash: job.prevHash,
      coinb1: joined(job.coinbaseTxPrefix ?? new Uint8Array(), layout.filler),
      coinb2: job.coinbaseTxSuffix ?? new Uint8Array(),
      merklePath: job.merklePath ?? [],
      version: job.version,
      nbits: job.nbits,
      ntime: job.minNtime,
      clean: told.clean,
      upstream: this,
    };
  }

  /** The job for the miners that are there when it comes. */
  get fresh(): Sv1Job {
    return this.#original;
  }

  /** The job for a miner that comes later, or that must hear something: the same work, its time moved on. */
  again(id: string, now: number): Sv1Job {
    const elapsedSec = Math.min((now - this.#since) / 1000, LATEST_NTIME - this.job.minNtime);
    return keepAliveJob(this.#original, { id, elapsedSec });
  }

  /** The message that submits a share. The channel must be open. */
  submit(share: FoundShare): SubmitSharesExtended {
    const { nonce, ntime, version } = share;
    const extranonce = upstreamExtranonce(this.layout, this.job.extranoncePrefix.length, share);
    return this.channel.submitExtended({ jobId: this.job.jobId, nonce, ntime, version, extranonce });
  }
}
