import type { ShareHashing, Target } from "@adit/bitcoin";
import type { SubmitSharesExtended, SubmitSharesStandard } from "@adit/codec";
import { MiningClientError } from "./client-error.ts";
import { type ClientJob, type ReceivedJob, type Tip, TrackedJob } from "./client-job.ts";
import type { ClientLimits } from "./client-limits.ts";

/** The header fields of a found share. */
export interface FoundShare {
  /** Job that was mined. */
  readonly jobId: number;
  /** Header nonce. */
  readonly nonce: number;
  /** Header time, in unix seconds. */
  readonly ntime: number;
  /** Full header version. */
  readonly version: number;
}

/** A share of an extended channel. */
export interface FoundExtendedShare extends FoundShare {
  /** The `extranonceSize` bytes behind the job's extranonce prefix. */
  readonly extranonce: Uint8Array;
}

/** A standard or extended channel, seen from its client. */
export interface ClientChannel {
  /** Server's identifier, unique on the connection. */
  readonly channelId: number;
  /** Which open request made it. */
  readonly kind: "standard" | "extended";
  /** Group it belongs to now. */
  readonly groupChannelId: number;
  /** As sent in the open request. */
  readonly userIdentity: string;
  /** Prefix for jobs received from now on; each job knows its own. */
  readonly extranoncePrefix: Uint8Array;
  /** Bytes of extranonce that the client chooses: 0 for standard channels. */
  readonly extranonceSize: number;
  /** Target for jobs that become active from now on; each active job knows its own. */
  readonly target: Target;
  /** The job to mine, if there is one: none before the first, after a prevhash without a job, and when closed. */
  readonly activeJob: ClientJob | undefined;
  /** Whether the channel is open: false after CloseChannel either way. */
  readonly open: boolean;
  /** Submits that were neither accepted nor rejected yet, as far as remembered. */
  readonly pendingSubmits: number;
  /** Finds a job that is future, active, past or stale by one tip; undefined when unknown, forgotten or closed. */
  job(jobId: number): ClientJob | undefined;
  /**
   * Makes the message for a share of a standard channel, with the next sequence number.
   * Throws MiningClientError `channel-closed` or `wrong-channel-kind`.
   */
  submitStandard(share: FoundShare): SubmitSharesStandard;
  /**
   * Makes the message for a share of an extended channel, with the next sequence number.
   * Throws MiningClientError `channel-closed`, `wrong-channel-kind` or `bad-extranonce-size`.
   */
  submitExtended(share: FoundExtendedShare): SubmitSharesExtended;
}

/** What a channel is opened with. */
export interface ChannelOpening {
  readonly channelId: number;
  readonly kind: "standard" | "extended";
  readonly groupChannelId: number;
  readonly userIdentity: string;
  readonly extranoncePrefix: Uint8Array;
  readonly extranonceSize: number;
  readonly target: Target;
}

/** What the channels of a client share. */
export interface ChannelContext {
  readonly limits: ClientLimits;
  readonly hashing: ShareHashing;
}

/** What became of a received job; "no-tip": it is active, but no prevhash was received before it. */
export type JobOutcome = { readonly kind: "future" | "active"; readonly job: ClientJob } | { readonly kind: "no-tip" };

/** A channel with the changes that only its client makes. */
export class TrackedChannel implements ClientChannel {
  readonly channelId: number;
  readonly kind: "standard" | "extended";
  readonly userIdentity: string;
  readonly extranonceSize: number;
  readonly #context: ChannelContext;
  readonly #future = new Map<number, TrackedJob>();
  readonly #past = new Map<number, TrackedJob>();
  #stale = new Map<number, TrackedJob>();
  #active: TrackedJob | undefined;
  #tip: Tip | undefined;
  #open = true;
  #groupChannelId: number;
  #extranoncePrefix: Uint8Array;
  #target: Target;
  #nextSequenceNumber = 0;
  /** Oldest first. */
  readonly #pending = new Set<number>();

  constructor(opening: ChannelOpening, context: ChannelContext) {
    this.channelId = opening.channelId;
    this.kind = opening.kind;
    this.userIdentity = opening.userIdentity;
    this.extranonceSize = opening.extranonceSize;
    this.#groupChannelId = opening.groupChannelId;
    this.#extranoncePrefix = opening.extranoncePrefix;
    this.#target = opening.target;
    this.#context = context;
  }

  get groupChannelId(): number {
    return this.#groupChannelId;
  }

  get extranoncePrefix(): Uint8Array {
    return this.#extranoncePrefix;
  }

  get target(): Target {
    return this.#target;
  }

  get activeJob(): ClientJob | undefined {
    return this.#active;
  }

  get open(): boolean {
    return this.#open;
  }

  get pendingSubmits(): number {
    return this.#pending.size;
  }

