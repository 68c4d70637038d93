import { meetsTarget } from "@adit/bitcoin";
import { TokenBucket } from "@adit/channels";
import {
  type ChoiceDecision,
  ChoiceDecisions,
  type InUse,
  type RouteState,
  UpstreamChoice,
  type UpstreamPolicy,
} from "@adit/network-helpers";
import type { ReconnectTarget } from "@adit/role-network";
import type { Sv1Share } from "@adit/sv1";
import type { SessionId, SessionInput } from "./effects.ts";
import { assumedLayout, type ExtranonceLayout } from "./extranonce-layout.ts";
import { type Failure, type FailureCode, routeFailure } from "./failure.ts";
import type { Miner, MinerHost } from "./miner.ts";
import { MinerIndexes } from "./miner-indexes.ts";
import type { Outbox } from "./outbox.ts";
import { Uplink } from "./uplink.ts";
import type { UpstreamLink } from "./upstream-link.ts";
import { type SessionHost, type UpstreamRules, UpstreamSession } from "./upstream-session.ts";
import { UpstreamSessions } from "./upstream-sessions.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** A way to an upstream, for logs and the status. */
export interface UpstreamRoute {
  /** Place of the upstream in the config. */
  readonly upstream: number;
  readonly name: string;
  readonly transport: "tcp" | "iroh";
}

/** Where a translator stands with its upstream. */
export interface UpstreamState {
  /** Being mined at; none, and none needed; none, and one wanted. */
  readonly state: "connected" | "idle" | "waiting";
  /** Why the last one was lost or could not be had; null while there is one. May hold text of the peer. */
  readonly reason: string | null;
}

/** Which upstreams there are. */
export interface UpstreamPlan {
  /** The ways to them, in order of preference. */
  readonly routes: readonly UpstreamRoute[];
  readonly policy: UpstreamPolicy;
}

/** A miner whose channel takes longer than this is answered without it. */
const PLACING_PATIENCE_MS = 5000;
/** Requests to reconnect that are followed: more than these at once, and more often, is a fault. */
const RECONNECTS = { burst: 3, perSecond: 1 / 60 };

/** The upstream half of the core: which upstream is mined at, the sessions with it and better ones, and who mines in which. */
export class UpstreamSide implements MinerHost, SessionHost {
  readonly #rules: UpstreamRules;
  readonly #plan: UpstreamPlan;
  readonly #outbox: Outbox;
  readonly #choice: UpstreamChoice<FailureCode>;
  readonly #sessions: UpstreamSessions;
  readonly #uplinks = new Set<Uplink>();
  readonly #byMiner = new Map<Miner, { readonly uplink: Uplink; readonly since: number }>();
  /** Miners that wait for their extranonce. */
  readonly #waiting = new Set<Miner>();
  readonly #indexes: MinerIndexes;
  readonly #reconnects: TokenBucket;
  readonly #decisions = new ChoiceDecisions<FailureCode>((decision) => this.#carryOut(decision));
  #lastRequestId = 0;
  #trouble: string | null = null;
  /** Whether the upstream let go of a connection that no miner needed. */
  #isIdle = false;
  /** What to tell a miner that cannot wait for its channel: what channels were like so far. */
  #usualLayout: ExtranonceLayout;

