import type { AcceptedShare, ActivatedJob, FoundBlock, TemplateOrigin } from "@adit/channels";
import type { CommonMessage, JobDeclarationMessage, MiningMessage } from "@adit/codec";
import type { SessionId, SessionSetup } from "./effects.ts";
import type { Failure } from "./failure.ts";
import { JdsSide } from "./jds-side.ts";
import { JobDesk } from "./job-desk.ts";
import { PoolSide } from "./pool-side.ts";
import { ProtocolFaults } from "./protocol-faults.ts";
import { failed, type SessionNews, type SessionOptions, type SessionTerms } from "./session-types.ts";
import { TokenPurse } from "./token-purse.ts";
import { Tolerance } from "./tolerance.ts";
import type { Moves, UpstreamRoute } from "./upstream-plan.ts";

type Phase =
  | { readonly at: "connecting"; readonly since: number }
  /** Both connections are set up. */
  | { readonly at: "up" }
  /** It failed, or is not needed any more. */
  | { readonly at: "ended" };

/** Longest wait for both connections, one after the other, in milliseconds. */
const CONNECT_MS = 30_000;

/**
 * A pool connection and a job-declarator connection, as one: from the set-up of both over the channel and the first token
 * to the declaration of jobs. Any failure of either ends it; it is never used again.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #pool: PoolSide;
  readonly #jds: JdsSide;
  readonly #purse: TokenPurse;
  readonly #tolerance = new Tolerance();
  #phase: Phase;
  /** What takes jobs to the pool, once the channel is open. */
  #desk: JobDesk | undefined;
  #namesWorkers = false;
  #isReady = false;
  #isRetired = false;
  #lastRequestId = 0;

  /** Waits for its connections. */
  constructor(options: SessionOptions) {
    const { now } = options.outbox;
    this.#options = options;
    const faults = new ProtocolFaults(options.id, options.outbox);
    const common = {
      desk: () => this.#desk,
      judge: (failure: Failure | undefined) => this.#judge(failure),
      broke: (code: string, detail: string) => faults.add(code, detail),
    };
    this.#pool = new PoolSide({
      ...common,
      options,
      tolerance: this.#tolerance,
      send: (message) => this.#toPool(message),
      opened: () => this.#onOpened(),
    });
    this.#purse = new TokenPurse({
      userIdentity: options.route.rules.userIdentity,
      rules: options.payout,
      timeoutMs: options.tokenTimeoutMs,
      outbox: options.outbox,
      nextRequestId: () => this.#nextRequestId(),
      toJds: (message) => this.#toJds(message),
    });
    this.#jds = new JdsSide({ ...common, purse: this.#purse, tokenCame: () => this.#becomeReady() });
    this.#phase = { at: "connecting", since: now };
  }

  /** Its number. */
  get id(): SessionId {
    return this.#options.id;
  }

  get route(): UpstreamRoute {
    return this.#options.route;
  }

  /** Where its parts have asked to be reached. */
  get moves(): Moves {
    return this.#options.moves;
  }

  /** What miners' work must be; undefined unless the session is ready. */
  get terms(): SessionTerms | undefined {
    const { channel } = this.#pool;
    const { payout } = this.#purse;
    return this.#phase.at === "up" && channel !== undefined && payout !== undefined ? { channel, payout } : undefined;
  }

  /** Shares that its pool has not answered. */
  get pendingSubmits(): number {
    return this.#pool.pendingSubmits;
  }

  /** Whether its pool owes answers to shares, or will: those that are kept for a job on its way. */
  get owes(): boolean {
    return this.pendingSubmits > 0 || this.#desk?.keepsShares === true;
  }

  /** Whether miners were given a job for it. */
  knows(workId: number): boolean {
    return this.#desk?.knows(workId) === true;
  }

  /** Both connections are set up. */
  up(setup: SessionSetup): SessionNews | undefined {
    if (this.#phase.at !== "connecting") return undefined;
    if (setup.fixedVersion && this.#options.versionRollingAllowed) {
      return failed("version-rolling-forbidden", "set version_rolling_allowed = false to mine at this pool");
    }
    this.#namesWorkers = setup.namesWorkers;
    this.#phase = { at: "up" };
    this.#pool.open(this.#nextRequestId());
    this.#askForTokens();
    return undefined;
  }

  /** The pool sent a message. */
  poolMessage(message: MiningMessage | CommonMessage): SessionNews | undefined {
    return this.#phase.at === "up" ? this.#pool.message(message) : undefined;
  }

  /** The job declarator sent a message. */
  jdsMessage(message: JobDeclarationMessage | CommonMessage): SessionNews | undefined {
    return this.#phase.at === "up" ? this.#jds.message(message) : undefined;
  }

  /** Miners were given a job. */
  mine(job: ActivatedJob<TemplateOrigin>): void {
    this.#desk?.take(job);
    this.#askForTokens();
  }

  /** A miner found a share of a job that the session knows. */
  share(share: AcceptedShare): void {
    this.#desk?.share(share);
  }

  /** A miner found a block. */
  found(block: FoundBlock): void {
    this.#desk?.found(block);
  }

  /** Transactions came, or will not. */
  transactionsChanged(): void {
    this.#desk?.pump();
    this.#askForTokens();
  }

  /** The template provider is gone. */
  providerLost(): void {
    this.#desk?.providerLost();
  }

  /** A second has passed. */
  tick(): SessionNews | undefined {
    const { outbox, answerTimeoutMs } = this.#options;
    const { now } = outbox;
    const phase = this.#phase;
    if (phase.at === "ended") return undefined;
    if (phase.at === "connecting") {
      return now - phase.since < CONNECT_MS ? undefined : failed("connection-timeout", "the connections are not up");
    }
    if (this.#pool.isLate) {
      return failed("channel-timeout", `the pool opened no channel in ${answerTimeoutMs / 1000} s`);
    }
    const failure = this.#purse.tick();
    if (failure !== undefined) return { type: "failed", failure };
    if (this.#tolerance.isOverdue(now)) return failed("custom-job-refused", "the pool stays on another tip");
    this.#askForTokens();
    this.#pool.updateHashrate();
    return this.#judge(this.#desk?.tick());
  }

  /** Another is mined for. Late shares of jobs that the pool took still go to it until the session is ended. */
  retire(): void {
    this.#isRetired = true;
    this.#desk?.retire();
  }

  /** Miners find no more shares: the pool is told that its channel is not needed any more. */
  sayGoodbye(): void {
    if (this.#phase.at === "up") this.#pool.close();
  }

  /** It is over; counts what it leaves unanswered. */
  end(): void {
    this.#desk?.close();
    this.#options.outbox.count("sharesUnanswered", "", this.pendingSubmits);
    this.#phase = { at: "ended" };
    this.#desk = undefined;
  }

  #onOpened(): SessionNews | undefined {
    const { outbox, mode, answerTimeoutMs, cache, transactions } = this.#options;
    const { channel, client } = this.#pool;
    if (channel === undefined) return undefined;
    this.#desk = new JobDesk({
      mode,
      timeoutMs: answerTimeoutMs,
      client,
      channel,
      purse: this.#purse,
      tolerance: this.#tolerance,
      cache,
      transactions,
      outbox,
      nextRequestId: () => this.#nextRequestId(),
      toPool: (message, worker) => this.#toPool(message, worker),
      toJds: (message) => this.#toJds(message),
    });
    return this.#becomeReady();
  }

  #becomeReady(): SessionNews | undefined {
    if (this.#isReady || this.terms === undefined) return undefined;
    this.#isReady = true;
    return { type: "ready" };
  }

  #judge(failure: Failure | undefined): SessionNews | undefined {
    this.#askForTokens();
    return failure && { type: "failed", failure };
  }

  #askForTokens(): void {
    if (!this.#isRetired && this.#phase.at === "up") this.#purse.fill();
  }

  #nextRequestId(): number {
    this.#lastRequestId = (this.#lastRequestId + 1) >>> 0;
    return this.#lastRequestId;
  }

  #toPool(message: MiningMessage, worker?: string): void {
    this.#options.outbox.emit({
      type: "send-pool",
      session: this.id,
      message,
      worker: this.#namesWorkers ? worker : undefined,
    });
  }

  #toJds(message: JobDeclarationMessage): void {
    this.#options.outbox.emit({ type: "send-jds", session: this.id, message });
  }
}
