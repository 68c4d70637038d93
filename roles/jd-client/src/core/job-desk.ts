import { hex } from "@adit/bitcoin";
import type { AcceptedShare, ActivatedJob, ClientEvent, FoundBlock, TemplateOrigin } from "@adit/channels";
import type { DeclareMiningJobError, DeclareMiningJobSuccess, ProvideMissingTransactions } from "@adit/codec";
import { DeclaredJob, type DropReason } from "./declared-job.ts";
import { solutionOf } from "./declared-work.ts";
import type { Failure } from "./failure.ts";
import { JobBook } from "./job-book.ts";
import { JobCourier } from "./job-courier.ts";
import type { JobDeskParts } from "./job-desk-parts.ts";
import { JobQuestions } from "./job-questions.ts";

type CustomJobEvent = Extract<ClientEvent, { readonly type: "custom-job-accepted" | "custom-job-refused" }>;

/** A job that was refused in a race is tried again after this. */
const RETRY_MS = 3000;

/**
 * The work of one session: takes each job that miners were given to the pool, by way of the job declarator where
 * transactions are declared, and its shares after it. The newest job goes first. Methods that hear of a fault of the
 * upstream return it.
 */
export class JobDesk {
  readonly #parts: JobDeskParts;
  readonly #jobs = new JobBook();
  readonly #questions = new JobQuestions();
  readonly #courier: JobCourier;
  #tip: string | undefined;

  constructor(parts: JobDeskParts) {
    this.#parts = parts;
    this.#courier = new JobCourier(parts, this.#questions);
  }

  /** Whether shares wait for jobs of this session. */
  get keepsShares(): boolean {
    return this.#jobs.all.some(({ job }) => this.#parts.cache.has(job.workId));
  }

  /** Whether miners were given a job for this session. */
  knows(workId: number): boolean {
    return this.#jobs.has(workId);
  }

