import type { ClientChannel } from "@adit/channels";
import type { ReconnectTarget } from "@adit/role-network";
import type { SessionId } from "./effects.ts";
import type { Failure } from "./failure.ts";
import type { Outbox } from "./outbox.ts";
import type { Payout, PayoutRules } from "./payout.ts";
import type { ShareCache } from "./share-cache.ts";
import type { TemplateTransactions } from "./template-transactions.ts";
import type { Moves, UpstreamPart, UpstreamRoute } from "./upstream-plan.ts";

/** What a session is made with. */
export interface SessionOptions {
  readonly id: SessionId;
  readonly route: UpstreamRoute;
  /** Where its parts have asked to be reached. */
  readonly moves: Moves;
  readonly payout: PayoutRules;
  readonly mode: "FULLTEMPLATE" | "COINBASEONLY";
  /** Rollable bytes of extranonce that miners and their channels' indexes need. */
  readonly minExtranonceSize: number;
  readonly versionRollingAllowed: boolean;
  /** Longest wait for a token, in milliseconds. */
  readonly tokenTimeoutMs: number;
  /** Longest wait for the channel, and for an answer about a job, in milliseconds. */
  readonly answerTimeoutMs: number;
  /** The miners' summed hashrate, in H/s; that of the weakest there may be, while there is none. */
  readonly hashrate: () => number;
  readonly outbox: Outbox;
  readonly cache: ShareCache;
  readonly transactions: TemplateTransactions;
}

/** What miners' work must be for a session that is ready: on which channel of the pool, and who is paid. */
export interface SessionTerms {
  readonly channel: ClientChannel;
  readonly payout: Payout;
}

/** What came of a message or of time, for whoever decides what is mined for. */
export type SessionNews =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly failure: Failure }
  /** A part of the upstream asks to be reached elsewhere. */
  | { readonly type: "asked"; readonly part: UpstreamPart; readonly to: ReconnectTarget }
  /** Miners' targets must follow the pool's. */
  | { readonly type: "target" }
  /** Miners' extranonces must start with another prefix. */
  | { readonly type: "prefix" };

/** The news that a session is of no use any more. */
export function failed(code: Failure["code"], detail: string): Extract<SessionNews, { readonly type: "failed" }> {
  return { type: "failed", failure: { code, detail } };
}
