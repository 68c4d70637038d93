import type { DialectMessage, JobDeclarationMessage } from "@adit/codec";
import type { TokenKind } from "../token.ts";
import type { DeclaredBlock } from "./declared-job.ts";
import type { DeclareErrorCode } from "./fault.ts";
import type { KnownTransaction } from "./known-transaction.ts";
import type { DeclaratorTip } from "./tip.ts";

/** Number of a connection, unique within the process. */
export type ConnectionId = number;

/** Number of a declaration under way, unique within the process. */
export type DeclarationId = number;

/** What the node says of a declared block. */
export type CheckVerdict =
  | { readonly kind: "valid" }
  /** It builds on another block than the node's tip. */
  | { readonly kind: "inconclusive" }
  /** It breaks a rule; the reason is printable. */
  | { readonly kind: "invalid"; readonly reason: string }
  /** The node did not answer. */
  | { readonly kind: "failed"; readonly reason: string }
  /** There is no node to ask: the core checks what it can by itself. */
  | { readonly kind: "no-node" };

/** What happens to a {@link JobDeclarator}. */
export type DeclaratorInput =
  | {
      readonly type: "connected";
      readonly connection: ConnectionId;
      /** Its SetupConnection has DECLARE_TX_DATA: the client reveals its transactions. */
      readonly declaresTxData: boolean;
    }
  | { readonly type: "message"; readonly connection: ConnectionId; readonly message: DialectMessage<"job_declaration"> }
  | { readonly type: "disconnected"; readonly connection: ConnectionId }
  | { readonly type: "tip"; readonly tip: DeclaratorTip }
  /** Answer to `look-up`: undefined where a transaction is not known. */
  | {
      readonly type: "looked-up";
      readonly declaration: DeclarationId;
      readonly transactions: readonly (KnownTransaction | undefined)[];
    }
  /** Answer to `check`. */
  | { readonly type: "checked"; readonly declaration: DeclarationId; readonly verdict: CheckVerdict }
  /** The pool has found a block on a declared job. */
  | {
      readonly type: "solve";
      /** Id of the job's token, 16 bytes. */
      readonly tokenId: Uint8Array;
      /** 80 bytes, with its work. */
      readonly header: Uint8Array;
      /** The whole extranonce in the coinbase. */
      readonly extranonce: Uint8Array;
    }
  /** Time passes; a few times a second. */
  | { readonly type: "tick" };

/**
 * Why a connection is closed.
 *
 * - `idle`: no request for a token in `first_request_secs`
 * - `frame-timeout`: the rest of a frame did not come in `frame_timeout_secs`
 * - `message-flood`: more messages than `max_messages_per_minute`
 * - `token-flood`: more requests for tokens wait than `max_held_token_requests`
 * - `not-full-template`: a message that DECLARE_TX_DATA would have been needed for
 */
export type CloseReason = "idle" | "frame-timeout" | "message-flood" | "token-flood" | "not-full-template";

/** Why a solution makes no block: no job to try it with, or no job with which it has the work, or too many came. */
export type SolutionFault = "no-job" | "other-job" | "high-hash" | "too-many";

/** What the shell has to do, in order. */
export type DeclaratorEffect =
  /** Comes before everything else that the same input causes. */
  | { readonly type: "submit-block"; readonly block: DeclaredBlock; readonly connection: ConnectionId | undefined }
  | { readonly type: "send"; readonly connection: ConnectionId; readonly message: JobDeclarationMessage }
  | {
      readonly type: "close";
      readonly connection: ConnectionId;
      readonly reason: CloseReason;
      /** Completes "the client …". */
      readonly detail: string;
    }
  /** Find these transactions; answered with `looked-up`. */
  | { readonly type: "look-up"; readonly declaration: DeclarationId; readonly wtxids: readonly Uint8Array[] }
  /** Have the node check this block; answered with `checked`. */
  | { readonly type: "check"; readonly declaration: DeclarationId; readonly block: Uint8Array }
  | { readonly type: "token-allocated"; readonly connection: ConnectionId; readonly kind: TokenKind }
  | {
      readonly type: "missing-asked";
      readonly connection: ConnectionId;
      readonly requestId: number;
      readonly transactions: number;
    }
  | {
      readonly type: "declared";
      readonly connection: ConnectionId;
      readonly requestId: number;
      readonly userIdentifier: string;
      readonly height: number;
      readonly transactions: number;
      /** From the declaration to its answer, in milliseconds. */
      readonly tookMs: number;
    }
  | {
      readonly type: "declaration-refused";
      readonly connection: ConnectionId;
      readonly requestId: number;
      readonly errorCode: DeclareErrorCode;
      readonly detail: string;
    }
  | { readonly type: "solution-refused"; readonly connection: ConnectionId; readonly reason: SolutionFault }
  /** A message that means nothing here, such as transactions that nobody waits for any more. */
  | { readonly type: "ignored"; readonly connection: ConnectionId; readonly message: string };
