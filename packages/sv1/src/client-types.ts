import type { Target } from "@adit/bitcoin";
import type { Sv1Job } from "./job.ts";
import { type MessageLimits, poolMessageLimits } from "./message.ts";

/** Bounds on what a pool may cost. */
export interface Sv1ClientLimits {
  /** Caps on a single line. */
  readonly message: MessageLimits;
  /** Submits that may wait for their reply; further ones are given up at once. */
  readonly pendingSubmits: number;
  /** Milliseconds after which a submit without a reply is given up. */
  readonly submitTimeoutMs: number;
  /** Milliseconds from the connection to the replies to subscribe and authorize. */
  readonly handshakeTimeoutMs: number;
  /** Milliseconds without a line after which the pool counts as dead. */
  readonly silenceTimeoutMs: number;
}

/** What miners in the field do. */
export const defaultSv1ClientLimits: Sv1ClientLimits = {
  message: poolMessageLimits,
  pendingSubmits: 256,
  submitTimeoutMs: 60_000,
  handshakeTimeoutMs: 30_000,
  silenceTimeoutMs: 180_000,
};

/** Who connects, and what it asks for. */
export interface Sv1ClientOptions {
  /** Name and version, as `name/1.0`. */
  readonly userAgent: string;
  readonly userName: string;
  readonly password: string;
  /** Ask to roll the BIP320 version bits. */
  readonly versionRolling: boolean;
  /** Ask to be told when the extranonce changes, rather than disconnected. */
  readonly extranonceSubscribe?: boolean | undefined;
  /** A difficulty to ask for once subscribed. */
  readonly suggestDifficulty?: number | undefined;
  readonly limits?: Sv1ClientLimits | undefined;
}

/** What happens to a session. */
export type Sv1ClientInput =
  /** The connection is there; nothing was sent yet. Once, before anything else. */
  | { readonly type: "connected" }
  /** A line from the pool, without its newline. */
  | { readonly type: "line"; readonly line: string }
  /** A share to submit. `job` as a `job` effect gave it. */
  | { readonly type: "submit"; readonly submit: Sv1ClientSubmit }
  /** Time passes; about once a second. */
  | { readonly type: "tick" };

/** A share found. */
export interface Sv1ClientSubmit {
  readonly job: Sv1ClientJob;
  readonly extranonce2: Uint8Array;
  readonly ntime: number;
  readonly nonce: number;
  /** The whole version that was hashed. */
  readonly version: number;
}

/** A job with all that is needed to work on it, none of which changes any more. */
export interface Sv1ClientJob extends Sv1Job {
  readonly extranonce1: Uint8Array;
  readonly extranonce2Size: number;
  /** Version bits that may be rolled; 0 for none. */
  readonly versionMask: number;
  readonly difficulty: number;
  /** What a share's hash must not exceed. */
  readonly target: Target;
}

/** What the host must do, in order. */
export type Sv1ClientEffect =
  /** Write the line and a newline. */
  | { readonly type: "send"; readonly line: string }
  /** The pool took the subscription. */
  | { readonly type: "subscribed"; readonly extranonce1: Uint8Array; readonly extranonce2Size: number }
  /** The pool answered the authorization. */
  | { readonly type: "authorized"; readonly accepted: boolean; readonly reason: string }
  /** A new difficulty, from the next job on. */
  | { readonly type: "difficulty"; readonly difficulty: number }
  /** New extranonce, from the next job on. */
  | { readonly type: "extranonce"; readonly extranonce1: Uint8Array; readonly extranonce2Size: number }
  /** New version bits to roll, from the next job on. */
  | { readonly type: "version-mask"; readonly mask: number }
  /** Work. Drop all earlier work when `job.clean`. */
  | { readonly type: "job"; readonly job: Sv1ClientJob }
  /** What became of a submit: the pool's word, or that it never came. */
  | {
      readonly type: "submit-result";
      readonly submit: Sv1ClientSubmit;
      readonly outcome:
        | { readonly kind: "accepted" }
        | { readonly kind: "rejected"; readonly code: number; readonly reason: string }
        | { readonly kind: "lost"; readonly reason: "timeout" | "too-many-pending" };
    }
  /** The pool asks to connect elsewhere. Never followed here: plain SV1 cannot tell who asks. */
  | { readonly type: "reconnect"; readonly host: string | null; readonly port: number | null; readonly waitSec: number }
  /** The pool has a word for the operator. Text from the network. */
  | { readonly type: "message"; readonly text: string }
  /** Close the connection. Nothing follows. */
  | { readonly type: "close"; readonly reason: Sv1ClientCloseReason };

/** Why a client session ends itself. */
export type Sv1ClientCloseReason =
  | "bad-message"
  | "bad-notify"
  | "bad-difficulty"
  | "bad-extranonce"
  | "bad-version-mask"
  | "subscribe-refused"
  | "handshake-timeout"
  | "silent";
