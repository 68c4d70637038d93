import {
  assembleCoinbase,
  decodeHeader,
  hex,
  meetsTarget,
  type ShareHashing,
  sameBytes,
  targetFromBits,
  targetToBytes,
} from "@adit/bitcoin";
import { type PushSolution, u256 } from "@adit/codec";
import { TokenBucket } from "@adit/token-bucket";
import { blockOf, type Solution, solve } from "./declared-job.ts";
import type { DeclaredJobs } from "./declared-jobs.ts";
import type { ConnectionId, DeclaratorEffect, DeclaratorInput, SolutionFault } from "./effects.ts";
import type { DeclaratorLimits } from "./limits.ts";

type Effects = readonly DeclaratorEffect[];

/**
 * The solutions of one connection. Each is tried with its declared jobs, the newest first, and nothing is done for one that
 * has not the work. One that comes before the answer to its declaration is kept until then.
 */
export class SolutionDesk {
  readonly #connection: ConnectionId;
  readonly #jobs: DeclaredJobs;
  readonly #hashing: ShareHashing;
  readonly #bucket: TokenBucket;
  #early: Solution | undefined;

  /** `now` in Unix milliseconds, here and below. */
  constructor(
    connection: ConnectionId,
    options: { readonly jobs: DeclaredJobs; readonly hashing: ShareHashing; readonly limits: DeclaratorLimits },
    now: number,
  ) {
    this.#connection = connection;
    this.#jobs = options.jobs;
    this.#hashing = options.hashing;
    const { maxSolutionsPerMinute } = options.limits;
    this.#bucket = new TokenBucket({ perSecond: maxSolutionsPerMinute / 60, burst: maxSolutionsPerMinute }, now);
  }

  /** Takes a solution; `isDeclaring`: a declaration of this connection is not answered yet. */
  push(solution: PushSolution, isDeclaring: boolean, now: number): Effects {
    if (!this.#bucket.take(now)) return this.#refuse("too-many");
    const outcome = this.#try(solution);
    if (typeof outcome !== "string") return outcome;
    if (!isDeclaring) return this.#refuse(outcome);
    const { extranonce, prevHash } = solution;
    this.#early = { ...solution, extranonce: extranonce.slice(), prevHash: u256(prevHash.slice()) };
    return [];
  }

  /** A declaration was answered: whether the solution that was kept belongs to it shows now. */
  answered(isDeclaring: boolean): Effects {
    if (this.#early === undefined) return [];
    const outcome = this.#try(this.#early);
    if (typeof outcome === "string" && isDeclaring) return [];
    this.#early = undefined;
    return typeof outcome === "string" ? this.#refuse(outcome) : outcome;
  }

  #try(solution: Solution): Effects | SolutionFault {
    let fault: SolutionFault = "no-job";
    for (const job of this.#jobs.of(this.#connection)) {
      const outcome = solve(job, solution, this.#hashing);
      if (outcome.kind === "block") {
        return [{ type: "submit-block", block: outcome.block, connection: this.#connection }];
      }
      if (fault !== "high-hash") fault = outcome.kind;
    }
    return fault;
  }

  #refuse(reason: SolutionFault): Effects {
    return [{ type: "solution-refused", connection: this.#connection, reason }];
  }
}

/** The block that the pool has found on a declared job; nothing when the job is gone, or the header is not one of it with its work. */
export function poolsBlock(
  { tokenId, header, extranonce }: Omit<DeclaratorInput & { readonly type: "solve" }, "type">,
  jobs: DeclaredJobs,
  hashing: ShareHashing,
): Effects {
  const job = jobs.byToken(hex(tokenId));
  if (job === undefined || extranonce.length !== job.parts.extranonceSize) return [];
  const { merkleRoot } = decodeHeader(header);
  const isOfJob = sameBytes(merkleRoot, hashing.merkleRoot(assembleCoinbase(job.parts, extranonce), job.merklePath));
  const hasWork = meetsTarget(hashing.headerHash(header), targetToBytes(targetFromBits(job.nbits)));
  if (!isOfJob || !hasWork) return [];
  return [{ type: "submit-block", block: blockOf(job, header, extranonce), connection: undefined }];
}
