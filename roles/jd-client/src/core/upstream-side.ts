import type { AcceptedShare, ActivatedJob, FoundBlock, TemplateOrigin } from "@adit/channels";
import type { TemplateEvent } from "@adit/mining-shell";
import {
  type ChoiceDecision,
  ChoiceDecisions,
  type InUse,
  type RouteState,
  UpstreamChoice,
} from "@adit/network-helpers";
import type { SessionId, SessionInput } from "./effects.ts";
import { type Failure, type FailureCode, routeFailure } from "./failure.ts";
import type { JdClientOptions } from "./jd-client-options.ts";
import type { Outbox } from "./outbox.ts";
import { Session } from "./session.ts";
import type { SessionNews, SessionTerms } from "./session-types.ts";
import { Sessions } from "./sessions.ts";
import { ShareCache } from "./share-cache.ts";
import { nameOf } from "./status.ts";
import { TemplateTransactions } from "./template-transactions.ts";

/** The half of the core that serves miners, as its upstream half sees it. */
export interface MinerSide {
  /** The miners' summed hashrate, in H/s; that of the weakest there may be, while there is none. */
  readonly hashrate: () => number;
  /**
   * Makes all work anew for what is mined for now: undefined is the miner alone. Returns why that does not fit, if it
   * does not; then nothing has changed.
   */
  readonly rework: (terms: SessionTerms | undefined) => string | undefined;
  /** Miners' targets must follow the pool's. */
  readonly retarget: (terms: SessionTerms) => void;
}

/** Bytes of the extranonce that tell the channels of miners apart. */
export const INDEX_SIZE = 2;
/** Jobs whose purpose is remembered: as many as miners may still find shares for. */
const MAX_JOBS = 128;

/** The upstream half of the core: which upstream is mined for, and the sessions with it and the better ones. */
export class UpstreamSide {
  readonly #options: JdClientOptions;
  readonly #outbox: Outbox;
  readonly #miners: MinerSide;
  readonly #cache = new ShareCache();
  readonly #transactions: TemplateTransactions;
  readonly #sessions: Sessions;
  readonly #choice: UpstreamChoice<FailureCode>;
  /** What jobs were made for, by `workId`; oldest first. */
  readonly #madeFor = new Map<number, InUse>();
  readonly #decisions = new ChoiceDecisions<FailureCode>((decision) => this.#carryOut(decision));

  constructor(options: JdClientOptions, outbox: Outbox, miners: MinerSide) {
    const { mode, routes, policy, soloAfterMs, random, server } = options;
    this.#options = options;
    this.#outbox = outbox;
    this.#miners = miners;
    this.#transactions = new TemplateTransactions(server.hashing);
    this.#sessions = new Sessions(outbox, (id, route) => this.#newSession(id, route));
    const known = mode === null ? [] : routes.map(({ upstream }, id) => ({ id, upstream }));
    this.#choice = new UpstreamChoice({ routes: known, policy, soloAfterMs, random }, outbox.now);
  }

  /** What is mined for now. */
  get inUse(): InUse {
    return this.#choice.inUse;
  }

  /** Where each route stands. */
  get states(): ReadonlyMap<number, RouteState> {
    return this.#choice.states;
  }

  /** Shares that wait for their job to be taken. */
  get cachedShares(): number {
    return this.#cache.size;
  }

  /** Something happened to a session. What is said to one that has ended meanwhile is of no interest. */
  onSession(input: SessionInput): void {
    const session = this.#sessions.find(input.session);
    if (session === undefined) return;
    const news = newsOf(session, input);
    if (news !== undefined) this.#heed(session, news);
  }

  /** The template provider said something, and miners have been told. */
  onTemplateEvent(event: TemplateEvent): void {
    switch (event.type) {
      case "provider-connected":
        return this.#transactions.clear();
      case "provider-lost":
        return this.#sessions.providerLost();
      case "template":
        return this.#wantTransactions(event.template.templateId);
      case "prev-hash":
        return;
      case "transaction-data":
        this.#transactions.add(event.templateId, event);
        return this.#sessions.transactionsChanged();
      case "transaction-data-refused":
        this.#transactions.refuse(event.templateId);
        return this.#sessions.transactionsChanged();
      default:
        return event satisfies never;
    }
  }

