import type { RouteFailure } from "@adit/network-helpers";

/** Why a session with an upstream ended. Stable: in logs, and the `reason` of the metrics. */
export type FailureCode =
  /** The upstream cannot be reached, or the connection ended. */
  | "connection-lost"
  /** The host that the upstream named in a Reconnect cannot be reached, or gives no work. */
  | "reconnect-failed"
  /** Miners want work, and none came for half a minute. */
  | "no-work"
  /** Shares go up, and none is answered. */
  | "shares-unanswered"
  /** Every share is refused. */
  | "shares-refused"
  /** A job that no miner can use, or should. */
  | "bad-job"
  /** Rule after rule of the protocol is broken. */
  | "protocol-fault";

/** The end of a session: the code, and what exactly, for people. The detail may be text of the peer. */
export interface Failure {
  readonly code: FailureCode;
  readonly detail: string;
}

/** Codes that say something about the way to the upstream and not about the upstream. */
const ROUTE_CODES: ReadonlySet<FailureCode> = new Set(["connection-lost", "reconnect-failed"]);

/** What a failure means for the choice of the next upstream. `delivered`: it credited work, or was sent none. */
export function routeFailure(code: FailureCode, delivered: boolean): RouteFailure<FailureCode> {
  const isRoute = ROUTE_CODES.has(code);
  return { code, blames: isRoute && delivered ? "route" : "upstream", unworthy: !isRoute || !delivered };
}
