import { TokenBucket } from "@adit/token-bucket";
import type { ChainTip, Job, TemplateOrigin } from "./job-store.ts";
import type { ChannelLimits } from "./limits.ts";

/** A job before it is told: its id is given then, so that ids grow in the order channels hear of them. */
export type UntoldJob = Omit<Job<TemplateOrigin>, "id" | "workId">;

/** A tip that came too soon after others, and the job to announce it with, once there is one. */
export interface HeldTip {
  /** The tip. */
  readonly tip: ChainTip;
  /** The template its job is made from. */
  readonly templateId: bigint;
  /** The job; undefined while its template has not come. */
  job: UntoldJob | undefined;
}

/**
 * The pace at which channels are told of work, and what came faster. A template provider costs each template little,
 * and every miner a message and a restart of its search: of more than the pace, miners are told the newest.
 *
 * Tips are counted apart from jobs, so that a flood of jobs does not delay the one message that must not wait.
 */
export class HeldWork {
  /** Work on the present tip, or on the held one; only the newest is worth telling. */
  job: UntoldJob | undefined;
  /** The newest tip, if it is held. */
  tip: HeldTip | undefined;
  readonly #jobs: TokenBucket;
  readonly #tips: TokenBucket;
  readonly #maxFutures: number;
  readonly #futures = new Map<bigint, UntoldJob>();

  /** Nothing held, at time 0. */
  constructor(limits: Pick<ChannelLimits, "jobsPerSecond" | "jobBurst" | "futureJobs">) {
    const rate = { perSecond: limits.jobsPerSecond, burst: limits.jobBurst };
    this.#jobs = new TokenBucket(rate, 0);
    this.#tips = new TokenBucket(rate, 0);
    this.#maxFutures = limits.futureJobs;
  }

  /** Whether a job may be told now; counts as told when it may. */
  mayTellJob(now: number): boolean {
    return this.#jobs.take(now);
  }

  /** Whether a tip may be told now; counts as told when it may. */
  mayTellTip(now: number): boolean {
    return this.#tips.take(now);
  }

  /** Holds a future job. An older one of the same template, or the oldest of too many, is forgotten. */
  holdFuture(job: UntoldJob): void {
    this.#futures.delete(job.origin.templateId);
    this.#futures.set(job.origin.templateId, job);
    for (const oldest of this.#futures.keys()) {
      if (this.#futures.size <= this.#maxFutures) return;
      this.#futures.delete(oldest);
    }
  }

  /** The held future job of a template. */
  futureOf(templateId: bigint): UntoldJob | undefined {
    return this.#futures.get(templateId);
  }

  /** The newest held future job. The older ones are kept for a tip that may name them. */
  get newestFuture(): UntoldJob | undefined {
    return [...this.#futures.values()].at(-1);
  }

  /** Forgets a template's held future job: it, or a newer one, is told. */
  forgetFuture(templateId: bigint): void {
    this.#futures.delete(templateId);
  }

  /** Makes every held job anew; one that cannot be is forgotten. */
  remake(made: (job: UntoldJob) => UntoldJob | undefined): void {
    if (this.job !== undefined) this.job = made(this.job);
    if (this.tip?.job !== undefined) this.tip.job = made(this.tip.job);
    for (const [templateId, future] of this.#futures) {
      const again = made(future);
      if (again === undefined) this.#futures.delete(templateId);
      else this.#futures.set(templateId, again);
    }
  }

  /** Forgets all that is held. */
  clear(): void {
    this.job = undefined;
    this.tip = undefined;
    this.#futures.clear();
  }
}
