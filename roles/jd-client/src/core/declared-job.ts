import { hex, meetsTarget, type Target, targetToBytes } from "@adit/bitcoin";
import type { AcceptedShare, ActivatedJob, ClientChannel, TemplateOrigin } from "@adit/channels";
import type { SubmitSharesExtended } from "@adit/codec";
import type { TransactionData } from "./template-transactions.ts";

/** Why a job, and the shares that were kept for it, did not reach the pool. */
export type DropReason =
  /** Miners are on another tip. */
  | "stale-job"
  /** Newer jobs came first. */
  | "superseded"
  /** It was refused, in a race. */
  | "refused"
  /** The extranonce prefix it was made with is not the pool's any more. */
  | "void-prefix"
  /** Its transactions cannot be had. */
  | "no-transactions"
  /** The session has ended. */
  | "session-ended";

/** Where a job is on its way to the pool. */
export type Step =
  /** Waits for its turn, its transactions or a token; not to be sent before `retryAt`, in milliseconds. */
  | { readonly at: "waiting"; readonly retryAt: number }
  /** The job declarator, or then the pool, is asked. */
  | { readonly at: "declaring" | "setting" }
  /** The pool has taken it, and maybe once more for a later target: oldest first. */
  | { readonly at: "accepted"; readonly as: readonly Acceptance[] }
  | { readonly at: "dropped"; readonly reason: DropReason };

/** A job as the pool has taken it. Its shares are judged by the target of that moment, and credited for it. */
interface Acceptance {
  readonly jobId: number;
  readonly target: Target;
  readonly targetBytes: Uint8Array;
}

/** A target so many times harder than that of the newest job is worth another declaration of it. */
const WORTH_RENEWAL = 2n;
/** Acceptances of one job that are remembered. */
const MAX_ACCEPTANCES = 4;

/** A job that miners were given, on its way to the pool. */
export class DeclaredJob {
  readonly job: ActivatedJob<TemplateOrigin>;
  /** The pool's extranonce prefix that it was made with. */
  readonly prefix: Uint8Array;
  step: Step;
  /** Its transactions, once they are needed and there. */
  data: TransactionData | undefined;
  /** Miners are on another tip. */
  isStale = false;
  /** The job declarator has, or is about to have, all but the solution. */
  isDeclared = false;
  /** Whether the pool is to take it once more, and whether that is on its way. */
  renewal: "none" | "due" | "asked" = "none";

  constructor(job: ActivatedJob<TemplateOrigin>, prefix: Uint8Array, now: number) {
    this.job = job;
    this.prefix = prefix;
    this.step = { at: "waiting", retryAt: now };
  }

  /** It is sent on its way, for the first time or once more. */
  ask(at: "declaring" | "setting"): void {
    if (this.step.at === "accepted") this.renewal = "asked";
    else this.step = { at };
  }

  /** Whether the answer to its declaration is to be followed by the custom job. */
  get isWanted(): boolean {
    return this.step.at === "declaring" || (this.renewal === "asked" && !this.isStale);
  }

  /** The pool has taken it. */
  accept(jobId: number, target: Target): void {
    const before = this.step.at === "accepted" ? this.step.as : [];
    const acceptance = { jobId, target, targetBytes: targetToBytes(target) };
    this.step = { at: "accepted", as: [...before, acceptance].slice(-MAX_ACCEPTANCES) };
    this.renewal = "none";
  }

  /** The pool's target is another: is it so much harder that shares count for too little under the old one? */
  retarget(target: Target): void {
    if (this.step.at !== "accepted" || this.renewal === "asked") return;
    const newest = this.step.as.at(-1);
    const isWorthIt = newest !== undefined && target * WORTH_RENEWAL <= newest.target;
    this.renewal = isWorthIt ? "due" : "none";
  }

  /** Whether the pool's prefix is still the one that miners hash. */
  fits(prefix: Uint8Array): boolean {
    return hex(this.prefix) === hex(prefix);
  }

  /** The transactions that a job declarator lacks, in its order; what is wrong with the question otherwise. */
  reveal(positions: readonly number[]): { readonly transactions: readonly Uint8Array[] } | { readonly fault: string } {
    const known = this.data?.transactions ?? [];
    if (new Set(positions).size !== positions.length) return { fault: "a transaction is asked for twice" };
    const transactions = positions.flatMap((position) => known[position] ?? []);
    if (transactions.length === positions.length) return { transactions };
    return { fault: `a transaction beyond the ${known.length} that were declared is asked for` };
  }

  /**
   * The message that submits a share of it, for the newest target that the share meets; undefined when it is not good
   * enough for the pool.
   */
  submit(share: AcceptedShare, channel: ClientChannel): SubmitSharesExtended | undefined {
    if (this.step.at !== "accepted") return undefined;
    const met = this.step.as.findLast(({ targetBytes }) => meetsTarget(share.hash, targetBytes));
    if (met === undefined) return undefined;
    const { nonce, ntime, version } = share;
    const extranonce = share.extranonce.subarray(this.prefix.length);
    return channel.submitExtended({ jobId: met.jobId, nonce, ntime, version, extranonce });
  }
}
