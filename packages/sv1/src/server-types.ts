import type { Hash, ShareHashing, Target } from "@adit/bitcoin";
import type { Sv1Job } from "./job.ts";
import { type MessageLimits, minerMessageLimits } from "./message.ts";
import type { Sv1ErrorCode } from "./sv1-error.ts";

/** Bounds on what one miner may cost. */
export interface Sv1Limits {
  /** Caps on a single line. */
  readonly message: MessageLimits;
  /** Lines kept while the extranonce is awaited; one more closes. */
  readonly heldLines: number;
  /** User names a connection may authorize; further ones are refused. */
  readonly userNames: number;
  /** Jobs of the current tip that shares are accepted for. */
  readonly jobs: number;
  /** Ids of dead jobs remembered to answer `stale` rather than `not found`. */
  readonly staleJobs: number;
  /** Share hashes remembered for the current tip; beyond it shares are refused, for forgetting would pay twice. */
  readonly shares: number;
  /** Sustained lines a second; a miner that uses up `messageBurst` on top is closed. */
  readonly messagesPerSecond: number;
  /** Lines that may come at once. */
  readonly messageBurst: number;
  /** Lines a minute that are no message or malformed; one more closes. */
  readonly faultsPerMinute: number;
  /** Fewest submits in a minute from which more than half rejected counts as a bad minute. */
  readonly rejectMinimum: number;
  /** Time in milliseconds to subscribe and authorize in. */
  readonly handshakeTimeoutMs: number;
  /** Silence in milliseconds that closes. Tiny miners go an hour without a share. */
  readonly idleTimeoutMs: number;
  /** Seconds that the time of a share may lead its job's. */
  readonly ntimeForwardSec: number;
}

/** The defaults that a role's configuration overrides. */
export const defaultSv1Limits: Sv1Limits = {
  message: minerMessageLimits,
  heldLines: 16,
  userNames: 16,
  jobs: 64,
  staleJobs: 64,
  shares: 65_536,
  messagesPerSecond: 50,
  messageBurst: 250,
  faultsPerMinute: 30,
  rejectMinimum: 30,
  handshakeTimeoutMs: 60_000,
  idleTimeoutMs: 3_600_000,
  ntimeForwardSec: 7200,
};

/** What a session starts with. */
export interface Sv1ServerOptions {
  /** The miner's fixed part of the extranonce. `null`: not known yet; the session asks for it once it is needed. */
  readonly extranonce1: Uint8Array | null;
  /** Bytes the miner rolls, 2 to 8: real firmware refuses more. 8 suits them all. */
  readonly extranonce2Size: number;
  /** Version bits upstream allows to be rolled; cut to 0x1fffe000. 0 turns rolling off. */
  readonly versionMask: number;
  /** Difficulty of the first job, if that names none; rounded down to what firmware can read. */
  readonly difficulty: number;
  readonly limits: Sv1Limits;
  readonly hashing: ShareHashing;
}

/** What happens to a session. */
export type Sv1ServerInput =
  /** A line from the miner, without its newline. */
  | { readonly type: "line"; readonly line: string }
  /**
   * New work. Sent when the miner has subscribed; until then the newest is kept. A job on another `prevHash` makes
   * all earlier ones stale. `difficulty`, when given, is sent right before it.
   */
  | { readonly type: "job"; readonly job: Sv1Job; readonly difficulty?: number | undefined }
  /** A new difficulty, held until the next job unless `immediate`: a change in mid-job shows as rejects on S19 screens. */
  | { readonly type: "difficulty"; readonly difficulty: number; readonly immediate?: boolean | undefined }
  /**
   * The miner's extranonce, first or changed. Changed under a miner that takes `mining.set_extranonce` it is held
   * until the next job, which the host should give at once; any other miner is sent away to come back.
   */
  | { readonly type: "extranonce"; readonly extranonce1: Uint8Array; readonly extranonce2Size: number }
  /** The version bits that upstream allows from the next job on. */
  | { readonly type: "version-mask"; readonly mask: number }
  /** Jobs are dead, tip or no tip: upstream went away with them. All of them, or those that `keeps` says no to. */
  | { readonly type: "retire-jobs"; readonly keeps?: (job: Sv1Job) => boolean }
  /** Time passes; about once a second. */
  | { readonly type: "tick" };

/** What the host must do, in order. */
export type Sv1ServerEffect =
  /** Write the line and a newline. */
  | { readonly type: "send"; readonly line: string }
  /** The miner subscribed and waits: find it an extranonce. Once a connection, and never for a port scanner. */
  | { readonly type: "extranonce-needed"; readonly userAgent: string }
  /** The miner has its extranonce. `userAgent` is text from the network, at most 128 characters. */
  | { readonly type: "subscribed"; readonly userAgent: string }
  /** A user name that was not authorized before on this connection. */
  | { readonly type: "authorized"; readonly userName: string; readonly password: string }
  /** The miner would like this difficulty, and has not said so before. */
  | { readonly type: "suggest-difficulty"; readonly difficulty: number }
  /** A valid share, already answered with true. */
  | { readonly type: "share"; readonly share: Sv1Share }
  /** A submit that was answered with an error. */
  | {
      readonly type: "rejected";
      readonly code: Sv1RejectCode;
      readonly reason: Sv1RejectReason;
      readonly userName: string;
    }
  /** A line that was no message; counts towards a limit. */
  | { readonly type: "fault"; readonly code: Sv1ErrorCode }
  /** Flush what was sent, then close. Nothing follows. */
  | { readonly type: "close"; readonly reason: Sv1CloseReason };

/** Why a session ends itself. */
export type Sv1CloseReason =
  | "not-stratum"
  | "handshake-timeout"
  | "idle"
  | "message-rate"
  | "too-many-faults"
  | "too-many-held-lines"
  | "too-many-rejected-shares"
  | "extranonce-changed";

/** The numbers in `error[0]`: 20 other, 21 job not found, 22 duplicate, 23 low difficulty, 24 unauthorized, 25 not subscribed. */
export type Sv1RejectCode = 20 | 21 | 22 | 23 | 24 | 25;

/** Why a share was rejected, in the words that Stratum V2 pools use where they have one. */
export type Sv1RejectReason =
  | "malformed-submit"
  | "bad-extranonce-size"
  | "invalid-ntime"
  | "invalid-non-rollable-version-bit"
  | "too-many-shares"
  | "invalid-job-id"
  | "stale-share"
  | "duplicate-share"
  | "difficulty-too-low"
  | "unauthorized"
  | "not-subscribed";

/** A share that met the target its miner was given. */
export interface Sv1Share {
  /** The authorized name it is accounted to, whatever the submit said. */
  readonly userName: string;
  /** The job as the host gave it. */
  readonly job: Sv1Job;
  /** The miner's fixed part when the job was sent. */
  readonly extranonce1: Uint8Array;
  readonly extranonce2: Uint8Array;
  readonly ntime: number;
  readonly nonce: number;
  /** The whole version that was hashed. */
  readonly version: number;
  readonly hash: Hash;
  /** The 80 bytes hashed. */
  readonly header: Uint8Array;
  /** The target the share was checked against: its job's, or an easier one announced since. */
  readonly difficultyTarget: Target;
  /** The job was sent at the difficulty now in force. Only such shares say something about the miner's speed. */
  readonly fresh: boolean;
}
