import type { CountEffect, LogEffect } from "@adit/channels";
import type { CommonMessage, MiningMessage } from "@adit/codec";
import type { ReconnectTarget } from "@adit/role-network";
import type { UpstreamPlan, UpstreamRoute } from "./upstream-plan.ts";

/** Names one miner's connection; the shell never gives the same number twice. */
export type MinerId = number;

/** Everything that can happen to the translator. */
export type TranslatorInput =
  | MinerInput
  | SessionInput
  /** Other upstreams, or another order or policy, are in force. */
  | { readonly type: "upstream-list-changed"; readonly plan: UpstreamPlan }
  /** Once a second, and once at the start. */
  | { readonly type: "tick" }
  /** The translator stops: upstreams are told goodbye, and nothing is dialled any more. */
  | { readonly type: "stop" };

/** What happens to a miner's connection. */
export type MinerInput =
  /** A miner connected. `peer`: its address, for the status and the log. */
  | { readonly type: "miner-connected"; readonly miner: MinerId; readonly peer: string }
  /** A miner sent a line, without its newline. */
  | { readonly type: "line"; readonly miner: MinerId; readonly line: string }
  /** A miner's connection ended. */
  | { readonly type: "miner-gone"; readonly miner: MinerId };

/** Names one connection to an upstream; no number is given twice. */
export type SessionId = number;

/** What happens to a session. Byte fields of messages are views: what is kept is copied. */
export type SessionInput =
  /** Its connection is set up. */
  | { readonly type: "session-up"; readonly session: SessionId; readonly setup: UpstreamSetup }
  /** The upstream sent a message. */
  | {
      readonly type: "upstream-message";
      readonly session: SessionId;
      readonly message: MiningMessage | CommonMessage;
    }
  /** The connection could not be made, or has ended. */
  | { readonly type: "session-down"; readonly session: SessionId; readonly reason: string };

/** What the set-up of an upstream connection agreed on. */
export interface UpstreamSetup {
  /** Account that channels are opened for. */
  readonly userIdentity: string;
  /** The upstream forbids version rolling altogether (REQUIRES_FIXED_VERSION). */
  readonly fixedVersion: boolean;
  /** Worker names may travel with shares (extension 0x0002). */
  readonly namesWorkers: boolean;
}

/** Everything the translator asks its shell to do, in order. */
export type TranslatorEffect =
  /** Write a line, and a newline, to a miner. */
  | { readonly type: "send-line"; readonly to: MinerId; readonly line: string }
  /** Flush what was sent to a miner, then close it. The core has forgotten it. */
  | { readonly type: "close-miner"; readonly miner: MinerId; readonly reason: string }
  /** Connect over a route; to where the upstream asked to be reached, if it did. */
  | {
      readonly type: "begin-session";
      readonly session: SessionId;
      readonly route: UpstreamRoute;
      readonly to: ReconnectTarget | undefined;
    }
  /** Send what was sent before, then end the connection. The core has forgotten the session. */
  | { readonly type: "end-session"; readonly session: SessionId; readonly reason: string }
  /** Send a message upstream; `worker` goes along as the TLV of extension 0x0002. */
  | {
      readonly type: "send-upstream";
      readonly session: SessionId;
      readonly message: MiningMessage;
      readonly worker: string | undefined;
    }
  | CountEffect<CounterName>
  | LogEffect;

/** What is counted. */
export type CounterName =
  /** Shares answered with true. */
  | "sharesAccepted"
  /** Submits answered with an error, by reason. */
  | "sharesRejected"
  /** Lines that were no message, by fault. */
  | "faults"
  /** Miners closed by us, by reason. */
  | "minersClosed"
  /** Shares that met the miner's target but not the upstream's, as most do when miners share a channel. */
  | "sharesBelowUpstreamTarget"
  /** Shares sent upstream. */
  | "sharesSubmitted"
  /** Shares the upstream acknowledged. */
  | "sharesAcknowledged"
  /** Shares the upstream rejected, by error code. */
  | "sharesRejectedUpstream"
  /** Shares that were sent upstream and not answered before the channel ended. */
  | "sharesUnanswered"
  /** Channels opened, refused and closed by the upstream. */
  | "channels"
  /** Changes of the upstream that is mined at, by reason. */
  | "switches"
  /** Routes to upstreams that a reload added and removed. */
  | "routeChanges"
  /** Sessions with upstreams that ended, by reason. */
  | "sessionFailures"
  /** Reconnect messages of upstreams, by what became of them. */
  | "reconnects"
  /** Messages of the upstream that break the protocol, by fault. */
  | "upstreamFaults";
