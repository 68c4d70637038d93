import type { ReconnectTarget } from "@adit/role-network";
import type { Work } from "../work/work.ts";
import type { LossReason, RejectReason } from "./reasons.ts";

/** What the host of a miner must do, in order. `Message` is what travels: a line in V1, a message in V2. */
export type MinerEffect<Message> =
  | { readonly type: "send"; readonly message: Message }
  /** Hash this from now on; of an earlier epoch nothing any more. */
  | { readonly type: "work"; readonly work: Work }
  /** Hash nothing. */
  | { readonly type: "no-work" }
  /** Too many shares wait for an answer: start nothing new until `resume`. */
  | { readonly type: "pause" | "resume" }
  /** A share was sent. */
  | { readonly type: "submitted" }
  /** The upstream took this many shares. */
  | { readonly type: "accepted"; readonly count: number }
  | { readonly type: "rejected"; readonly reason: RejectReason }
  /** No answer will come any more for this many shares. */
  | { readonly type: "lost"; readonly reason: LossReason; readonly count: number }
  /** A share was answered this many milliseconds after it was sent. */
  | { readonly type: "answered"; readonly ms: number }
  | {
      readonly type: "log";
      readonly level: "debug" | "info" | "warn";
      readonly event: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  /** The upstream asks to be reached elsewhere. The connection goes on until there is another. */
  | { readonly type: "reconnect"; readonly to: ReconnectTarget }
  /** Close the connection and try again later. Nothing follows. */
  | { readonly type: "close"; readonly reason: string };

/** A connection to an upstream as a pure core: what happens goes in, what to do comes out. */
export interface Miner<Input, Message> {
  /** Takes an input at a time in milliseconds that never goes back. */
  handle(input: Input, now: number): readonly MinerEffect<Message>[];
}
