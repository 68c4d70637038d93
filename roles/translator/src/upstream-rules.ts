import type { ShareHashing } from "@adit/bitcoin";

/** How the upstream is used. */
export interface UpstreamRules {
  /** All miners on one channel, or each on its own. */
  readonly aggregateChannels: boolean;
  readonly extranonce2Size: number;
  /** Past jobs of a channel to remember; undefined for the default. */
  readonly maxPastJobs: number | undefined;
  readonly hashing: ShareHashing;
  /** Draws from [0, 1). */
  readonly random: () => number;
}
