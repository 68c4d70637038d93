import { difficultyOf, type Target, targetToBytes, type Work, workOf } from "@adit/bitcoin";
import { type U256, u256 } from "@adit/codec";
import { TokenBucket } from "@adit/token-bucket";
import type { Vardiff } from "../vardiff.ts";
import type { ConnectionId, MiningServerOptions } from "./effects.ts";
import type { ExtranonceLease } from "./extranonce-allocator.ts";
import { History } from "./history.ts";
import { type ActivatedJob, type FoundJob, JobStore } from "./job-store.ts";
import { InvalidLadder } from "./ladder.ts";
import { ShareAccounting } from "./share-accounting.ts";

/** A target with everything that is derived from it once instead of for each share. */
export interface ShareTerms {
  /** Greatest hash accepted. */
  readonly target: Target;
  /** The same, little-endian as on the wire. */
  readonly targetBytes: U256;
  /** Credit of a share. */
  readonly work: Work;
  /** The same for people. */
  readonly difficulty: number;
}

/** Derives the terms of a target. */
function termsOf(target: Target): ShareTerms {
  return { target, targetBytes: u256(targetToBytes(target)), work: workOf(target), difficulty: difficultyOf(target) };
}

/** What a channel is opened with. */
export interface ChannelStart {
  /** Connection it belongs to. */
  readonly connection: ConnectionId;
  /** Its id on that connection. */
  readonly channelId: number;
  /** The client's number for the request that opened it. */
  readonly requestId: number;
  /** Group it belongs to, 0 for none. */
  readonly groupChannelId: number;
  /** Header-only or with a rollable extranonce. */
  readonly kind: "standard" | "extended";
  /** Whether it is given the jobs of all; else only those its client declares. */
  readonly takesShared: boolean;
  /** Identity named by the client. */
  readonly userIdentity: string;
  /** Hashrate named by the client, H/s. */
  readonly nominalHashRate: number;
  /** Greatest target the client accepts. */
  readonly maxTarget: Target;
  /** Its place in the search space. */
  readonly lease: ExtranonceLease;
  /** The prefix as told to the client; padded to the full size on a standard channel. */
  readonly extranoncePrefix: Uint8Array;
  /** Bytes the client adds: 0 on a standard channel. */
  readonly extranonceSize: number;
  /** First target. */
  readonly target: Target;
  /** Activation number of the first job the channel is given. */
  readonly fromSerial: number;
  /** Difficulty adjustment, null for none. */
  readonly vardiff: Vardiff | null;
  /** Estimated hashrate, H/s. */
  readonly hashrate: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** A share's job as this channel was given it. */
export interface ChannelJob {
  /** The job, if known. */
  readonly found: FoundJob | undefined;
  /** Target it was sent with; undefined when the channel was not given it. */
  readonly terms: ShareTerms | undefined;
  /** Extranonce prefix it was sent with. */
  readonly extranoncePrefix: Uint8Array | undefined;
}

/** A channel's own jobs are few: they bridge the time until the next job for all. */
const OWN_JOBS = { futureJobs: 0, pastJobs: 8, staleJobs: 8 };
/** What a channel of custom jobs has in place of the jobs of all. */
const NO_JOBS = new JobStore({ futureJobs: 0, pastJobs: 0, staleJobs: 0 });

/** One standard or extended channel as the server sees it. */
export class Channel {
  /** Connection it belongs to. */
  readonly connection: ConnectionId;
  /** Its id on that connection. */
  readonly id: number;
  /** The client's number for the request that opened it. */
  readonly requestId: number;
  /** Group it belongs to, 0 for none. */
  readonly groupChannelId: number;
  /** Header-only or with a rollable extranonce. */
  readonly kind: "standard" | "extended";
  /** Identity named by the client. */
  readonly userIdentity: string;
  /** Bytes the client adds to the prefix: 0 on a standard channel. */
  readonly extranonceSize: number;
  /** Counts and acknowledgements. */
  readonly accounting: ShareAccounting;
  /** Steps taken against invalid shares. */
  readonly ladder: InvalidLadder;
  /** Bound of the share rate. */
  readonly bucket: TokenBucket;
  /** Difficulty adjustment, null for none. */
  readonly vardiff: Vardiff | null;
  /** Its place in the search space. */
  lease: ExtranonceLease;
  /** Hashrate last named by the client, H/s. */
  nominalHashRate: number;
  /** Greatest target the client accepts. */
  maxTarget: Target;
  /** Estimated hashrate, H/s. */
  hashrate: number;
  /** When the client's last update was acted on, Unix milliseconds. */
  lastUpdateAt: number;
  /** The newest update that waits for its turn. */
  pendingUpdate: { readonly nominalHashRate: number; readonly maxTarget: Target } | undefined;
  /** When the newest target was set while it waits for a job, Unix milliseconds. */
  targetPendingSince: number | undefined;
  /** Whether the difficulty adjustment starts anew, forgetting its shares, when the newest target has its job. */
  restartsVardiff = false;
  /** Shares remembered for the tip named by `seenTip`. */
  seenCount = 0;
  /** The tip `seenCount` is about. */
  seenTip: Uint8Array | undefined;
  /** The tip on which the channel was last given a harder target for using up that memory. */
  hardenedTip: Uint8Array | undefined;
  readonly #takesShared: boolean;
  readonly #ownLimits: typeof OWN_JOBS;
  readonly #targets: History<ShareTerms>;
  readonly #prefixes: History<Uint8Array>;
  #ownJobs: JobStore | undefined;

