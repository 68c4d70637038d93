import { REQUIRES_STANDARD_JOBS, REQUIRES_WORK_SELECTION, WORKER_HASHRATE_TRACKING } from "@adit/codec";
import { TokenBucket } from "@adit/token-bucket";
import type { Channel } from "./channel.ts";
import type { ConnectionId } from "./effects.ts";
import { InvalidLadder } from "./ladder.ts";
import type { ChannelLimits } from "./limits.ts";

/** The group of every connection's channels: the same everywhere, so that one job is the same bytes for all. */
export const GROUP_CHANNEL_ID = 1;

/** What the client asked for at SetupConnection decides how it is served. */
export type ServiceMode =
  /** Channels share a group that is sent extended jobs. */
  | "grouped"
  /** Standard channels only, each sent its own standard jobs. */
  | "standard-jobs"
  /** Extended channels only, for jobs the client declares; no jobs of the server are sent. */
  | "work-selection";

/** One downstream connection with its channels. */
export class Connection {
  /** The shell's number for it. */
  readonly id: ConnectionId;
  /** How it is served. */
  readonly mode: ServiceMode;
  /** Whether worker names of extension 0x0002 are to be believed. */
  readonly namesWorkers: boolean;
  /** When it was set up, Unix milliseconds. */
  readonly since: number;
  /** Open channels by id. */
  readonly channels: Map<number, Channel> = new Map();
  /** Request ids of open channels and of requests that wait. */
  readonly requestIds: Set<number> = new Set();
  /** Steps taken against invalid shares over all its channels. */
  readonly ladder: InvalidLadder;
  /** Bound of the rate of opens. */
  readonly opens: TokenBucket;
  /** Bound of the rate of custom jobs. */
  readonly customJobs: TokenBucket;
  /** Most channels open at once. */
  readonly maxChannels: number;
  /** Whether it ever asked for a channel in good form. */
  hasAsked = false;
  /** When the last share was recorded, or set-up time, Unix milliseconds. */
  lastShareAt: number;
  #nextChannelId = GROUP_CHANNEL_ID + 1;

  /** A connection that finished set-up with these flags. */
  constructor(
    setup: { readonly id: ConnectionId; readonly flags: number; readonly extensions: ReadonlySet<number> },
    limits: ChannelLimits,
    now: number,
  ) {
    this.id = setup.id;
    this.mode = modeOf(setup.flags);
    this.namesWorkers = setup.extensions.has(WORKER_HASHRATE_TRACKING);
    this.since = now;
    this.lastShareAt = now;
    this.ladder = new InvalidLadder(limits, now);
    const { channelsPerConnection, workSelectionChannels } = limits;
    this.opens = new TokenBucket({ perSecond: limits.opensPerSecond, burst: channelsPerConnection }, now);
    const customRate = { perSecond: limits.customJobsPerSecond, burst: limits.customJobBurst };
    this.customJobs = new TokenBucket(customRate, now);
    this.maxChannels = this.mode === "work-selection" ? workSelectionChannels : channelsPerConnection;
  }

  /** An id no channel of this connection had before. */
  newChannelId(): number {
    const id = this.#nextChannelId;
    this.#nextChannelId += 1;
    return id;
  }
}

function modeOf(flags: number): ServiceMode {
  if ((flags & REQUIRES_WORK_SELECTION) !== 0) return "work-selection";
  return (flags & REQUIRES_STANDARD_JOBS) !== 0 ? "standard-jobs" : "grouped";
}
