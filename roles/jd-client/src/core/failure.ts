import type { RouteFailure } from "@adit/network-helpers";

/** Why a session with an upstream ended. Stable: in logs, and the `reason` of the metrics. */
export type FailureCode =
  /** Pool or job declarator cannot be reached, or a connection ended. */
  | "connection-lost"
  /** The two connections were not both up in time. */
  | "connection-timeout"
  /** No work came in time from where the pool or job declarator asked to be reached (spec 3.6.5). */
  | "reconnect-failed"
  /** The pool forbids version rolling, which this jd-client allows its miners: set `version_rolling_allowed = false`. */
  | "version-rolling-forbidden"
  /** The pool refused the channel, or opened one that cannot be used. */
  | "channel-refused"
  /** The pool did not answer the request for a channel in time. */
  | "channel-timeout"
  /** The pool closed the channel. */
  | "channel-closed"
  /** The pool's extranonce leaves no room for miners, or the coinbase none for it. */
  | "extranonce-unusable"
  /** The job declarator did not allocate a token in time (spec 6.2). */
  | "token-timeout"
  /** A token's outputs cannot be read, or pay something already (spec 6.4.3). */
  | "bad-coinbase-outputs"
  /** A token's outputs need more than templates leave free: raise `coinbase_output_max_additional_size` or `_sigops`. */
  | "coinbase-outputs-too-large"
  /** The first output is not the upstream's `expected_reward_script`. */
  | "unexpected-payout"
  /** A later token has other outputs than the first. */
  | "payout-changed"
  /** `DeclareMiningJob.Error`. */
  | "declaration-refused"
  /** No answer to `DeclareMiningJob` in time. */
  | "declaration-timeout"
  /** `SetCustomMiningJob.Error`. */
  | "custom-job-refused"
  /** No answer to `SetCustomMiningJob` in time. */
  | "custom-job-timeout"
  /** The pool rejected a share of a job that it had taken. */
  | "share-rejected"
  /** The pool sent jobs of its own on a connection for declared ones. */
  | "unexpected-job"
  /** `ProvideMissingTransactions` asked for what was not declared, or twice. */
  | "bad-transaction-request"
  /** The pool or job declarator broke the protocol otherwise. */
  | "protocol-fault";

/** Codes that say something about the way to the upstream and not about the upstream. */
const ROUTE_CODES: ReadonlySet<FailureCode> = new Set(["connection-lost", "connection-timeout", "reconnect-failed"]);

/** What a failure means for the choice of the next upstream. */
export function routeFailure(code: FailureCode): RouteFailure<FailureCode> {
  return { code, blames: ROUTE_CODES.has(code) ? "route" : "upstream" };
}

/** The end of a session: the code, and what exactly, for people. The detail may be text of the peer. */
export interface Failure {
  readonly code: FailureCode;
  readonly detail: string;
}
