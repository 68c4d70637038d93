import type { CountEffect, ServerEffect } from "@adit/channels";
import type { CommonMessage, JobDeclarationMessage, MiningMessage, SubmitSolution } from "@adit/codec";
import type { MinerEffect, MinerInput, TemplateEvent } from "@adit/mining-shell";
import type { Moves, UpstreamPlan, UpstreamRoute } from "./upstream-plan.ts";

/** Names one session with an upstream, its two connections together; no number is given twice. */
export type SessionId = number;

/** What the set-up of a session's connections agreed on. */
export interface SessionSetup {
  /** The pool forbids version rolling altogether (REQUIRES_FIXED_VERSION). */
  readonly fixedVersion: boolean;
  /** Worker names may travel with shares to the pool (extension 0x0002). */
  readonly namesWorkers: boolean;
}

/** What happens to a session. Byte fields of messages are views: what is kept is copied. */
export type SessionInput =
  /** Both its connections are set up. */
  | { readonly type: "session-up"; readonly session: SessionId; readonly setup: SessionSetup }
  /** Its pool sent a message. */
  | {
      readonly type: "pool-message";
      readonly session: SessionId;
      readonly message: MiningMessage | CommonMessage;
    }
  /** Its job declarator sent a message. */
  | {
      readonly type: "jds-message";
      readonly session: SessionId;
      readonly message: JobDeclarationMessage | CommonMessage;
    }
  /** One of its connections could not be made, or has ended. The other is of no use either. */
  | { readonly type: "session-down"; readonly session: SessionId; readonly reason: string };

/** Everything that can happen to a jd-client. */
export type JdClientInput =
  | MinerInput
  | TemplateEvent
  | SessionInput
  /** Other upstreams, or another order or policy, are in force. */
  | { readonly type: "upstream-list-changed"; readonly plan: UpstreamPlan }
  /** The jd-client stops, and its miners have gone: upstreams are told goodbye, and nothing is dialled any more. */
  | { readonly type: "stop" };

/** What a jd-client asks of its shell besides serving its miners, in order with that. */
export type UpstreamEffect =
  | Extract<ServerEffect, { readonly type: "reject-share" }>
  /** Connect over a route, to the pool and to the job declarator: where they have asked to be reached, if they have. */
  | {
      readonly type: "begin-session";
      readonly session: SessionId;
      readonly route: UpstreamRoute;
      readonly moves: Moves;
    }
  /** Send what was sent before, then end both connections. The core has forgotten the session. */
  | { readonly type: "end-session"; readonly session: SessionId; readonly reason: string }
  /** Send a message to the session's pool; `worker` goes along as the TLV of extension 0x0002. */
  | {
      readonly type: "send-pool";
      readonly session: SessionId;
      readonly message: MiningMessage;
      readonly worker: string | undefined;
    }
  /** Send a message to the session's job declarator. */
  | { readonly type: "send-jds"; readonly session: SessionId; readonly message: JobDeclarationMessage }
  /** Give a block to the template provider, now. */
  | { readonly type: "submit-solution"; readonly solution: SubmitSolution }
  /** Ask the template provider for a template's transactions. */
  | { readonly type: "request-transaction-data"; readonly templateId: bigint }
  | CountEffect<CounterName>;

/** Everything a jd-client asks of its shell, in order. */
export type JdClientEffect = MinerEffect | UpstreamEffect;

/** What is counted. */
export type CounterName =
  /** Shares of miners that were accepted. */
  | "sharesAccepted"
  /** Of them, those of work that pays to the miner alone. */
  | "sharesSolo"
  /** Shares sent to the pool. */
  | "sharesSubmitted"
  /** Shares the pool acknowledged. */
  | "sharesAcknowledged"
  /** Shares the pool rejected, by error code. */
  | "sharesRejectedUpstream"
  /** Shares that were good for the miner's target but not for the pool's. */
  | "sharesBelowUpstreamTarget"
  /** Shares that were kept for a job the pool never took, by what became of it. */
  | "sharesDiscarded"
  /** Shares that were sent to the pool and not answered before its session ended. */
  | "sharesUnanswered"
  /** What became of jobs on their way to the pool. */
  | "jobs"
  /** Tokens allocated, used and thrown away. */
  | "tokens"
  /** Ways to upstreams that other lists of them added and removed. */
  | "routeChanges"
  /** Changes of what is mined for, by reason. */
  | "switches"
  /** Sessions with upstreams that ended, by reason. */
  | "sessionFailures"
  /** Reconnect messages of pools and job declarators, by what became of them. */
  | "reconnects"
  /** Messages of upstreams that break the protocol, by fault. */
  | "upstreamFaults"
  /** Blocks found. */
  | "blocksFound"
  /** Blocks told to a job declarator. */
  | "solutionsPushed"
  /** What became of blocks. */
  | "blocksSettled";