  /** An open channel. */
  constructor(start: ChannelStart, options: MiningServerOptions) {
    const { limits, sharesPerMinute } = options;
    this.connection = start.connection;
    this.id = start.channelId;
    this.requestId = start.requestId;
    this.groupChannelId = start.groupChannelId;
    this.kind = start.kind;
    this.userIdentity = start.userIdentity;
    this.extranonceSize = start.extranonceSize;
    this.accounting = new ShareAccounting(start.channelId, options.shareBatchSize);
    this.ladder = new InvalidLadder(limits, start.now);
    const perSecond = (limits.shareRateFactor * sharesPerMinute) / 60;
    this.bucket = new TokenBucket({ perSecond, burst: limits.shareBurst }, start.now);
    this.vardiff = start.vardiff;
    this.lease = start.lease;
    this.nominalHashRate = start.nominalHashRate;
    this.maxTarget = start.maxTarget;
    this.hashrate = start.hashrate;
    this.lastUpdateAt = Number.NEGATIVE_INFINITY;
    this.#takesShared = start.takesShared;
    this.#ownLimits = start.takesShared ? OWN_JOBS : { ...OWN_JOBS, pastJobs: limits.pastCustomJobs };
    this.#targets = new History(start.fromSerial, termsOf(start.target));
    this.#prefixes = new History(0, start.extranoncePrefix);
  }

  /** The newest target's terms, in force or waiting for a job. */
  get terms(): ShareTerms {
    return this.#targets.latest;
  }

  /** The newest prefix, used by the next job. */
  get extranoncePrefix(): Uint8Array {
    return this.#prefixes.latest;
  }

  /** The newest job this channel was given: one of all or one of its own. */
  newestJob(shared: JobStore): ActivatedJob | undefined {
    const own = this.#ownJobs?.active;
    const { active } = this.#given(shared);
    if (own === undefined || active === undefined) return own ?? active;
    return own.serial > active.serial ? own : active;
  }

  /** Terms of the newest job the channel was given. */
  termsInForce(shared: JobStore): ShareTerms | undefined {
    return this.#targets.at(this.newestJob(shared)?.serial ?? 0);
  }

