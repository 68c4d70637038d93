import type { ChoicePlan, KnownRoute } from "@adit/network-helpers";
import type { ReconnectTarget } from "@adit/role-network";

/** An upstream, as far as the core has to know it. */
export interface UpstreamRules {
  /** For logs and the status. */
  readonly name: string;
  /** Account that the channel and the tokens are for. */
  readonly userIdentity: string;
  /** The script that the pool's payout output must have; undefined when any will do. */
  readonly expectedScript: Uint8Array | undefined;
}

/** What the two parts of an upstream are reached over. */
export interface UpstreamWay {
  readonly pool: "tcp" | "iroh";
  readonly jds: "tcp" | "iroh";
}

/** One of the two parts of an upstream. */
export type UpstreamPart = keyof UpstreamWay;

/** Where the parts of an upstream have asked to be reached (spec 3.6.5) instead of where the config says, if they have. */
export type Moves = { readonly [part in UpstreamPart]?: ReconnectTarget };

/** A way to an upstream. */
export interface UpstreamRoute extends KnownRoute, UpstreamWay {
  readonly rules: UpstreamRules;
}

/** Which upstreams there are, by the ways to them, and how is chosen among those. */
export interface UpstreamPlan extends ChoicePlan {
  /** In order of preference. */
  readonly routes: readonly UpstreamRoute[];
}