  job(jobId: number): ClientJob | undefined {
    if (this.#active?.jobId === jobId) return this.#active;
    return this.#future.get(jobId) ?? this.#past.get(jobId) ?? this.#stale.get(jobId);
  }

  submitStandard({ jobId, nonce, ntime, version }: FoundShare): SubmitSharesStandard {
    const sequenceNumber = this.#submit("standard");
    return { name: "SubmitSharesStandard", channelId: this.channelId, sequenceNumber, jobId, nonce, ntime, version };
  }

  submitExtended({ jobId, nonce, ntime, version, extranonce }: FoundExtendedShare): SubmitSharesExtended {
    if (this.kind === "extended" && extranonce.length !== this.extranonceSize) {
      const detail = `the extranonce must be ${this.extranonceSize} bytes, got ${extranonce.length}`;
      throw new MiningClientError("bad-extranonce-size", "ClientChannel.submitExtended", detail);
    }
    const sequenceNumber = this.#submit("extended");
    const { channelId } = this;
    return { name: "SubmitSharesExtended", channelId, sequenceNumber, jobId, nonce, ntime, version, extranonce };
  }

  /** Takes in a job of this channel or its group; an active one is mined from now on. */
  receive(received: ReceivedJob): JobOutcome {
    const job = new TrackedJob(received, this, this.#context.hashing);
    if (received.minNtime === null) {
      put(this.#future, job, this.#context.limits.maxFutureJobs);
      return { kind: "future", job };
    }
    if (this.#tip === undefined) return { kind: "no-tip" };
    this.#retireActive();
    this.#start(job, this.#tip, received.minNtime);
    return { kind: "active", job };
  }

  /** Moves to a new tip: the named future job is mined, all others are stale. Undefined when that job is unknown. */
  newTip(tip: Tip, jobId: number, minNtime: number): ClientJob | undefined {
    const job = this.#future.get(jobId);
    this.#retireActive();
    this.#active = undefined;
    this.#tip = tip;
    this.#stale = new Map(this.#past);
    for (const past of this.#past.values()) past.retire("stale");
    for (const future of this.#future.values()) if (future !== job) future.retire("stale");
    this.#past.clear();
    this.#future.clear();
    if (job !== undefined) this.#start(job, tip, minNtime);
    return job;
  }

  /** For jobs that become active from now on (spec 5.3.21). */
  setTarget(target: Target): void {
    this.#target = target;
  }

  /** For jobs received from now on (spec 5.3.10). */
  setExtranoncePrefix(extranoncePrefix: Uint8Array): void {
    this.#extranoncePrefix = extranoncePrefix;
  }

  /** Moves the channel to another group (spec 5.3.22). */
  setGroup(groupChannelId: number): void {
    this.#groupChannelId = groupChannelId;
  }

  /** Settles the submits up to the acknowledged one. A number that was not sent settles nothing. */
  acknowledge(lastSequenceNumber: number): void {
    if (!this.#pending.has(lastSequenceNumber)) return;
    for (const sequenceNumber of this.#pending) {
      this.#pending.delete(sequenceNumber);
      if (sequenceNumber === lastSequenceNumber) return;
    }
  }

  /** Settles one rejected submit. */
  reject(sequenceNumber: number): void {
    this.#pending.delete(sequenceNumber);
  }

  /** Ends the channel: nothing can be mined or submitted any more. */
  close(): void {
    this.#open = false;
    for (const job of [...this.#future.values(), ...this.#past.values()]) job.retire("stale");
    this.#active?.retire("stale");
    this.#active = undefined;
    for (const jobs of [this.#future, this.#past, this.#stale]) jobs.clear();
  }

  #start(job: TrackedJob, tip: Tip, minNtime: number): void {
    job.activate(tip, minNtime);
    // A server may use the id of a retired job again (spec 5.3.15), and the newest is meant.
    for (const jobs of [this.#future, this.#past, this.#stale]) jobs.delete(job.jobId);
    this.#active = job;
  }

  #retireActive(): void {
    if (this.#active === undefined) return;
    this.#active.retire("past");
    put(this.#past, this.#active, this.#context.limits.maxPastJobs);
  }

  #submit(kind: "standard" | "extended"): number {
    const at = kind === "standard" ? "ClientChannel.submitStandard" : "ClientChannel.submitExtended";
    if (this.kind !== kind) throw new MiningClientError("wrong-channel-kind", at, `this is an ${this.kind} channel`);
    if (!this.#open) throw new MiningClientError("channel-closed", at, `channel ${this.channelId} is closed`);
    const sequenceNumber = this.#nextSequenceNumber;
    this.#nextSequenceNumber = (sequenceNumber + 1) >>> 0;
    this.#pending.add(sequenceNumber);
    forgetOldest(this.#pending, this.#context.limits.maxPendingSubmits);
    return sequenceNumber;
  }
}

function put(jobs: Map<number, TrackedJob>, job: TrackedJob, limit: number): void {
  jobs.delete(job.jobId);
  jobs.set(job.jobId, job);
  forgetOldest(jobs, limit);
}

function forgetOldest(
  kept: { readonly size: number; keys(): Iterator<number>; delete(key: number): boolean },
  limit: number,
): void {
  if (kept.size <= limit) return;
  const oldest = kept.keys().next();
  if (oldest.done !== true) kept.delete(oldest.value);
}
