import type { MiningServerOptions } from "@adit/channels";
import type { OutputSpace } from "./payout.ts";
import type { UpstreamPlan } from "./upstream-plan.ts";

/** What a `JdClientCore` is made with. */
export interface JdClientOptions {
  /** How miners are served. */
  readonly server: Omit<MiningServerOptions, "extranonce" | "rewardOutputs" | "customJobs">;
  /** How jobs reach the pool (spec 6.3); null in solo mining, whose plan has no upstreams. */
  readonly mode: "FULLTEMPLATE" | "COINBASEONLY" | null;
  readonly plan: UpstreamPlan;
  /** Where blocks pay to while nobody is mined for. */
  readonly soloScript: Uint8Array;
  /** Bytes of extranonce that each extended channel rolls. */
  readonly reservedExtranonceSize: number;
  /** First bytes of the extranonce while nobody is mined for: tells miners apart that share a template provider. */
  readonly soloExtranoncePrefix: Uint8Array;
  /** First index of a channel to try. */
  readonly extranonceStart: number;
  /** What templates leave free for coinbase outputs. */
  readonly outputSpace: OutputSpace;
  /** Longest wait for a token, in milliseconds. */
  readonly tokenTimeoutMs: number;
  /** Longest wait for an upstream's channel, and for its answer about a job, in milliseconds. */
  readonly answerTimeoutMs: number;
  /** How long, in milliseconds, an upstream is waited for at the start. */
  readonly soloAfterMs: number;
  /** Draws from [0, 1). */
  readonly random: () => number;
}