  /** Miners were given a job. */
  take(job: ActivatedJob<TemplateOrigin>): void {
    const { channel, outbox } = this.#parts;
    const tip = hex(job.tip.prevHash);
    if (this.#tip !== undefined && this.#tip !== tip) this.#leaveTip();
    this.#tip = tip;
    const declared = new DeclaredJob(job, channel.extranoncePrefix, outbox.now);
    for (const superseded of this.#jobs.add(declared)) this.#drop(superseded, "superseded");
    this.pump();
  }

  /** Sends what can be sent: there may be a token, transactions, or an answer less to wait for. */
  pump(): void {
    for (const waiting of this.#jobs.waiting.toReversed()) {
      const supply = this.#courier.supply(waiting);
      if (supply === "ready") this.#courier.send(waiting);
      else if (supply === "never") this.#drop(waiting, "no-transactions");
    }
    const { newest } = this.#jobs;
    if (newest?.renewal === "due") this.#courier.send(newest);
  }

  /** The pool set another target, by which it judges jobs that it takes from now on. */
  retarget(): void {
    this.#jobs.newest?.retarget(this.#parts.channel.target);
    this.pump();
  }

  /** Sends a share after its job, or keeps it until that is taken. */
  share(share: AcceptedShare): void {
    const { cache, outbox } = this.#parts;
    const declared = this.#jobs.find(share.workId);
    if (declared === undefined) return;
    if (declared.step.at === "accepted") this.#submit(declared, share);
    else if (declared.step.at === "dropped") outbox.count("sharesDiscarded", declared.step.reason);
    else outbox.count("sharesDiscarded", "cache-full", cache.add(share, outbox.now));
  }

  /** Tells the job declarator of a block, if it has its transactions. */
  found(block: FoundBlock): void {
    if (this.#jobs.find(block.workId)?.isDeclared !== true) return;
    this.#parts.outbox.count("solutionsPushed");
    this.#parts.toJds(solutionOf(block));
  }

  /** The job declarator took a job: the pool is told. */
  declared({ requestId, newMiningJobToken }: DeclareMiningJobSuccess): Failure | undefined {
    const declared = this.#questions.answered(requestId, "declaration");
    if (declared === undefined) return unasked("DeclareMiningJobSuccess", requestId);
    this.#parts.outbox.count("jobs", "declared");
    if (declared.isWanted) this.#courier.set(declared, newMiningJobToken.slice());
    this.pump();
    return undefined;
  }

  /** The job declarator refused a job. */
  declarationRefused({ requestId, errorCode }: DeclareMiningJobError): Failure | undefined {
    const declared = this.#questions.answered(requestId, "declaration");
    if (declared === undefined) return unasked("DeclareMiningJobError", requestId);
    declared.isDeclared = declared.step.at === "accepted";
    return this.#refused(declared, { code: "declaration-refused", detail: errorCode });
  }

  /** The job declarator lacks transactions. */
  reveal(message: ProvideMissingTransactions): Failure | undefined {
    const answer = this.#questions.reveal(message);
    if ("failure" in answer) return answer.failure;
    this.#parts.toJds(answer);
    return undefined;
  }

  /** The pool took or refused a job. */
  customJobAnswered(event: CustomJobEvent): Failure | undefined {
    const declared = this.#questions.answered(event.requestId, "custom-job");
    if (declared === undefined) return undefined;
    if (event.type === "custom-job-refused") {
      return this.#refused(declared, { code: "custom-job-refused", detail: event.errorCode });
    }
    this.#parts.outbox.count("jobs", "accepted");
    this.#parts.tolerance.jobAccepted();
    if (!declared.fits(event.extranoncePrefix)) this.#drop(declared, "void-prefix");
    else if (declared.step.at === "setting" || declared.step.at === "accepted") {
      declared.accept(event.jobId, event.target);
      for (const share of this.#parts.cache.take(declared.job.workId)) this.#submit(declared, share);
    }
    this.pump();
    return undefined;
  }

  /** The pool set another extranonce prefix: jobs it has not taken will not be what miners hash. */
  prefixChanged(): void {
    for (const declared of this.#jobs.all) {
      // One that is being set may have been taken before: its answer will tell.
      if (declared.step.at === "waiting" || declared.step.at === "declaring") this.#drop(declared, "void-prefix");
    }
  }

  /** The template provider is gone, and with it the transactions that it has not sent. */
  providerLost(): void {
    if (this.#parts.mode === "COINBASEONLY") return;
    for (const waiting of this.#jobs.waiting) if (waiting.data === undefined) this.#drop(waiting, "no-transactions");
  }

  /** A second has passed. */
  tick(): Failure | undefined {
    const { outbox, timeoutMs } = this.#parts;
    const failure = this.#questions.overdue(outbox.now, timeoutMs);
    if (failure === undefined) this.pump();
    return failure;
  }

  /** Another session is mined for: what nobody has been asked about is of use only to the shares that wait for it. */
  retire(): void {
    for (const declared of this.#jobs.all) {
      declared.renewal = "none";
      if (declared.step.at === "waiting" && !this.#parts.cache.has(declared.job.workId)) {
        this.#drop(declared, "session-ended");
      }
    }
  }

  /** The session is over. */
  close(): void {
    for (const declared of this.#jobs.all) this.#drop(declared, "session-ended");
  }

  #refused(declared: DeclaredJob, failure: Failure): Failure | undefined {
    const { outbox, tolerance } = this.#parts;
    outbox.count("jobs", failure.code);
    const isGone = declared.isStale || declared.step.at === "dropped";
    if (tolerance.jobRefused(failure.detail, isGone, outbox.now) === "fault") return failure;
    outbox.log("info", "job-refused-in-a-race", { ...describe(declared), errorCode: failure.detail });
    if (isGone) this.#drop(declared, "refused");
    else if (declared.step.at === "accepted") declared.renewal = "none";
    else this.#retryLater(declared);
    this.pump();
    return undefined;
  }

  /** With the others that wait: all are on the tip that the upstream has left, or has not heard of. */
  #retryLater(declared: DeclaredJob): void {
    const step = { at: "waiting", retryAt: this.#parts.outbox.now + RETRY_MS } as const;
    for (const one of [declared, ...this.#jobs.waiting]) one.step = step;
  }

  #submit(declared: DeclaredJob, share: AcceptedShare): void {
    const { outbox, channel, toPool } = this.#parts;
    const message = declared.submit(share, channel);
    if (message === undefined) return outbox.count("sharesBelowUpstreamTarget");
    outbox.count("sharesSubmitted");
    toPool(message, share.worker);
  }

  /** Shares of a job that the pool may already have taken are sent when it says so, and else there is no use in them. */
  #leaveTip(): void {
    this.#parts.tolerance.tipMoved(this.#parts.outbox.now);
    for (const declared of this.#jobs.all) {
      declared.isStale = true;
      if (declared.step.at !== "setting") this.#drop(declared, "stale-job");
    }
  }

  /** Gives a job up unless the pool has taken it, and with it the shares that were kept for it. */
  #drop(declared: DeclaredJob, reason: DropReason): void {
    if (declared.step.at === "accepted" || declared.step.at === "dropped") return;
    const { outbox, cache } = this.#parts;
    declared.step = { at: "dropped", reason };
    const shares = cache.take(declared.job.workId).length;
    outbox.count("jobs", reason);
    outbox.count("sharesDiscarded", reason, shares);
    outbox.log(shares > 0 ? "info" : "debug", "job-given-up", { ...describe(declared), reason, shares });
  }
}

function describe({ job }: DeclaredJob): Record<string, unknown> {
  return { jobId: job.workId, templateId: job.origin.templateId.toString() };
}

function unasked(name: string, requestId: number): Failure {
  return { code: "protocol-fault", detail: `${name} for request ${requestId}, which does not wait` };
}
