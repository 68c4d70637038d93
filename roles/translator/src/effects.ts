import type { CountEffect, LogEffect } from "@adit/channels";
import type { CommonMessage, MiningMessage } from "@adit/codec";

/** Names one miner's connection; the shell never gives the same number twice. */
export type MinerId = number;

/** Everything that can happen to the translator. */
export type TranslatorInput =
  /** A miner connected. `peer`: its address, for the status and the log. */
  | { readonly type: "miner-connected"; readonly miner: MinerId; readonly peer: string }
  /** A miner sent a line, without its newline. */
  | { readonly type: "line"; readonly miner: MinerId; readonly line: string }
  /** A miner's connection ended. */
  | { readonly type: "miner-gone"; readonly miner: MinerId }
  /** An upstream connection is set up. */
  | { readonly type: "upstream-up"; readonly setup: UpstreamSetup }
  /** The upstream sent a message. */
  | { readonly type: "upstream-message"; readonly message: MiningMessage | CommonMessage }
  /** The upstream connection ended. */
  | { readonly type: "upstream-down"; readonly reason: string }
  /** Once a second. */
  | { readonly type: "tick" };

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
  /** Send a message upstream; `worker` goes along as the TLV of extension 0x0002. */
  | { readonly type: "send-upstream"; readonly message: MiningMessage; readonly worker: string | undefined }
  /** End the upstream connection and dial again. */
  | { readonly type: "close-upstream"; readonly reason: string }
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
  /** Messages of the upstream that break the protocol, by fault. */
  | "upstreamFaults";
