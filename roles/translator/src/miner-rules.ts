import type { ShareHashing } from "@adit/bitcoin";
import type { Sv1Limits } from "@adit/sv1";

/** What every miner is treated by. */
export interface MinerRules {
  readonly sharesPerMinute: number;
  /** Hashrate a miner is taken to have until its shares tell, in H/s. */
  readonly startHashrate: number;
  readonly enableVardiff: boolean;
  /** Longest time without a line to a miner, in milliseconds; 0: for ever. */
  readonly keepaliveMs: number;
  readonly extranonce2Size: number;
  readonly limits: Sv1Limits;
  readonly hashing: ShareHashing;
}
