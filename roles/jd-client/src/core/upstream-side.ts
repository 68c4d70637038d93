import type { AcceptedShare, ActivatedJob, FoundBlock, TemplateOrigin } from "@adit/channels";
import type { TemplateEvent } from "@adit/mining-shell";
import {
  type ChoiceDecision,
  ChoiceDecisions,
  type ChoiceReason,
  type InUse,
  type RouteState,
  RouteTable,
  UpstreamChoice,
} from "@adit/network-helpers";
import type { ReconnectTarget } from "@adit/role-network";
import type { SessionInput } from "./effects.ts";
import { type Failure, type FailureCode, routeFailure } from "./failure.ts";
import type { JdClientOptions } from "./jd-client-options.ts";
import type { MinerSide } from "./miner-side.ts";
import type { Outbox } from "./outbox.ts";
import type { Session } from "./session.ts";
import { sessionMaker } from "./session-maker.ts";
import { type NewsOfSession, Sessions } from "./sessions.ts";
import { ShareCache } from "./share-cache.ts";
import { TemplateSide } from "./template-side.ts";
import { TemplateTransactions } from "./template-transactions.ts";
import type { UpstreamPart, UpstreamPlan, UpstreamRoute } from "./upstream-plan.ts";
import { WorkLedger } from "./work-ledger.ts";

/** Why something else is mined for. */
type ChangeReason =
  | ChoiceReason
  | FailureCode
  /** Whoever asked to be reached elsewhere is ready there, after a time in which it was nowhere. */
  | "reconnected";

/** The upstream half of the core: which upstream is mined for, and the sessions with it and the better ones. */
export class UpstreamSide {
  readonly #outbox: Outbox;
  readonly #miners: MinerSide;
  readonly #cache = new ShareCache();
  readonly #templates: TemplateSide;
  /** The ways to upstreams. */
  readonly routes: RouteTable<UpstreamRoute>;
  readonly #sessions: Sessions;
  readonly #choice: UpstreamChoice<FailureCode>;
  readonly #ledger = new WorkLedger();
  #inUse: InUse = "nothing";
  readonly #decisions = new ChoiceDecisions<FailureCode>((decision) => this.#carryOut(decision));

