import { type ChannelLimits, defaultChannelLimits } from "@adit/channels";
import { type ChannelRun, miningLimits, toChannelLimits } from "@adit/mining-shell";
import { boundedKeys } from "@adit/role-kit";
import { z } from "zod";

const { count } = boundedKeys({ count: 1_000_000, seconds: 600 });

const { maxWaitingChannels, ...others } = miningLimits;
const defaults = defaultChannelLimits;

/** Keys of the pool's `[limits]`: whatever a peer can make grow has a bound here. */
export const poolLimits = z
  .strictObject({
    ...others,
    maxQueuedShares: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .default(10_000)
      .describe("shares that may wait for their commit before no miner is read any more"),
    maxWaitingChannels,
    maxWorkSelectionChannels: count(defaults.workSelectionChannels, "channels of a connection that sets custom jobs"),
    customJobsPerSecond: count(defaults.customJobsPerSecond, "custom jobs a connection may set a second"),
    customJobBurst: count(defaults.customJobBurst, "custom jobs it may set at once above that rate"),
    maxPastCustomJobs: count(defaults.pastCustomJobs, "older custom jobs of the same tip kept for a channel"),
    maxCustomJobOutputBytes: count(
      defaults.customJobOutputBytes,
      "bytes of outputs that a custom job may have",
      65_535,
    ),
    customTipWaitSecs: z
      .number()
      .min(0)
      .max(60)
      .default(defaults.customTipWaitMs / 1000)
      .describe("how long a custom job on an unknown block waits for it to become the tip, in seconds"),
  })
  .describe("bounds of everything a peer can make grow");

/** What {@link poolLimits} parses to. */
export type PoolLimits = z.output<typeof poolLimits>;

/** The limits as the mining core takes them. */
export function toPoolLimits(limits: PoolLimits, run: ChannelRun): ChannelLimits {
  return {
    ...toChannelLimits(limits, run),
    workSelectionChannels: limits.maxWorkSelectionChannels,
    customJobsPerSecond: limits.customJobsPerSecond,
    customJobBurst: limits.customJobBurst,
    pastCustomJobs: limits.maxPastCustomJobs,
    customJobOutputBytes: limits.maxCustomJobOutputBytes,
    customTipWaitMs: limits.customTipWaitSecs * 1000,
  };
}
