import { meetsTarget, type ShareHashing } from "@adit/bitcoin";
import { readBytes, readUint32 } from "./hex-field.ts";
import { coinbaseOf } from "./job.ts";
import type { IssuedJob, JobBook } from "./job-book.ts";
import type { Sv1RejectCode, Sv1RejectReason, Sv1Share } from "./server-types.ts";

/** `mining.submit` as read, before it is checked against a job. */
export interface Submit {
  /** The name the miner gave; it decides nothing. */
  readonly userName: string;
  readonly jobId: string;
  readonly extranonce2: Uint8Array;
  readonly ntime: number;
  readonly nonce: number;
  /** The rolled version bits; `undefined` when the miner left them out. */
  readonly versionBits: number | undefined;
}

/** A share that holds, or why it does not. */
export type SubmitOutcome =
  | { readonly kind: "accepted"; readonly share: Omit<Sv1Share, "userName" | "fresh">; readonly difficulty: number }
  | { readonly kind: "rejected"; readonly reason: Sv1RejectReason };

/** What a reason is as number and text in `error`. */
export const rejectReplies: Readonly<Record<Sv1RejectReason, { readonly code: Sv1RejectCode; readonly text: string }>> =
  {
    "malformed-submit": { code: 20, text: "Malformed submit" },
    "bad-extranonce-size": { code: 20, text: "Wrong extranonce2 size" },
    "invalid-ntime": { code: 20, text: "Time out of range" },
    "invalid-non-rollable-version-bit": { code: 20, text: "Version bits outside the mask" },
    "too-many-shares": { code: 20, text: "Too many shares on this block" },
    "invalid-job-id": { code: 21, text: "Job not found" },
    "stale-share": { code: 21, text: "Stale job" },
    "duplicate-share": { code: 22, text: "Duplicate share" },
    "difficulty-too-low": { code: 23, text: "Low difficulty share" },
    unauthorized: { code: 24, text: "Unauthorized worker" },
    "not-subscribed": { code: 25, text: "Not subscribed" },
  };

/** Reads the five or six params of a submit by hand: this runs for every share. `undefined` when they are malformed. */
export function readSubmit(params: readonly unknown[]): Submit | undefined {
  if (params.length < 5 || params.length > 6) return undefined;
  const [userName, jobId] = params;
  const extranonce2 = readBytes(params[2]);
  const ntime = readUint32(params[3]);
  const nonce = readUint32(params[4]);
  if (typeof userName !== "string" || typeof jobId !== "string") return undefined;
  if (extranonce2 === undefined || ntime === undefined || nonce === undefined) return undefined;
  const rolled = params[5] ?? undefined;
  const versionBits = readUint32(rolled);
  if (rolled !== undefined && versionBits === undefined) return undefined;
  return { userName, jobId, extranonce2, ntime, nonce, versionBits };
}

/** Checks a submit against the job it names, cheapest checks first, and remembers it when it holds. */
export function checkSubmit(
  submit: Submit,
  book: JobBook,
  rules: { readonly grantedMask: number; readonly ntimeForwardSec: number; readonly hashing: ShareHashing },
): SubmitOutcome {
  const issued = book.find(submit.jobId);
  if (issued === "unknown") return rejected("invalid-job-id");
  if (issued === "stale") return rejected("stale-share");
  const { job } = issued;
  if (submit.extranonce2.length !== issued.extranonce2Size) return rejected("bad-extranonce-size");
  if (submit.ntime < job.ntime || submit.ntime > job.ntime + rules.ntimeForwardSec) return rejected("invalid-ntime");
  // A miner may negotiate rolling after it got the job, so what it was granted counts as of now.
  const version = rolledVersion(issued, submit.versionBits, issued.versionMask & rules.grantedMask);
  if (version === undefined) return rejected("invalid-non-rollable-version-bit");

  const { ntime, nonce, extranonce2 } = submit;
  const { hash, header } = rules.hashing.shareHash({
    coinbase: coinbaseOf(job, issued.extranonce1, extranonce2),
    merklePath: job.merklePath,
    header: { version, prevHash: job.prevHash, ntime, nbits: job.nbits, nonce },
  });
  if (!meetsTarget(hash, issued.targetBytes)) return rejected("difficulty-too-low");
  const memory = book.remember(hash);
  if (memory === "duplicate") return rejected("duplicate-share");
  if (memory === "full") return rejected("too-many-shares");
  const { extranonce1, difficulty, target: difficultyTarget } = issued;
  const share = { job, extranonce1, extranonce2, ntime, nonce, version, hash, header, difficultyTarget };
  return { kind: "accepted", share, difficulty };
}

/** The version hashed (BIP310), or `undefined` when bits outside the mask are set. */
function rolledVersion(issued: IssuedJob, bits: number | undefined, mask: number): number | undefined {
  if (bits === undefined) return issued.version >>> 0;
  if ((bits & ~mask) !== 0) return undefined;
  return ((issued.version & ~mask) | (bits & mask)) >>> 0;
}

function rejected(reason: Sv1RejectReason): SubmitOutcome {
  return { kind: "rejected", reason };
}
