import type { MiningServerOptions } from "@adit/channels";
import type { UpstreamPolicy } from "@adit/network-helpers";
import type { OutputSpace } from "./payout.ts";

/** An upstream, as far as the core has to know it. */
export interface UpstreamRules {
  /** For logs and the status. */
  readonly name: string;
  /** Account that the channel and the tokens are for. */
  readonly userIdentity: string;
  /** The script that the pool's payout output must have; undefined when any will do. */
  readonly expectedScript: Uint8Array | undefined;
}

/** A way to an upstream: over which transports its pool and its job declarator are reached. */
export interface UpstreamRoute {
  /** Place of the upstream in the config. */
  readonly upstream: number;
  readonly pool: "tcp" | "iroh";
  readonly jds: "tcp" | "iroh";
}

/** What a `JdClientCore` is made with. */
export interface JdClientOptions {
  /** How miners are served. */
  readonly server: Omit<MiningServerOptions, "extranonce" | "rewardOutputs" | "customJobs">;
  /** How jobs reach the pool (spec 6.3); null in solo mining, which has no upstreams. */
  readonly mode: "FULLTEMPLATE" | "COINBASEONLY" | null;
  /** In order of preference. */
  readonly upstreams: readonly UpstreamRules[];
  /** The ways to them, in order of preference. */
  readonly routes: readonly UpstreamRoute[];
  readonly policy: UpstreamPolicy;
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
