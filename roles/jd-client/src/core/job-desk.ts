import { hex } from "@adit/bitcoin";
import type {
  AcceptedShare,
  ActivatedJob,
  ClientChannel,
  ClientEvent,
  FoundBlock,
  MiningClient,
  TemplateOrigin,
} from "@adit/channels";
import type {
  DeclareMiningJobError,
  DeclareMiningJobSuccess,
  JobDeclarationMessage,
  MiningMessage,
  ProvideMissingTransactions,
} from "@adit/codec";
import { DeclaredJob, type DropReason } from "./declared-job.ts";
import { customJob, declaredCoinbase, solutionOf } from "./declared-work.ts";
import type { Failure } from "./failure.ts";
import type { Outbox } from "./outbox.ts";
import type { ShareCache } from "./share-cache.ts";
import { type TemplateTransactions, TransactionData } from "./template-transactions.ts";
import type { TokenPurse } from "./token-purse.ts";
import type { Tolerance } from "./tolerance.ts";

/** What a {@link JobDesk} works with: its session's parts, and those that all sessions share. */
export interface JobDeskParts {
  /** Whether jobs are declared with their transactions before the pool is told of them (spec 6.3). */
  readonly mode: "FULLTEMPLATE" | "COINBASEONLY";
  /** Longest wait for an answer about a job, in milliseconds. */
  readonly timeoutMs: number;
  readonly client: MiningClient;
  readonly channel: ClientChannel;
  readonly purse: TokenPurse;
  readonly tolerance: Tolerance;
  readonly cache: ShareCache;
  readonly transactions: TemplateTransactions;
  readonly outbox: Outbox;
  /** A request id that was not used before. */
  readonly nextRequestId: () => number;
  readonly toPool: (message: MiningMessage, worker?: string) => void;
  readonly toJds: (message: JobDeclarationMessage) => void;
}

type CustomJobEvent = Extract<ClientEvent, { readonly type: "custom-job-accepted" | "custom-job-refused" }>;

/** A question about a job that was not answered yet. */
interface Asked {
  readonly declared: DeclaredJob;
  readonly kind: "declaration" | "custom-job";
  readonly since: number;
  /** Transactions are given once for each declaration: whoever asks again learns what it should know. */
  hasRevealed: boolean;
}

/** Questions that wait for their answers at once. */
const MAX_ASKED = 2;
/** Jobs that may wait for their turn; of more, the oldest is given up. */
const MAX_WAITING = 4;
/** Jobs remembered: as many as miners may still find shares or blocks for. */
const MAX_JOBS = 64;
/** A job that was refused in a race is tried again after this. */
const RETRY_MS = 3000;

/**
 * The work of one session: takes each job that miners were given to the pool, by way of the job declarator where
 * transactions are declared, and its shares after it. The newest job goes first. Methods that hear of a fault of the
 * upstream return it.
 */
export class JobDesk {
  readonly #parts: JobDeskParts;
  /** By `workId`, oldest first. */
  readonly #jobs = new Map<number, DeclaredJob>();
  /** By request. Whatever becomes of the job meanwhile, its answer is awaited. */
  readonly #asked = new Map<number, Asked>();
  #tip: string | undefined;

  constructor(parts: JobDeskParts) {
    this.#parts = parts;
  }