  /** A second has passed, or it is the start. */
  tick(): void {
    const { now } = this.#outbox;
    for (const { session, news } of this.#sessions.tick()) this.#heed(session, news);
    this.#outbox.count("sharesDiscarded", "too-old", this.#cache.expire(now));
    this.#decisions.add(this.#choice.tick(now));
  }

  /** Miners were given a job. */
  mine(job: ActivatedJob<TemplateOrigin>): void {
    this.#madeFor.set(job.workId, this.inUse);
    for (const oldest of this.#madeFor.keys()) {
      if (this.#madeFor.size <= MAX_JOBS) break;
      this.#madeFor.delete(oldest);
    }
    this.#session?.mine(job);
  }

  /** A miner found a share. */
  share(share: AcceptedShare): void {
    const session = this.#sessions.knowing(share.workId);
    if (session !== undefined) return session.share(share);
    if (this.#madeFor.get(share.workId) === "solo") this.#outbox.count("sharesSolo");
    else this.#outbox.count("sharesDiscarded", "session-ended");
  }

  /** A miner found a block, and the template provider has it. */
  found(block: FoundBlock): void {
    this.#sessions.knowing(block.workId)?.found(block);
  }

  /** The session that is mined for. */
  get #session(): Session | undefined {
    return typeof this.inUse === "number" ? this.#sessions.of(this.inUse) : undefined;
  }

  #wantTransactions(templateId: bigint): void {
    if (this.#options.mode !== "FULLTEMPLATE" || !this.#transactions.want(templateId)) return;
    this.#outbox.emit({ type: "request-transaction-data", templateId });
  }

  #heed(session: Session, news: SessionNews): void {
    const terms = session === this.#session ? session.terms : undefined;
    switch (news.type) {
      case "ready":
        return this.#decisions.add(this.#choice.ready(session.route, this.#outbox.now));
      case "failed":
        return this.#fail(session, news.failure);
      case "target":
        if (terms !== undefined) this.#miners.retarget(terms);
        return;
      case "prefix":
        if (terms !== undefined) this.#rework();
        return;
      default:
        return news satisfies never;
    }
  }

  #fail(session: Session, failure: Failure): void {
    const wasLeft = this.#sessions.isDraining(session);
    const upstream = this.#nameOf(session.route);
    this.#outbox.log(wasLeft ? "debug" : "warn", "upstream-failed", { upstream, ...failure });
    this.#sessions.fail(session, failure);
    if (wasLeft) return;
    this.#decisions.add(this.#choice.failed(session.route, routeFailure(failure.code), this.#outbox.now));
  }

  #carryOut(decision: ChoiceDecision<FailureCode>): void {
    switch (decision.type) {
      case "dial":
        return this.#sessions.begin(decision.route);
      case "use":
        return this.#use(decision);
      case "release":
        return this.#sessions.release(decision.route);
      default:
        return decision satisfies never;
    }
  }

  #use({ from, to, reason }: Extract<ChoiceDecision<FailureCode>, { readonly type: "use" }>): void {
    this.#outbox.count("switches", reason);
    const level = to === "solo" && reason !== "solo-mode" ? "warn" : "info";
    const route = typeof to === "number" ? this.#options.routes[to] : undefined;
    const over = route === undefined ? {} : { pool: route.pool, jds: route.jds };
    this.#outbox.log(level, "upstream-changed", { from: this.#nameOf(from), to: this.#nameOf(to), ...over, reason });
    this.#rework();
  }

  #rework(): void {
    const session = this.#session;
    const problem = this.#miners.rework(session?.terms);
    if (problem === undefined) return;
    if (session === undefined) throw new RangeError(`solo mining does not fit: ${problem}`);
    this.#fail(session, { code: "extranonce-unusable", detail: problem });
  }

  #nameOf(inUse: InUse): string {
    return nameOf(inUse, this.#options);
  }

  #newSession(id: SessionId, route: number): Session {
    const { upstreams, routes, mode, outputSpace, tokenTimeoutMs, answerTimeoutMs, server, reservedExtranonceSize } =
      this.#options;
    const rules = upstreams[routes[route]?.upstream ?? -1];
    if (rules === undefined || mode === null) throw new RangeError(`there is no route ${route}`);
    return new Session({
      id,
      route,
      userIdentity: rules.userIdentity,
      payout: { space: outputSpace, expectedScript: rules.expectedScript },
      mode,
      minExtranonceSize: INDEX_SIZE + reservedExtranonceSize,
      versionRollingAllowed: server.versionRollingAllowed,
      tokenTimeoutMs,
      answerTimeoutMs,
      hashrate: this.#miners.hashrate,
      outbox: this.#outbox,
      cache: this.#cache,
      transactions: this.#transactions,
    });
  }
}

function newsOf(session: Session, input: SessionInput): SessionNews | undefined {
  switch (input.type) {
    case "session-up":
      return session.up(input.setup);
    case "pool-message":
      return session.poolMessage(input.message);
    case "jds-message":
      return session.jdsMessage(input.message);
    case "session-down":
      return { type: "failed", failure: { code: "connection-lost", detail: input.reason } };
    default:
      return input satisfies never;
  }
}
