import type { UpstreamPolicy } from "@adit/network-helpers";

/** A way to an upstream, for logs and the status. */
export interface UpstreamRoute {
  /** Place of the upstream in the config. */
  readonly upstream: number;
  readonly name: string;
  readonly transport: "tcp" | "iroh";
}

/** Which upstreams there are. */
export interface UpstreamPlan {
  /** The ways to them, in order of preference. */
  readonly routes: readonly UpstreamRoute[];
  readonly policy: UpstreamPolicy;
}

/** Where a translator stands with its upstream. */
export interface UpstreamState {
  /** Being mined at; none, and none needed; none, and one wanted. */
  readonly state: "connected" | "idle" | "waiting";
  /** Why the last one was lost or could not be had; null while there is one. May hold text of the peer. */
  readonly reason: string | null;
}