  /** Looks up a job as this channel was given it: an own one, or one shared with all. */
  findJob(shared: JobStore, jobId: number): ChannelJob {
    const found = this.#given(shared).find(jobId) ?? this.#findOwn(shared, jobId);
    if (found === undefined || found.phase === "future") {
      return { found, terms: undefined, extranoncePrefix: undefined };
    }
    return { found, terms: this.#targets.at(found.job.serial), extranoncePrefix: this.prefixOf(jobId) };
  }

  /** The prefix a job was or will be sent with. */
  prefixOf(jobId: number): Uint8Array | undefined {
    return this.#prefixes.at(jobId);
  }

  /**
   * Sets the target of all jobs that become work from now on: later ones and future ones already sent (spec 5.3.21).
   * Jobs being mined keep theirs.
   */
  setTarget(target: Target, nextSerial: number, shared: JobStore): void {
    const newest = this.newestJob(shared)?.serial ?? 0;
    const unused = this.#targets.latestFrom > newest;
    if (unused) this.#targets.replaceLatest(nextSerial, termsOf(target));
    else this.#targets.set(nextSerial, termsOf(target));
    this.#targets.forgetBefore(Math.min(this.#oldestKept(shared).serial, newest));
  }

  /** Whether the newest target still waits for a job that carries it. */
  isTargetPending(shared: JobStore): boolean {
    return this.#targets.latestFrom > (this.newestJob(shared)?.serial ?? 0);
  }

  /**
   * Sets the prefix of jobs sent from now on (spec 5.3.10). RangeError, and nothing changed, when its length would
   * change the size of the coinbase script that the jobs were checked with.
   */
  setExtranoncePrefix(prefix: Uint8Array, fromJobId: number, shared: JobStore): void {
    if (prefix.length !== this.extranoncePrefix.length) {
      throw new RangeError(`extranonce prefix must stay ${this.extranoncePrefix.length} bytes, got ${prefix.length}`);
    }
    this.#setPrefix(prefix, fromJobId, shared);
  }

  /** Takes its place under another prefix of all, of whatever length: jobs are made anew, and the new ones carry it. */
  moveTo(
    lease: ExtranonceLease,
    prefix: Uint8Array,
    { fromJobId, shared }: { readonly fromJobId: number; readonly shared: JobStore },
  ): void {
    this.lease = lease;
    this.#setPrefix(prefix, fromJobId, shared);
  }

  /** Takes a job that only this channel is given. */
  giveOwnJob(job: ActivatedJob): void {
    this.#ownJobs ??= new JobStore(this.#ownLimits);
    this.#ownJobs.activate(job, job);
  }

  /** Makes the channel's own jobs stale: the tip changed. */
  tipChanged(): void {
    this.#ownJobs?.retireAll();
  }

  #given(shared: JobStore): JobStore {
    return this.#takesShared ? shared : NO_JOBS;
  }

  #oldestKept(shared: JobStore): { readonly id: number; readonly serial: number } {
    return this.#takesShared ? shared.oldestKept : (this.#ownJobs ?? NO_JOBS).oldestKept;
  }

  #setPrefix(prefix: Uint8Array, fromJobId: number, shared: JobStore): void {
    if (this.#prefixes.latestFrom >= fromJobId) this.#prefixes.replaceLatest(fromJobId, prefix);
    else this.#prefixes.set(fromJobId, prefix);
    this.#prefixes.forgetBefore(Math.min(this.#oldestKept(shared).id, fromJobId));
  }

  /** An own job; one older than every shared job that lives no longer protects its prefix, so it counts as stale. */
  #findOwn(shared: JobStore, jobId: number): FoundJob | undefined {
    const found = this.#ownJobs?.find(jobId);
    // A declared job is like no other, so its prefix may be somebody else's by now.
    if (found === undefined || found.phase === "future" || found.phase === "stale" || !this.#takesShared) return found;
    return jobId < (shared.oldestLiveId ?? 0) ? { phase: "stale", job: found.job } : found;
  }
}
