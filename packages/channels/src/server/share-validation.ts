import { type Hash, meetsTarget, type ShareHashing } from "@adit/bitcoin";
import type { ShareErrorCode } from "./effects.ts";
import type { ActivatedJob, ChainTip, FoundJob } from "./job-store.ts";

/** Version bits a miner may change (BIP323), the wider successor of BIP320's 0x1fffe000. */
export const VERSION_ROLLING_MASK = 0x1fffffe0;

/** The fields of a submitted share that make up its header. */
export interface SubmittedShare {
  /** The header's nonce. */
  readonly nonce: number;
  /** The header's time, Unix seconds. */
  readonly ntime: number;
  /** The whole header version. */
  readonly version: number;
  /** The miner's part of the extranonce; empty on a standard channel. */
  readonly extranonce: Uint8Array;
}

/** What a share is judged by: everything as it was when its job was sent, except the tip. */
export interface ShareContext {
  /** Hashing. */
  readonly hashing: ShareHashing;
  /** The job named by the share, if known. */
  readonly found: FoundJob | undefined;
  /** The target that job was sent with on this channel, 32 bytes little-endian; undefined when it was not sent. */
  readonly targetBytes: Uint8Array | undefined;
  /** The extranonce prefix that job was sent with. */
  readonly extranoncePrefix: Uint8Array | undefined;
  /** Bytes the miner has to supply. */
  readonly extranonceSize: number;
  /** The current tip. */
  readonly tip: ChainTip | undefined;
  /** How far ntime may be ahead, seconds. */
  readonly ntimeWindowSec: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** The header and coinbase of a share, whatever it is worth. */
export interface HashedCandidate {
  /** Header hash, internal order. */
  readonly hash: Hash;
  /** The 80-byte header. */
  readonly header: Uint8Array;
  /** The coinbase transaction without its witness. */
  readonly coinbase: Uint8Array;
  /** The whole extranonce in it. */
  readonly extranonce: Uint8Array;
  /** Its job. */
  readonly job: ActivatedJob;
}

/** The verdict. A candidate that `isBlock` goes to the network whatever the verdict on the share. */
export type ShareVerdict =
  | { readonly kind: "valid"; readonly candidate: HashedCandidate; readonly isBlock: boolean }
  | {
      readonly kind: "rejected";
      readonly errorCode: ShareErrorCode;
      readonly candidate: HashedCandidate | undefined;
      readonly isBlock: boolean;
    };

/**
 * Judges a share: job, extranonce size, then the hash, which is checked for a block before any policy, then staleness,
 * ntime, version and the target of its job. A valid share may still be a duplicate; that takes memory this has not.
 */
export function validateShare(share: SubmittedShare, context: ShareContext): ShareVerdict {
  const { found, targetBytes, extranoncePrefix } = context;
  if (found === undefined || found.phase === "future") return rejected("invalid-job-id");
  const stale = found.phase === "stale";
  if (targetBytes === undefined || extranoncePrefix === undefined) {
    return rejected(stale ? "stale-share" : "invalid-job-id");
  }
  if (share.extranonce.length !== context.extranonceSize)
    return rejected(stale ? "stale-share" : "bad-extranonce-size");
  const candidate = hashCandidate(share, { job: found.job, extranoncePrefix, hashing: context.hashing });
  const isBlock = meetsTarget(candidate.hash, found.job.tip.networkTarget);
  const errorCode = stale ? "stale-share" : policyFault(share, found.job, context);
  if (errorCode !== undefined) return { kind: "rejected", errorCode, candidate, isBlock };
  if (!meetsTarget(candidate.hash, targetBytes)) {
    return { kind: "rejected", errorCode: "difficulty-too-low", candidate, isBlock };
  }
  return { kind: "valid", candidate, isBlock };
}

function rejected(errorCode: ShareErrorCode): ShareVerdict {
  return { kind: "rejected", errorCode, candidate: undefined, isBlock: false };
}

function policyFault(share: SubmittedShare, job: ActivatedJob, context: ShareContext): ShareErrorCode | undefined {
  const tip = context.tip ?? job.tip;
  // A tip may be told again with a later time; shares that cross with that are of a job that had the earlier one.
  const earliest = job.minNtime;
  // A miner may roll ntime once a second for as long as the tip stands, so the window moves on with the tip's age.
  const tipAge = Math.max(0, Math.floor((context.now - tip.since) / 1000));
  const latest = Math.max(tip.ntime + tipAge, earliest) + context.ntimeWindowSec;
  if (share.ntime < earliest || share.ntime > latest) return "invalid-share";
  const changed = (share.version ^ job.version) >>> 0;
  if (changed === 0) return undefined;
  if (!job.versionRollingAllowed) return "version-rolling-not-allowed";
  return (changed & ~VERSION_ROLLING_MASK) === 0 ? undefined : "invalid-non-rollable-version-bit";
}

interface CandidateParts {
  readonly job: ActivatedJob;
  readonly extranoncePrefix: Uint8Array;
  readonly hashing: ShareHashing;
}

function hashCandidate(share: SubmittedShare, parts: CandidateParts): HashedCandidate {
  const { job, extranoncePrefix, hashing } = parts;
  const extranonce = joined([extranoncePrefix, share.extranonce]);
  const coinbase = joined([job.coinbaseTxPrefix, extranonce, job.coinbaseTxSuffix]);
  const { hash, header } = hashing.shareHash({
    coinbase,
    merklePath: job.merklePath,
    header: {
      version: share.version,
      prevHash: job.tip.prevHash,
      ntime: share.ntime,
      nbits: job.tip.nbits,
      nonce: share.nonce,
    },
  });
  return { hash, header, coinbase, extranonce, job };
}

/** The coinbase transaction of a job without its witness: prefix, extranonce, suffix (spec 5.3.16). */
export function coinbaseOf(
  job: { readonly coinbaseTxPrefix: Uint8Array; readonly coinbaseTxSuffix: Uint8Array },
  extranoncePrefix: Uint8Array,
  extranonce: Uint8Array,
): Uint8Array {
  return joined([job.coinbaseTxPrefix, extranoncePrefix, extranonce, job.coinbaseTxSuffix]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