  constructor(options: JdClientOptions, outbox: Outbox, miners: MinerSide) {
    const { mode, plan, soloAfterMs, random, server } = options;
    this.#outbox = outbox;
    this.#miners = miners;
    const transactions = new TemplateTransactions(server.hashing);
    const shared = { outbox, cache: this.#cache, transactions, hashrate: miners.hashrate };
    this.#sessions = new Sessions(outbox, sessionMaker(options, shared));
    this.#templates = new TemplateSide({ mode, transactions, sessions: this.#sessions, outbox });
    this.routes = new RouteTable(plan.routes, ({ rules }) => rules.name);
    this.#choice = new UpstreamChoice({ ...plan, soloAfterMs, random }, outbox.now);
  }

  /** What is mined for now: nobody but the miner, too, while what shall follow the session in use is awaited. */
  get inUse(): InUse {
    return this.#inUse;
  }

  /** Where each route stands, by its id. */
  get states(): ReadonlyMap<number, RouteState> {
    return this.#choice.states;
  }

  /** Shares that wait for their job to be taken. */
  get cachedShares(): number {
    return this.#cache.size;
  }

  /** Shares that no pool has answered: on their way, or kept until their job is taken. */
  get pendingShares(): number {
    return this.#sessions.pendingSubmits + this.#cache.size;
  }

  /** Something happened to a session. What is said to one that has ended meanwhile is of no interest. */
  onSession(input: SessionInput): void {
    const heard = this.#sessions.hear(input);
    if (heard !== undefined) this.#heed(heard);
  }

  /** The template provider said something, and miners have been told. */
  onTemplateEvent(event: TemplateEvent): void {
    this.#templates.heed(event);
  }

  /** A second has passed, or it is the start. */
  tick(): void {
    const { now } = this.#outbox;
    for (const news of this.#sessions.tick()) this.#heed(news);
    this.#outbox.count("sharesDiscarded", "too-old", this.#cache.expire(now));
    this.#decisions.add(this.#choice.tick(now));
  }

  /** Other upstreams, or another order or policy, are in force. */
  replace(plan: UpstreamPlan): void {
    const inUse = this.#choice.inUse;
    const changes = this.routes.replace(plan.routes, inUse);
    for (const change of ["added", "removed"] as const) this.#outbox.count("routeChanges", change, changes[change]);
    const isInUseRemoved = typeof inUse === "number" && !this.routes.isListed(inUse);
    const fields = { routes: plan.routes.length, ...changes, inUse: this.routes.nameOf(inUse), isInUseRemoved };
    this.#outbox.log("info", "upstream-list-changed", fields);
    this.#decisions.add(this.#choice.replace(plan, this.#outbox.now));
  }

  /** Tells all upstreams goodbye. */
  stop(): void {
    this.#choice.unwanted();
    this.#sessions.stop();
  }

  /** Miners were given a job. */
  mine(job: ActivatedJob<TemplateOrigin>): void {
    this.#ledger.add(job.workId, this.#inUse);
    this.#session?.mine(job);
  }

  /** A miner found a share. */
  share(share: AcceptedShare): void {
    const session = this.#sessions.knowing(share.workId);
    if (session !== undefined) return session.share(share);
    if (this.#ledger.isSolo(share.workId)) this.#outbox.count("sharesSolo");
    else this.#outbox.count("sharesDiscarded", "session-ended");
  }

  /** A miner found a block, and the template provider has it. */
  found(block: FoundBlock): void {
    this.#sessions.knowing(block.workId)?.found(block);
  }

  /** The session that is mined for. */
  get #session(): Session | undefined {
    return typeof this.#inUse === "number" ? this.#sessions.of(this.#inUse) : undefined;
  }

  #heed({ session, news }: NewsOfSession): void {
    // What was heard before of others may have ended it.
    if (!this.#sessions.has(session)) return;
    const terms = session === this.#session ? session.terms : undefined;
    switch (news.type) {
      case "ready":
        return this.#becomeReady(session);
      case "failed":
        return this.#fail(session, news.failure);
      case "asked":
        return this.#asked(session, news.part, news.to);
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

  #becomeReady(session: Session): void {
    const { route } = session;
    if (!this.#sessions.takePlace(session)) return this.#decisions.add(this.#choice.ready(route.id, this.#outbox.now));
    this.#outbox.log("info", "reconnected", { upstream: route.rules.name });
    if (this.#choice.inUse !== route.id) return;
    if (this.#inUse === route.id) this.#rework();
    else this.#change(route.id, "reconnected");
  }

  #asked(session: Session, part: UpstreamPart, to: ReconnectTarget): void {
    const refusal = session === this.#session ? this.#sessions.reconnectRefusal(session, part) : "not-in-use";
    this.#outbox.count("reconnects", refusal ?? "followed");
    const { newHost, newPort } = to;
    const fields = { upstream: session.route.rules.name, part, newHost, newPort };
    if (refusal !== undefined) return this.#outbox.log("debug", "reconnect-not-followed", { ...fields, refusal });
    this.#outbox.log("info", "upstream-asks-to-reconnect", fields);
    this.#sessions.succeed(session, part, to);
  }

  #fail(session: Session, failure: Failure): void {
    const wasLeft = this.#sessions.isDraining(session);
    const wasSuccessor = this.#sessions.isSuccessor(session);
    const successor = this.#sessions.successorOf(session);
    const { id, rules } = session.route;
    this.#outbox.log(wasLeft ? "debug" : "warn", "upstream-failed", { upstream: rules.name, ...failure });
    this.#sessions.fail(session, failure);
    if (wasLeft) return;
    if (wasSuccessor) {
      this.#outbox.count("reconnects", "failed");
      // Whoever asked for it serves on; when that has ended, the place was kept for it alone.
      if (this.#sessions.of(id) !== undefined) return;
    }
    if (successor !== undefined && failure.code === "connection-lost") return this.#await(session, failure);
    if (successor !== undefined) this.#sessions.release(id);
    this.#decisions.add(this.#choice.failed(id, routeFailure(failure.code), this.#outbox.now));
  }

  /** Whoever asked to be reached elsewhere is gone before that is ready: until then blocks pay to the miner. */
  #await({ route }: Session, { code }: Failure): void {
    if (this.#inUse === route.id) this.#change("solo", code);
  }

  #carryOut(decision: ChoiceDecision<FailureCode>): void {
    switch (decision.type) {
      case "dial":
        return this.#dial(decision.route);
      case "use":
        return this.#change(decision.to, decision.reason);
      case "release":
        return this.#sessions.release(decision.route);
      default:
        return decision satisfies never;
    }
  }

  #dial(id: number): void {
    const route = this.routes.find(id);
    if (route !== undefined) this.#sessions.begin(route);
  }

  #change(to: InUse, reason: ChangeReason): void {
    const from = this.#inUse;
    // It was awaited in vain, and there is no other.
    if (from === to) return;
    this.#inUse = to;
    this.#outbox.count("switches", reason);
    const level = to === "solo" && reason !== "solo-mode" ? "warn" : "info";
    const { pool, jds } = (typeof to === "number" ? this.routes.find(to) : undefined) ?? {};
    const fields = { from: this.routes.nameOf(from), to: this.routes.nameOf(to), pool, jds, reason };
    this.#outbox.log(level, "upstream-changed", fields);
    this.#rework();
  }

  #rework(): void {
    const session = this.#session;
    const problem = this.#miners.rework(session?.terms);
    if (problem === undefined) return;
    if (session === undefined) throw new RangeError(`solo mining does not fit: ${problem}`);
    this.#fail(session, { code: "extranonce-unusable", detail: problem });
  }
}
