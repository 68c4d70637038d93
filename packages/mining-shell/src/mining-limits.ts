import {
  type ChannelLimits,
  defaultChannelLimits,
  defaultOutboundLimits,
  type OutboundLimits,
  shareBurstFor,
} from "@adit/channels";
import { boundedKeys } from "@adit/role-kit";
import { listenLimits } from "@adit/role-network";
import { z } from "zod";

const { count, seconds } = boundedKeys({ count: 1_000_000_000, seconds: 1_000_000 });

const channel = defaultChannelLimits;

const limits = {
  ...listenLimits,
  maxMessageBytes: z
    .int()
    .min(300)
    .max(65_536)
    .default(512)
    .describe("largest payload of a miner's message after set-up, in bytes; larger frames close the connection"),
  maxChannelsPerConnection: count(channel.channelsPerConnection, "channels open at once on one connection"),
  channelOpensPerSecond: count(channel.opensPerSecond, "channels a connection may open each second, after its first"),
  firstChannelSecs: seconds(channel.firstChannelMs, "longest wait for a connection's first channel"),
  noShareSecs: seconds(channel.noShareMs, "longest life of a connection without an accepted share"),
  maxFutureJobs: count(channel.futureJobs, "future jobs kept"),
  maxStaleJobs: count(channel.staleJobs, "jobs of earlier tips kept"),
  jobsPerSecond: count(
    channel.jobsPerSecond,
    "jobs, and apart from them prevhashes, that miners are told of a second; of more they are told the newest",
  ),
  jobBurst: count(channel.jobBurst, "jobs, and prevhashes, that may come at once above that rate"),
  ntimeWindowSecs: count(channel.ntimeWindowSec, "how far a share's ntime may be ahead, in seconds"),
  shareRateFactor: count(channel.shareRateFactor, "a channel's lasting share rate may be this many times its target"),
  shareBurst: z
    .exactOptional(z.int().min(1).max(1_000_000_000))
    .describe(
      "shares a channel may send at once above that rate, at least shares_per_minute; absent: a minute's at that rate, at least 60",
    ),
  maxSeenSharesPerChannel: count(channel.seenSharesPerChannel, "shares of one channel remembered for one tip"),
  maxSeenShares: count(channel.seenShares, "shares remembered over all channels"),
  seenTipSecs: seconds(channel.seenTipMs, "how long a replaced tip's shares stay remembered"),
  ladderWindowSecs: seconds(channel.ladderWindowMs, "one step of the ladder against invalid shares"),
  ladderMinShares: count(channel.ladderMinShares, "fewer shares than this in a step are never held against a miner"),
  maxRefusedShares: count(
    channel.floodRejects,
    "refused shares and requests in one step at which a connection is closed",
  ),
  updateIntervalSecs: seconds(channel.updateIntervalMs, "UpdateChannel is acted on at most this often a channel"),
  rememberHashrateSecs: seconds(channel.rememberHashrateMs, "how long a closed channel's hashrate is remembered"),
  maxRememberedIdentities: count(channel.rememberedIdentities, "user identities remembered for it"),
  jobRefreshSecs: seconds(channel.jobRefreshMs, "longest wait of a changed target for the next job"),
  urgentJobRefreshSecs: seconds(channel.urgentJobRefreshMs, "the same when it changed fourfold or more"),
  maxOutboundMessages: z
    .exactOptional(z.int().min(1).max(1_000_000_000))
    .describe("replies that may wait for one slow miner; absent: 256 more than share_burst, each of which has one"),
  maxOutboundBytes: z
    .exactOptional(z.int().min(1).max(1_000_000_000))
    .describe("bytes of them; absent: 1048576, or 64 for each of max_outbound_messages where that is more"),
  stalledWriteSecs: seconds(60_000, "a miner that takes nothing from its socket for this long is closed"),
  maxWaitingChannels: count(channel.pendingOpens, "channels that may wait, over all connections, for the first job"),
} as const;

/** Keys of the `[limits]` of a role that serves miners: whatever they can make grow has a bound here. */
export const miningLimits: typeof limits = limits;

/** What {@link miningLimits} parses to. */
export type MiningLimitSettings = z.output<z.ZodObject<typeof limits>>;

/** Keys outside the table that a limit depends on. */
export interface ChannelRun {
  readonly sharesPerMinute: number;
  /** 0 or absent for the default. */
  readonly maxPastJobs?: number;
}

/**
 * Adds a problem for a `share_burst` that would refuse work of honest miners: after a minute without its path, a
 * channel that is held at `shares_per_minute` has as many shares to send at once.
 */
export function checkMiningLimits(
  { sharesPerMinute, limits: { shareBurst } }: ChannelRun & { readonly limits: MiningLimitSettings },
  context: z.core.$RefinementCtx,
): void {
  if (shareBurst === undefined || shareBurst >= sharesPerMinute) return;
  const message = `expected at least shares_per_minute (${sharesPerMinute}), what a miner sends after a minute's outage; best left out`;
  context.addIssue({ code: "custom", path: ["limits", "shareBurst"], message, input: shareBurst });
}

/** The limits as the mining core takes them; what has no key keeps its default. */
export function toChannelLimits(settings: MiningLimitSettings, run: ChannelRun): ChannelLimits {
  const { shareRateFactor } = settings;
  const { maxPastJobs = 0 } = run;
  return {
    ...channel,
    channelsPerConnection: settings.maxChannelsPerConnection,
    opensPerSecond: settings.channelOpensPerSecond,
    pendingOpens: settings.maxWaitingChannels,
    firstChannelMs: settings.firstChannelSecs * 1000,
    noShareMs: settings.noShareSecs * 1000,
    futureJobs: settings.maxFutureJobs,
    pastJobs: maxPastJobs === 0 ? channel.pastJobs : maxPastJobs,
    staleJobs: settings.maxStaleJobs,
    jobsPerSecond: settings.jobsPerSecond,
    jobBurst: settings.jobBurst,
    ntimeWindowSec: settings.ntimeWindowSecs,
    shareRateFactor,
    shareBurst: burstOf(settings, run),
    seenSharesPerChannel: settings.maxSeenSharesPerChannel,
    seenShares: settings.maxSeenShares,
    seenTipMs: settings.seenTipSecs * 1000,
    ladderWindowMs: settings.ladderWindowSecs * 1000,
    ladderMinShares: settings.ladderMinShares,
    floodRejects: settings.maxRefusedShares,
    updateIntervalMs: settings.updateIntervalSecs * 1000,
    rememberHashrateMs: settings.rememberHashrateSecs * 1000,
    rememberedIdentities: settings.maxRememberedIdentities,
    jobRefreshMs: settings.jobRefreshSecs * 1000,
    urgentJobRefreshMs: settings.urgentJobRefreshSecs * 1000,
  };
}

/** What may wait for one miner. The replies to a burst come at once: they are not what a miner is closed for. */
export function toOutboundLimits(settings: MiningLimitSettings, run: ChannelRun): OutboundLimits {
  const maxMessages = settings.maxOutboundMessages ?? defaultOutboundLimits.maxMessages + burstOf(settings, run);
  return {
    maxMessages,
    maxBytes: settings.maxOutboundBytes ?? Math.max(defaultOutboundLimits.maxBytes, 64 * maxMessages),
  };
}

function burstOf({ shareBurst, shareRateFactor }: MiningLimitSettings, { sharesPerMinute }: ChannelRun): number {
  return shareBurst ?? shareBurstFor({ shareRateFactor, sharesPerMinute });
}
