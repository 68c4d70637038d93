import { hex, meetsTarget } from "@adit/bitcoin";
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
  | { readonly at: "accepted"; readonly jobId: number; readonly targetBytes: Uint8Array }
  | { readonly at: "dropped"; readonly reason: DropReason };

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

  constructor(job: ActivatedJob<TemplateOrigin>, prefix: Uint8Array, now: number) {
    this.job = job;
    this.prefix = prefix;
    this.step = { at: "waiting", retryAt: now };
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

  /** The message that submits a share of it; undefined when the share is not good enough for the pool. */
  submit(share: AcceptedShare, channel: ClientChannel): SubmitSharesExtended | undefined {
    if (this.step.at !== "accepted" || !meetsTarget(share.hash, this.step.targetBytes)) return undefined;
    const { nonce, ntime, version } = share;
    const extranonce = share.extranonce.subarray(this.prefix.length);
    return channel.submitExtended({ jobId: this.step.jobId, nonce, ntime, version, extranonce });
  }
}
