/** Bounds of the server core. Every map, queue and rate in it is governed by one of these. */
export interface ChannelLimits {
  /** Most channels open at once on one connection; more are refused with `channel-capacity-exhausted`. */
  readonly channelsPerConnection: number;
  /** Opens a connection may ask for each second, after a first burst of `channelsPerConnection`. */
  readonly opensPerSecond: number;
  /** Open requests that may wait, over all connections, for the first template. */
  readonly pendingOpens: number;
  /** A connection that has not asked for a channel after this many milliseconds is closed (spec 5.3.2). */
  readonly firstChannelMs: number;
  /** A connection without an accepted share for this many milliseconds is closed. */
  readonly noShareMs: number;
  /** Future jobs kept; the oldest goes first. */
  readonly futureJobs: number;
  /** Past jobs of the current tip kept; shares for older ones are `invalid-job-id`. */
  readonly pastJobs: number;
  /** Jobs of earlier tips kept, so that their shares are `stale-share` and a late block is still submitted. */
  readonly staleJobs: number;
  /** Jobs, and apart from them tips, that channels are told of each second; of more they are told the newest. */
  readonly jobsPerSecond: number;
  /** Jobs, and tips, that may come at once above that rate. */
  readonly jobBurst: number;
  /** Channels that a connection for custom jobs may have at once. */
  readonly workSelectionChannels: number;
  /** Custom jobs a connection may set each second. */
  readonly customJobsPerSecond: number;
  /** Custom jobs it may set at once above that rate. */
  readonly customJobBurst: number;
  /** Past custom jobs of the current tip kept for a channel; shares for older ones are `invalid-job-id`. */
  readonly pastCustomJobs: number;
  /** Bytes of outputs a custom job may have. */
  readonly customJobOutputBytes: number;
  /** A custom job on an unknown block waits this many milliseconds for it to become the tip. */
  readonly customTipWaitMs: number;
  /** How far, in seconds, a share's ntime may be ahead of the tip's or job's time. */
  readonly ntimeWindowSec: number;
  /** A channel's sustained share rate may be this many times `sharesPerMinute`. */
  readonly shareRateFactor: number;
  /** Shares a channel may send at once above that rate. */
  readonly shareBurst: number;
  /** Shares of one channel remembered for one tip; further ones are `too-many-shares`. */
  readonly seenSharesPerChannel: number;
  /** Shares remembered over all channels and tips. */
  readonly seenShares: number;
  /** How long, in milliseconds, the shares of a tip stay remembered after another tip replaced it. */
  readonly seenTipMs: number;
  /** Length in milliseconds of one step of the ladder for invalid shares. */
  readonly ladderWindowMs: number;
  /** Fewer shares than this in a step are never held against a peer. */
  readonly ladderMinShares: number;
  /** Refused shares and requests in one step at which a connection is closed at once, besides `ladderMinShares` a channel. */
  readonly floodRejects: number;
  /** `UpdateChannel` is acted on at most once in this many milliseconds for each channel (spec 5.3.7). */
  readonly updateIntervalMs: number;
  /** How long, in milliseconds, the hashrate of a closed channel is remembered for its user identity. */
  readonly rememberHashrateMs: number;
  /** User identities remembered at most. */
  readonly rememberedIdentities: number;
  /** A changed target waits this many milliseconds for the next job; then the channel is given one of its own. */
  readonly jobRefreshMs: number;
  /** The same when the target changed by a factor of four or more. */
  readonly urgentJobRefreshMs: number;
}

/** The limits an operator gets without asking. */
export const defaultChannelLimits: ChannelLimits = {
  channelsPerConnection: 1024,
  opensPerSecond: 20,
  pendingOpens: 4096,
  firstChannelMs: 30_000,
  noShareMs: 7_200_000,
  futureJobs: 16,
  pastJobs: 32,
  staleJobs: 64,
  jobsPerSecond: 5,
  jobBurst: 20,
  workSelectionChannels: 16,
  customJobsPerSecond: 2,
  customJobBurst: 20,
  pastCustomJobs: 16,
  customJobOutputBytes: 8192,
  customTipWaitMs: 5000,
  ntimeWindowSec: 7200,
  shareRateFactor: 10,
  shareBurst: 60,
  seenSharesPerChannel: 2 ** 16,
  seenShares: 2 ** 24,
  seenTipMs: 7_200_000,
  ladderWindowMs: 60_000,
  ladderMinShares: 30,
  floodRejects: 3000,
  updateIntervalMs: 1000,
  rememberHashrateMs: 600_000,
  rememberedIdentities: 10_000,
  jobRefreshMs: 30_000,
  urgentJobRefreshMs: 5000,
};

/**
 * The {@link ChannelLimits.shareBurst} that suits a share rate: what a channel's lasting rate lets through in a minute,
 * at least 60. So a channel that keeps to that rate and was cut off for a minute may send all it held back at once.
 */
export function shareBurstFor(rate: { readonly shareRateFactor: number; readonly sharesPerMinute: number }): number {
  return Math.max(defaultChannelLimits.shareBurst, Math.ceil(rate.shareRateFactor * rate.sharesPerMinute));
}