  /** Whether shares wait for jobs of this session. */
  get keepsShares(): boolean {
    return [...this.#jobs.keys()].some((workId) => this.#parts.cache.has(workId));
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
    this.#jobs.set(job.workId, new DeclaredJob(job, channel.extranoncePrefix, outbox.now));
    for (const waiting of this.#waiting.slice(0, -MAX_WAITING)) this.#drop(waiting, "superseded");
    for (const [workId, oldest] of this.#jobs) {
      if (this.#jobs.size <= MAX_JOBS) break;
      this.#drop(oldest, "superseded");
      this.#jobs.delete(workId);
    }
    this.pump();
  }

  /** Sends what can be sent: there may be a token, transactions, or an answer less to wait for. */
  pump(): void {
    for (const waiting of this.#waiting.toReversed()) if (this.#hasTransactions(waiting)) this.#ask(waiting);
    if (this.#newest?.renewal === "due") this.#ask(this.#newest);
  }

  /** The pool set another target, by which it judges jobs that it takes from now on. */
  retarget(): void {
    this.#newest?.retarget(this.#parts.channel.target);
    this.pump();
  }

  /** Sends a share after its job, or keeps it until that is taken. */
  share(share: AcceptedShare): void {
    const { cache, outbox } = this.#parts;
    const declared = this.#jobs.get(share.workId);
    if (declared === undefined) return;
    if (declared.step.at === "accepted") this.#submit(declared, share);
    else if (declared.step.at === "dropped") outbox.count("sharesDiscarded", declared.step.reason);
    else outbox.count("sharesDiscarded", "cache-full", cache.add(share, outbox.now));
  }

  /** Tells the job declarator of a block, if it has its transactions. */
  found(block: FoundBlock): void {
    if (this.#jobs.get(block.workId)?.isDeclared !== true) return;
    this.#parts.outbox.count("solutionsPushed");
    this.#parts.toJds(solutionOf(block));
  }

  /** The job declarator took a job: the pool is told. */
  declared({ requestId, newMiningJobToken }: DeclareMiningJobSuccess): Failure | undefined {
    const declared = this.#answered(requestId, "declaration");
    if (declared === undefined) return unasked("DeclareMiningJobSuccess", requestId);
    this.#parts.outbox.count("jobs", "declared");
    if (declared.isWanted) this.#set(declared, newMiningJobToken.slice());
    this.pump();
    return undefined;
  }

  /** The job declarator refused a job. */
  declarationRefused({ requestId, errorCode }: DeclareMiningJobError): Failure | undefined {
    const declared = this.#answered(requestId, "declaration");
    if (declared === undefined) return unasked("DeclareMiningJobError", requestId);
    declared.isDeclared = declared.step.at === "accepted";
    return this.#refused(declared, { code: "declaration-refused", detail: errorCode });
  }

  /** The job declarator lacks transactions. It gets them even if the job is given up meanwhile, as it waits for them. */
  reveal({ requestId, unknownTxPositionList }: ProvideMissingTransactions): Failure | undefined {
    const asked = this.#asked.get(requestId);
    if (asked?.kind !== "declaration") return unfair(`no job is being declared as ${requestId}`);
    if (asked.hasRevealed) return unfair("the transactions were asked for twice");
    const revealed = asked.declared.reveal(unknownTxPositionList);
    if ("fault" in revealed) return unfair(revealed.fault);
    asked.hasRevealed = true;
    const { transactions: transactionList } = revealed;
    this.#parts.toJds({ name: "ProvideMissingTransactionsSuccess", requestId, transactionList });
    return undefined;
  }

  /** The pool took or refused a job. */
  customJobAnswered(event: CustomJobEvent): Failure | undefined {
    const declared = this.#answered(event.requestId, "custom-job");
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
    for (const declared of this.#jobs.values()) {
      // One that is being set may have been taken before: its answer will tell.
      if (declared.step.at === "waiting" || declared.step.at === "declaring") this.#drop(declared, "void-prefix");
    }
  }

  /** The template provider is gone, and with it the transactions that it has not sent. */
  providerLost(): void {
    if (this.#parts.mode === "COINBASEONLY") return;
    for (const waiting of this.#waiting) if (waiting.data === undefined) this.#drop(waiting, "no-transactions");
  }

  /** A second has passed. */
  tick(): Failure | undefined {
    const { outbox, timeoutMs } = this.#parts;
    for (const { kind, since } of this.#asked.values()) {
      if (outbox.now - since < timeoutMs) continue;
      return { code: `${kind}-timeout`, detail: `no answer in ${timeoutMs / 1000} s` };
    }
    this.pump();
    return undefined;
  }

  /** Another session is mined for: what nobody has been asked about is of use only to the shares that wait for it. */
  retire(): void {
    for (const declared of this.#jobs.values()) {
      declared.renewal = "none";
      if (declared.step.at === "waiting" && !this.#parts.cache.has(declared.job.workId)) {
        this.#drop(declared, "session-ended");
      }
    }
  }

  /** The session is over. */
  close(): void {
    for (const declared of this.#jobs.values()) this.#drop(declared, "session-ended");
  }

  get #newest(): DeclaredJob | undefined {
    return [...this.#jobs.values()].at(-1);
  }

  get #waiting(): readonly DeclaredJob[] {
    return [...this.#jobs.values()].filter(({ step }) => step.at === "waiting");
  }

  /** Whether a job has what it must be declared with. */
  #hasTransactions(waiting: DeclaredJob): boolean {
    const { mode, transactions, outbox } = this.#parts;
    if (mode === "COINBASEONLY" || waiting.data !== undefined) return true;
    const { templateId } = waiting.job.origin;
    const state = transactions.find(templateId);
    if (state instanceof TransactionData) waiting.data = state;
    else if (state === "refused") this.#drop(waiting, "no-transactions");
    else if (transactions.want(templateId)) outbox.emit({ type: "request-transaction-data", templateId });
    return waiting.data !== undefined;
  }

  #ask(waiting: DeclaredJob): void {
    const { purse, outbox } = this.#parts;
    if (waiting.step.at === "waiting" && waiting.step.retryAt > outbox.now) return;
    if (this.#asked.size >= MAX_ASKED) return;
    const token = purse.take();
    if (token === undefined) return;
    if (waiting.data === undefined) this.#set(waiting, token);
    else this.#declare(waiting, waiting.data, token);
  }

  #declare(waiting: DeclaredJob, { wtxids, excessData }: TransactionData, miningJobToken: Uint8Array): void {
    const { outbox, nextRequestId, toJds } = this.#parts;
    const requestId = nextRequestId();
    const { job } = waiting;
    waiting.ask("declaring");
    waiting.isDeclared = true;
    this.#asked.set(requestId, { declared: waiting, kind: "declaration", since: outbox.now, hasRevealed: false });
    const { version } = job;
    const coinbase = declaredCoinbase(job);
    toJds({ name: "DeclareMiningJob", requestId, miningJobToken, version, ...coinbase, wtxidList: wtxids, excessData });
  }

  #set(declared: DeclaredJob, miningJobToken: Uint8Array): void {
    const { outbox, nextRequestId, toPool, client, channel } = this.#parts;
    const requestId = nextRequestId();
    declared.ask("setting");
    this.#asked.set(requestId, { declared, kind: "custom-job", since: outbox.now, hasRevealed: false });
    toPool(client.setCustomMiningJob(channel, { requestId, miningJobToken, ...customJob(declared.job) }));
  }

  #answered(requestId: number, kind: Asked["kind"]): DeclaredJob | undefined {
    const asked = this.#asked.get(requestId);
    if (asked?.kind !== kind) return undefined;
    this.#asked.delete(requestId);
    return asked.declared;
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
    for (const one of [declared, ...this.#waiting]) one.step = step;
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
    for (const declared of this.#jobs.values()) {
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

function unfair(detail: string): Failure {
  return { code: "bad-transaction-request", detail };
}

function unasked(name: string, requestId: number): Failure {
  return { code: "protocol-fault", detail: `${name} for request ${requestId}, which does not wait` };
}