  constructor(rules: UpstreamRules, plan: UpstreamPlan, outbox: Outbox) {
    const { policy, routes } = plan;
    this.#rules = rules;
    this.#plan = plan;
    this.#outbox = outbox;
    const known = routes.map(({ upstream }, id) => ({ id, upstream }));
    this.#choice = new UpstreamChoice(
      { routes: known, policy, soloAfterMs: undefined, random: rules.random },
      outbox.now,
    );
    this.#sessions = new UpstreamSessions(outbox, (id, route, to) => this.#newSession(id, route, to));
    this.#indexes = new MinerIndexes(Math.floor(rules.random() * 0xffff));
    this.#reconnects = new TokenBucket(RECONNECTS, outbox.now);
    this.#usualLayout = assumedLayout(rules.extranonce2Size);
    if (rules.aggregateChannels) this.#uplinks.add(new Uplink());
  }

  /** All uplinks, for the status. */
  get uplinks(): ReadonlySet<Uplink> {
    return this.#uplinks;
  }

  /** What is mined at now. */
  get inUse(): InUse {
    return this.#choice.inUse;
  }

  /** Where each route stands. */
  get states(): ReadonlyMap<number, RouteState> {
    return this.#choice.states;
  }

  /** The session that is mined in, if there is one. */
  get session(): SessionId | undefined {
    return this.#current?.id;
  }

  /** Where the translator stands with its upstream. */
  get state(): UpstreamState {
    if (typeof this.inUse === "number") return { state: "connected", reason: null };
    return { state: this.#isIdle ? "idle" : "waiting", reason: this.#trouble };
  }

  /** Shares without an answer, in all sessions. */
  get pendingSubmits(): number {
    return this.#sessions.all.reduce((sum, { pendingSubmits }) => sum + pendingSubmits, 0);
  }

  /** Whether a miner that connects now gets work, at once or as soon as the upstream is dialled again. */
  get isServing(): boolean {
    return typeof this.inUse === "number" || this.#isIdle;
  }

  join(miner: Miner): void {
    const index = this.#indexes.take();
    if (index === undefined) return miner.close("no-extranonce-left");
    miner.index = index;
    const uplink = this.#uplinkForOneMore();
    uplink.miners.add(miner);
    this.#byMiner.set(miner, { uplink, since: this.#outbox.now });
    this.#waiting.add(miner);
    this.#isIdle = false;
    this.#openDue();
    if (uplink.active?.state.phase === "open") this.#settle(miner, uplink.active);
    else if (this.#current === undefined) this.#placeAnyway(miner);
    this.#decisions.add(this.#choice.wanted(this.#outbox.now));
  }

  leave(miner: Miner): void {
    const uplink = this.#byMiner.get(miner)?.uplink;
    this.#byMiner.delete(miner);
    this.#waiting.delete(miner);
    if (miner.index !== undefined) this.#indexes.retire(miner.index);
    if (uplink === undefined) return;
    uplink.miners.delete(miner);
    if (this.#rules.aggregateChannels) return;
    this.#uplinks.delete(uplink);
    for (const session of this.#sessions.all) session.forget(uplink);
  }

  submit(work: UpstreamWork, share: Sv1Share): void {
    if (!meetsTarget(share.hash, work.job.targetBytes)) return this.#outbox.count("sharesBelowUpstreamTarget");
    work.link.session.submit(work, share);
  }

  keepsBack(): void {
    this.#current?.keepsBack();
  }

  /** Something happened to a session. What is said to one that has ended meanwhile is of no interest. */
  onSession(input: SessionInput): void {
    const session = this.#sessions.find(input.session);
    if (session === undefined) return;
    switch (input.type) {
      case "session-up":
        session.up(input.setup);
        return this.#openDue();
      case "upstream-message":
        return session.message(input.message);
      case "session-down":
        return this.#down(session, input.reason);
      default:
        input satisfies never;
    }
  }

  /** A second has passed, or it is the start. */
  tick(): void {
    const { now } = this.#outbox;
    const wanting = this.#byMiner.size > 0;
    this.#openDue();
    this.#giveHeld();
    for (const session of this.#sessions.all) session.tick({ wanting, inUse: session === this.#current });
    for (const session of this.#sessions.left(now)) {
      if (session.isOverdue || !this.#isNeeded(session.session)) this.#end(session.session, "not-needed");
    }
    for (const session of this.#sessions.late(now)) {
      this.#fail(session, {
        code: "reconnect-failed",
        detail: "no work came from where the upstream asked to be reached",
      });
    }
    this.#decisions.add(this.#choice.tick(now));
    for (const miner of this.#waiting) {
      const since = this.#byMiner.get(miner)?.since ?? now;
      if (now - since >= PLACING_PATIENCE_MS) this.#placeAnyway(miner);
    }
  }

  /** Closes every channel, as the specification asks of who leaves (5.3.7), and ends the sessions. */
  stop(): void {
    this.#choice.unwanted();
    for (const session of this.#sessions.all) {
      session.closeAll();
      session.end();
      this.#sessions.end(session, "stopping");
    }
  }

  opened(link: UpstreamLink): void {
    const { uplink } = link;
    if (link.state.phase === "open" && link.state.layout.fixedExtranonce1 === null) {
      this.#usualLayout = link.state.layout;
    }
    if (uplink.active !== undefined && uplink.active !== link) return;
    if (link.session !== this.#current) return;
    uplink.active = link;
    for (const miner of uplink.miners) this.#settle(miner, link);
  }

  refused({ uplink }: UpstreamLink): void {
    for (const miner of uplink.miners) if (this.#waiting.has(miner)) this.#placeAnyway(miner);
  }

  worked(link: UpstreamLink, work: UpstreamWork, tipChanged: boolean): void {
    const { uplink, session } = link;
    if (uplink.active !== link) {
      if (session === this.#current) this.#move(link);
      else this.#becomeReady(session);
      return;
    }
    // Jobs of the old tip are dead for every channel of the connection, which all build on the same one.
    if (tipChanged && this.#minesOnlyIn(session)) this.#indexes.releaseRetired();
    if (!uplink.mayTell(work.fresh.clean)) return;
    for (const miner of uplink.miners) if (miner.placed) miner.give(work, false);
  }

  stopped({ uplink }: UpstreamLink): void {
    uplink.retire();
  }

  failed(session: UpstreamSession, failure: Failure): void {
    this.#fail(session, failure);
  }

  asked(session: UpstreamSession, to: ReconnectTarget): void {
    const refusal = this.#reconnectRefusal(session);
    this.#outbox.count("reconnects", refusal ?? "followed");
    const fields = { ...this.#describe(session.route), newHost: to.newHost, newPort: to.newPort };
    if (refusal !== undefined) return this.#outbox.log("debug", "reconnect-not-followed", { ...fields, refusal });
    this.#outbox.log("info", "upstream-asks-to-reconnect", fields);
    this.#sessions.succeed(session, to);
  }

  credited(session: UpstreamSession): void {
    this.#choice.proven(session.route);
  }

  /** The session that is mined in. */
  get #current(): UpstreamSession | undefined {
    return typeof this.inUse === "number" ? this.#sessions.of(this.inUse) : undefined;
  }

  #uplinkForOneMore(): Uplink {
    if (this.#rules.aggregateChannels) for (const shared of this.#uplinks) return shared;
    const own = new Uplink();
    this.#uplinks.add(own);
    return own;
  }

  /**
   * Asks for the channels that are due: all in the session that is mined in, or may be at once; in one that is only tried,
   * the first, which shows whether there is work. Without miners there is nothing to ask, and being set up is enough.
   */
  #openDue(): void {
    const wanting = this.#byMiner.size > 0;
    for (const session of this.#sessions.standing) {
      if (!session.isUp || session === this.#current) continue;
      if (!wanting) this.#becomeReady(session);
      else this.#openIn(session, this.inUse === "nothing" && !this.#sessions.isSuccessor(session));
    }
    if (this.#current !== undefined) this.#openIn(this.#current, true);
  }

  #openIn(session: UpstreamSession, all: boolean): void {
    for (const uplink of this.#uplinks) {
      if (uplink.miners.size === 0) continue;
      session.open(uplink);
      if (!all) return;
    }
  }

  #becomeReady(session: UpstreamSession): void {
    if (!this.#sessions.test(session)) return;
    if (!this.#sessions.takePlace(session))
      return this.#decisions.add(this.#choice.ready(session.route, this.#outbox.now));
    this.#outbox.log("info", "reconnected", this.#describe(session.route));
    if (session === this.#current) this.#enter(session);
  }

  /** Gives an uplink's miners the work of another channel than they had. */
  #move(link: UpstreamLink): void {
    link.uplink.moveTo(link);
    for (const miner of link.uplink.miners) {
      this.#waiting.delete(miner);
      if (link.work !== undefined) miner.give(link.work, false);
    }
  }

  /** Work that came faster than miners are told of it. */
  #giveHeld(): void {
    for (const uplink of this.#uplinks) {
      const work = uplink.active?.work;
      if (!uplink.nextSecond() || work === undefined) continue;
      for (const miner of uplink.miners) if (miner.placed) miner.give(work, false);
    }
  }

  /** Gives a miner its extranonce and the work there is. */
  #settle(miner: Miner, { state }: UpstreamLink): void {
    if (state.phase !== "open") return;
    this.#waiting.delete(miner);
    miner.place(state.layout);
    if (state.work !== undefined && miner.placed) miner.give(state.work, true);
  }

  /** Answers a miner's subscription before its channel is there; its work will come when the upstream does. */
  #placeAnyway(miner: Miner): void {
    this.#waiting.delete(miner);
    miner.place(this.#usualLayout);
  }

  #minesOnlyIn(session: UpstreamSession): boolean {
    return [...this.#uplinks].every(({ active }) => active === undefined || active.session === session);
  }

  /** Whether miners still have its work, or it still owes answers. */
  #isNeeded(session: UpstreamSession): boolean {
    return session.pendingSubmits > 0 || [...this.#uplinks].some(({ active }) => active?.session === session);
  }

  #down(session: UpstreamSession, reason: string): void {
    // Pools close a connection without channels after a while. Until there is a miner, there is no need for another.
    if (session === this.#current && this.#byMiner.size === 0) {
      this.#isIdle = true;
      this.#choice.unwanted();
      this.#outbox.log("info", "upstream let go; it is dialled again when a miner comes", {});
    }
    this.#fail(session, { code: "connection-lost", detail: reason });
  }

  #fail(session: UpstreamSession, failure: Failure): void {
    const { delivered, route } = session;
    const role = this.#sessions.roleOf(session);
    const successor = this.#sessions.successorOf(session);
    this.#outbox.count("sessionFailures", failure.code);
    const fields = { ...this.#describe(route), ...failure };
    this.#trouble = failure.detail;
    this.#outbox.log(this.#levelOf(session), "upstream-failed", fields);
    this.#end(session, `${failure.code}: ${failure.detail}`);
    if (role === "draining") return;
    if (role === "successor") {
      this.#outbox.count("reconnects", "failed");
      // The place is kept for it alone when the session that asked for it is gone already.
      if (this.#sessions.of(route) !== undefined) return;
    } else if (successor !== undefined && failure.code === "connection-lost") return;
    else if (successor !== undefined) this.#end(successor, "not-needed");
    const nature = this.#isIdle
      ? ({ code: failure.code, blames: "nobody" } as const)
      : routeFailure(failure.code, delivered);
    this.#decisions.add(this.#choice.failed(route, nature, this.#outbox.now));
  }

  /** What is not missed is no warning: what was left, what only was tried while another is mined at, what nobody needs. */
  #levelOf(session: UpstreamSession): "debug" | "info" | "warn" {
    if (this.#isIdle || this.#sessions.roleOf(session) === "draining") return "debug";
    return session === this.#current || this.#current === undefined ? "warn" : "info";
  }

  /** Ends a session, and tells miners that its jobs are dead. */
  #end(session: UpstreamSession, reason: string): void {
    const isCurrent = session === this.#current;
    const unansweredShares = session.end();
    this.#sessions.end(session, reason);
    for (const uplink of this.#uplinks) {
      if (uplink.active?.session === session) {
        uplink.active = undefined;
        uplink.retire();
      } else for (const miner of uplink.miners) miner.retireSession(session);
    }
    if (!isCurrent) return;
    if (this.#minesOnlyIn(session)) this.#indexes.releaseRetired();
    const level = this.#isIdle ? "debug" : "warn";
    this.#outbox.log(level, "upstream lost; miners stay connected", { reason, unansweredShares });
    for (const miner of this.#waiting) this.#placeAnyway(miner);
  }

  #carryOut(decision: ChoiceDecision<FailureCode>): void {
    switch (decision.type) {
      case "dial":
        return this.#sessions.begin(decision.route);
      case "use":
        return this.#use(decision);
      case "release":
        return this.#release(decision.route);
      default:
        decision satisfies never;
    }
  }

  #use({ from, to, reason }: Extract<ChoiceDecision<FailureCode>, { readonly type: "use" }>): void {
    this.#outbox.count("switches", reason);
    const fields = { from: this.#nameOf(from), to: this.#nameOf(to), reason };
    this.#outbox.log(to === "nothing" && !this.#isIdle ? "warn" : "info", "upstream-changed", fields);
    const session = typeof to === "number" ? this.#sessions.of(to) : undefined;
    if (session !== undefined) this.#enter(session);
  }

  /** Miners mine in this session from now on: those with a channel at once, the others as soon as theirs has work. */
  #enter(session: UpstreamSession): void {
    for (const uplink of this.#uplinks) {
      const link = session.linkOf(uplink);
      if (link?.state.phase !== "open" || uplink.active === link) continue;
      if (link.work !== undefined) this.#move(link);
      else if (uplink.active === undefined) this.opened(link);
    }
    this.#openIn(session, true);
  }

  #release(route: number): void {
    const session = this.#sessions.of(route);
    if (session === undefined) return;
    if (session.hasWork) this.#sessions.drain(session);
    else this.#end(session, "not-needed");
  }

  #reconnectRefusal(session: UpstreamSession): string | undefined {
    if (session !== this.#current) return "not-in-use";
    if (this.#sessions.successorOf(session) !== undefined) return "under-way";
    return this.#reconnects.take(this.#outbox.now) ? undefined : "too-often";
  }

  #newSession(id: number, route: number, to: ReconnectTarget | undefined): UpstreamSession {
    return new UpstreamSession({
      id,
      route,
      to,
      rules: this.#rules,
      outbox: this.#outbox,
      host: this,
      nextRequestId: () => {
        this.#lastRequestId = (this.#lastRequestId + 1) >>> 0;
        return this.#lastRequestId;
      },
    });
  }

  #nameOf(inUse: InUse): string {
    if (typeof inUse !== "number") return inUse;
    const { name, transport } = this.#plan.routes[inUse] ?? { name: "", transport: "" };
    return `${name} over ${transport}`;
  }

  #describe(route: number): { readonly upstream: string; readonly transport: string } {
    const { name = "", transport = "tcp" } = this.#plan.routes[route] ?? {};
    return { upstream: name, transport };
  }
}
