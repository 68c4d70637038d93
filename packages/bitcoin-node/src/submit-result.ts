import { z } from "zod";
import { fitting } from "./answer.ts";
import { coreReason } from "./differences.ts";
import type { NodeError } from "./errors.ts";
import { type CallSite, printable } from "./node-faults.ts";

/** Reasons for which a node refuses a block, spelt as Bitcoin Core spells them (`validation.cpp`, `tx_check.cpp`, `tx_verify.cpp`). */
export const submitRejectReasons = [
  "bad-blk-length",
  "bad-blk-sigops",
  "bad-blk-weight",
  "bad-cb-amount",
  "bad-cb-height",
  "bad-cb-length",
  "bad-cb-missing",
  "bad-cb-multiple",
  "bad-diffbits",
  "bad-prevblk",
  "bad-signet-blksig",
  "bad-txns-BIP30",
  "bad-txns-duplicate",
  "bad-txns-inputs-missingorspent",
  "bad-txns-nonfinal",
  "bad-txns-premature-spend-of-coinbase",
  "bad-txnmrklroot",
  "bad-version",
  "bad-witness-merkle-match",
  "bad-witness-nonce-size",
  "block-script-verify-flag-failed",
  "duplicate-invalid",
  "high-hash",
  "time-timewarp-attack",
  "time-too-old",
  "undecodable",
  "unexpected-witness",
] as const;

/** A reason for which a node refuses a block; `undecodable` is the RPC's own error for bytes that are no block (-22). */
export type SubmitRejectReason = (typeof submitRejectReasons)[number];

/** What came of a submitted block. */
export type SubmitResult =
  /** Taken. bcoin and btcd say so of a block beside the best chain as well, btcd even of one whose parent it lacks. */
  | { readonly kind: "accepted" }
  /** The node had this valid block before. */
  | { readonly kind: "known" }
  /** The node keeps the block, but it is not, or not yet, the tip of the best chain. */
  | { readonly kind: "inconclusive"; readonly reason: string }
  /** The node could not judge the block; it may take it later. */
  | { readonly kind: "retry"; readonly reason: string }
  /** The block is invalid. `text` is the node's own word, made printable. */
  | { readonly kind: "rejected"; readonly reason: SubmitRejectReason | "other"; readonly text: string };

/** What a node says of a block that has no proof of work yet (BIP23 proposal). */
export type ProposalResult =
  /** It breaks no rule. */
  | { readonly kind: "valid" }
  /** It builds on another block than the node's tip, so the node did not check it. */
  | { readonly kind: "inconclusive"; readonly reason: string }
  /** It breaks a rule; `reason` is the node's word, made printable. */
  | { readonly kind: "invalid"; readonly reason: string };

/**
 * What the result of `submitblock` means: null or a reason.
 *
 * @throws NodeError `bad-response` for anything else.
 */
export function submitResult(result: unknown, site: CallSite): SubmitResult {
  const said = fitting(verdict, result, site);
  if (said === null) return { kind: "accepted" };
  const reason = coreReason(said);
  if (reason === "duplicate") return { kind: "known" };
  if (inconclusive.includes(reason)) return { kind: "inconclusive", reason };
  if (passing.includes(reason)) return { kind: "retry", reason };
  return { kind: "rejected", reason: typed(reason), text: printable(said) };
}

/**
 * What an error of `submitblock` means for the block; undefined when it says nothing of the block. Core answers -22 to
 * bytes it cannot read and -25 when a fault of its own, such as a full disk, kept it from judging.
 */
export function submitResultOf({ rpcCode, message }: NodeError): SubmitResult | undefined {
  if (rpcCode === -22) return { kind: "rejected", reason: "undecodable", text: message };
  return rpcCode === -25 ? { kind: "retry", reason: message } : undefined;
}

/**
 * What the result of a proposal means: null or a reason.
 *
 * @throws NodeError `bad-response` for anything else.
 */
export function proposalResult(result: unknown, site: CallSite): ProposalResult {
  const said = fitting(verdict, result, site);
  if (said === null) return { kind: "valid" };
  const reason = coreReason(said);
  if (reason === "duplicate") return { kind: "valid" };
  // btcd says bad-prevblk of any other parent than its tip.
  if (reason === "bad-prevblk" || inconclusive.includes(reason)) return { kind: "inconclusive", reason };
  return { kind: "invalid", reason: printable(reason) };
}

const verdict = z.string().nullable();

/** Reasons that may be gone in a moment: the parent comes, and a time that is too far ahead comes nearer. */
const passing: readonly string[] = ["prev-blk-not-found", "time-too-new"];

const inconclusive: readonly string[] = ["inconclusive", "duplicate-inconclusive", "inconclusive-not-best-prevblk"];

function typed(reason: string): SubmitRejectReason | "other" {
  return submitRejectReasons.find((known) => known === reason) ?? "other";
}
