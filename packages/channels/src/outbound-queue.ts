import type { MiningMessage, NewExtendedMiningJob, NewMiningJob } from "@adit/codec";

/** Bounds of the messages of one connection that may never be dropped. */
export interface OutboundLimits {
  /** Most replies that may wait. Openings of channels are no replies here: a server opens hundreds with its first job. */
  readonly maxMessages: number;
  /** Most bytes that may wait of replies and of messages that open, close or redefine channels. */
  readonly maxBytes: number;
}

/** Limits for one ordinary connection. */
export const defaultOutboundLimits: OutboundLimits = { maxMessages: 256, maxBytes: 1 << 20 };

/** A new channel may be sent the job of the tip and the one for the next tip before the first prevhash. */
const MAX_UNNAMED_FUTURE_JOBS = 2;

/** How many dropped future jobs a channel remembers: more than a client keeps, so no server activates an older one. */
const MAX_DROPPED = 16;

/**
 * What a message means to the queue. `scope` is the channel or group it is addressed to. A `barrier` changes what the
 * jobs, prevhashes and targets of the channel it names mean, so none of those moves across it in either direction.
 */
type Meaning =
  | { readonly kind: "future-job"; readonly scope: number; readonly jobId: number }
  | { readonly kind: "active-job"; readonly scope: number }
  | PrevHashMeaning
  | { readonly kind: "target"; readonly scope: number }
  | { readonly kind: "barrier"; readonly redefines: number | "all" }
  | { readonly kind: "reply" };

interface PrevHashMeaning {
  readonly kind: "prev-hash";
  readonly scope: number;
  readonly jobId: number;
}

type Entry = Meaning & { readonly frame: Uint8Array };
type PrevHash = PrevHashMeaning & { readonly frame: Uint8Array };

/**
 * Encoded frames waiting for one connection, conflated so that a slow reader gets the newest state and holds little memory.
 *
 * Of each channel or group it keeps at most the newest two future jobs, the prevhash with the future job it names, the newest
 * active job, and the targets those jobs are frozen at. A `SetNewPrevHash` goes ahead of everything waiting except what
 * it needs: the future job it names, the target in force, and messages that open or redefine its channels. Replies are
 * never dropped and keep their order. Whatever the reader's pace, it ends with the same active job, prevhash, extranonce
 * prefix and target per channel (spec 5.3.10, 5.3.15 to 5.3.22).
 */
export class OutboundQueue {
  readonly #limits: OutboundLimits;
  #entries: Entry[] = [];
  #bytes = 0;
  #replies = 0;
  #undroppableBytes = 0;
  /** Group of each open channel, learnt from the messages that pass. */
  readonly #groups = new Map<number, number>();
  /** Future jobs conflated away since the last prevhash of their channel or group. */
  readonly #dropped = new Map<number, number[]>();

  constructor(limits: OutboundLimits) {
    this.#limits = limits;
  }

  /** Frames that wait. */
  get size(): number {
    return this.#entries.length;
  }

  /** Bytes of the frames that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds a message with its encoded frame (kept, not copied). "overflow" means that this reader cannot be served any
   * more and its connection must be closed: more waits than the limits allow, or a prevhash names a job that was conflated away.
   */
  push(message: MiningMessage, frame: Uint8Array): "queued" | "overflow" {
    const entry: Entry = { ...meaningOf(message, this.#groups), frame };
    this.#followGroups(message);
    if (!this.#place(entry)) return "overflow";
    const { maxMessages, maxBytes } = this.#limits;
    return this.#replies > maxMessages || this.#undroppableBytes > maxBytes ? "overflow" : "queued";
  }

  /** Takes the next frame, or undefined when none waits. */
  shift(): Uint8Array | undefined {
    const entry = this.#entries.shift();
    if (entry !== undefined) this.#count(entry, -1);
    return entry?.frame;
  }

  /** Takes the next frames up to `maxBytes` in sum, and at least one if any waits. */
  take(maxBytes: number): readonly Uint8Array[] {
    const frames: Uint8Array[] = [];
    let room = maxBytes;
    for (const { frame } of this.#entries) {
      if (frames.length > 0 && frame.length > room) break;
      frames.push(frame);
      room -= frame.length;
    }
    for (const entry of this.#entries.splice(0, frames.length)) this.#count(entry, -1);
    return frames;
  }

  /**
   * Says that the client closed a channel, or all channels of a group: their waiting work is dropped (spec 5.3.9). A
   * CloseChannel that the server sends is seen by {@link push} and need not be said.
   */
  forget(channelId: number): void {
    this.#dropJobs(channelId);
    this.#drop((entry) => entry.kind === "target" && this.#covers(channelId, entry.scope));
    for (const scope of this.#dropped.keys()) if (this.#covers(channelId, scope)) this.#dropped.delete(scope);
    for (const [member, group] of this.#groups) {
      if (member === channelId || group === channelId) this.#groups.delete(member);
    }
  }

  #place(entry: Entry): boolean {
    switch (entry.kind) {
      case "prev-hash":
        return this.#placePrevHash(entry);
      case "future-job":
        this.#add(entry);
        this.#dropFutureJobs(entry.scope);
        return true;
      case "active-job":
        this.#drop((other) => other.kind === "active-job" && this.#covers(entry.scope, other.scope));
        this.#add(entry);
        this.#dropTargets();
        return true;
      case "target":
        this.#add(entry);
        this.#dropTargets();
        return true;
      case "barrier":
      case "reply":
        this.#add(entry);
        return true;
      default:
        return entry satisfies never;
    }
  }

  /**
   * Every older job of these channels dies with the new prevhash (spec 5.3.17), so only the named one is delivered. The
   * prevhash goes in front of everything that it does not need and that does not redefine its channels.
   */
  #placePrevHash(entry: PrevHash): boolean {
    if (this.#wasDropped(entry)) return false;
    for (const scope of this.#dropped.keys()) if (this.#covers(entry.scope, scope)) this.#dropped.delete(scope);
    this.#dropJobs(entry.scope, entry.jobId);
    const from = this.#entries.findLastIndex((other) => this.#blocks(other, entry.scope)) + 1;
    const waiting = this.#entries.splice(from);
    const isNeeded = (other: Entry): boolean => "scope" in other && this.#covers(entry.scope, other.scope);
    this.#entries.push(...waiting.filter(isNeeded), entry, ...waiting.filter((other) => !isNeeded(other)));
    this.#count(entry, 1);
    this.#dropTargets();
    return true;
  }

  #wasDropped({ scope, jobId }: PrevHash): boolean {
    for (const [at, jobIds] of this.#dropped) if (this.#related(scope, at) && jobIds.includes(jobId)) return true;
    return false;
  }

  /**
   * Drops the jobs and prevhashes of a scope, except the future job of `jobId`. What a message for the whole group that
   * also waits may build on stays: the jobs it names, the prevhash it is mined on.
   */
  #dropJobs(scope: number, jobId?: number): void {
    const from = this.#entries.findLastIndex((entry) => "scope" in entry && this.#blocks(entry, scope)) + 1;
    this.#drop((entry) => {
      if (entry.kind === "future-job" && entry.jobId === jobId) return false;
      return "scope" in entry && entry.kind !== "target" && this.#covers(scope, entry.scope);
    }, from);
  }

  /** Of the future jobs of a scope that no waiting prevhash names, only the newest can still be activated. */
  #dropFutureJobs(scope: number): void {
    const named = new Set<number>();
    for (const other of this.#entries) if (other.kind === "prev-hash") named.add(other.jobId);
    const unnamed = this.#entries.filter(
      (other) => other.kind === "future-job" && other.scope === scope && !named.has(other.jobId),
    );
    const superseded = new Set(unnamed.slice(0, Math.max(0, unnamed.length - MAX_UNNAMED_FUTURE_JOBS)));
    this.#drop((other) => {
      if (other.kind !== "future-job" || !superseded.has(other)) return false;
      this.#dropped.set(scope, [...(this.#dropped.get(scope) ?? []), other.jobId].slice(-MAX_DROPPED));
      return true;
    });
  }

  /** A target matters if it is its channel's newest, or if a waiting job freezes it before the next one. */
  #dropTargets(): void {
    let replacing: number[] = [];
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const entry = this.#entries[at];
      if (entry?.kind === "target") {
        if (replacing.some((scope) => this.#covers(scope, entry.scope))) this.#remove(at);
        else replacing.push(entry.scope);
      } else if (entry !== undefined && (entry.kind === "active-job" || entry.kind === "prev-hash")) {
        replacing = replacing.filter((scope) => !this.#related(scope, entry.scope));
      } else if (entry?.kind === "barrier") {
        replacing = replacing.filter((scope) => !this.#blocks(entry, scope));
      }
    }
  }

  /** Drops what waits behind `least` and the newest regrouping: in front of that, the same number names other channels. */
  #drop(isDropped: (entry: Entry) => boolean, least = 0): void {
    const regrouping = this.#entries.findLastIndex((entry) => entry.kind === "barrier" && entry.redefines === "all");
    const from = Math.max(least, regrouping + 1);
    const kept = this.#entries.slice(0, from);
    for (const entry of this.#entries.slice(from)) {
      if (isDropped(entry)) this.#count(entry, -1);
      else kept.push(entry);
    }
    this.#entries = kept;
  }

  #add(entry: Entry): void {
    this.#entries.push(entry);
    this.#count(entry, 1);
  }

  #remove(at: number): void {
    for (const entry of this.#entries.splice(at, 1)) this.#count(entry, -1);
  }

  #count(entry: Entry, sign: 1 | -1): void {
    this.#bytes += sign * entry.frame.length;
    if (entry.kind !== "barrier" && entry.kind !== "reply") return;
    if (entry.kind === "reply") this.#replies += sign;
    this.#undroppableBytes += sign * entry.frame.length;
  }

  /** Whether a message of `scope` may not move across `entry`: a barrier, or one that also reaches other channels. */
  #blocks(entry: Entry, scope: number): boolean {
    if (entry.kind === "reply") return false;
    if (entry.kind === "barrier") {
      return entry.redefines === "all" || this.#related(entry.redefines, scope);
    }
    return this.#related(entry.scope, scope) && !this.#covers(scope, entry.scope);
  }

  #covers(scope: number, inner: number): boolean {
    return scope === inner || this.#groups.get(inner) === scope;
  }

  #related(one: number, other: number): boolean {
    return this.#covers(one, other) || this.#covers(other, one);
  }

  #followGroups(message: MiningMessage): void {
    if (message.name === "OpenStandardMiningChannelSuccess" || message.name === "OpenExtendedMiningChannelSuccess") {
      this.#groups.set(message.channelId, message.groupChannelId);
    } else if (message.name === "SetGroupChannel") {
      for (const channelId of message.channelIds) this.#groups.set(channelId, message.groupChannelId);
    } else if (message.name === "CloseChannel") {
      this.forget(message.channelId);
    }
  }
}

function meaningOf(message: MiningMessage, groups: ReadonlyMap<number, number>): Meaning {
  switch (message.name) {
    case "NewMiningJob":
    case "NewExtendedMiningJob":
      return meaningOfJob(message);
    case "SetNewPrevHash":
      return { kind: "prev-hash", scope: message.channelId, jobId: message.jobId };
    case "SetTarget":
      return { kind: "target", scope: message.channelId };
    case "OpenStandardMiningChannelSuccess":
    case "OpenExtendedMiningChannelSuccess":
    case "SetExtranoncePrefix":
    case "SetCustomMiningJobSuccess":
      return { kind: "barrier", redefines: message.channelId };
    case "CloseChannel":
      // The group means other channels from then on.
      return { kind: "barrier", redefines: groups.get(message.channelId) ?? message.channelId };
    case "SetGroupChannel":
      return { kind: "barrier", redefines: "all" };
    default:
      return { kind: "reply" };
  }
}

function meaningOfJob({ channelId: scope, jobId, minNtime }: NewMiningJob | NewExtendedMiningJob): Meaning {
  return minNtime === null ? { kind: "future-job", scope, jobId } : { kind: "active-job", scope };
}
