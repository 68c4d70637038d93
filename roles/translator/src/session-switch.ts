import {
  type ChoiceDecision,
  ChoiceDecisions,
  type InUse,
  type RouteState,
  RouteTable,
  UpstreamChoice,
} from "@adit/network-helpers";
import { type Failure, type FailureCode, routeFailure } from "./failure.ts";
import type { Outbox } from "./outbox.ts";
import type { PlacedMiners } from "./placed-miners.ts";
import { routeFields } from "./route-fields.ts";
import type { SessionHost } from "./session-host.ts";
import type { UpstreamPlan, UpstreamRoute, UpstreamState } from "./upstream-plan.ts";
import type { UpstreamRules } from "./upstream-rules.ts";
import { UpstreamSession } from "./upstream-session.ts";
import { UpstreamSessions } from "./upstream-sessions.ts";

/** What a {@link SessionSwitch} works with. */
export interface SessionSwitchParts {
  readonly rules: UpstreamRules;
  readonly plan: UpstreamPlan;
  readonly outbox: Outbox;
  readonly miners: PlacedMiners;
  /** Whom sessions tell what came of a message. */
  readonly host: SessionHost;
}

/** Which session is mined in: begins, uses, leaves and ends sessions as the choice of the upstream decides. */
export class SessionSwitch {
  readonly sessions: UpstreamSessions;
  readonly routes: RouteTable<UpstreamRoute>;
  readonly #parts: SessionSwitchParts;
  readonly #choice: UpstreamChoice<FailureCode>;
  readonly #decisions = new ChoiceDecisions<FailureCode>((decision) => this.#carryOut(decision));
  #lastRequestId = 0;
  #trouble: string | null = null;
  /** Whether the upstream let go of a connection that no miner needed. */
  #isIdle = false;

  constructor(parts: SessionSwitchParts) {
    const { plan, rules, outbox, host } = parts;
    const { policy, routes } = plan;
    this.#parts = parts;
    const choosing = { policy, soloAfterMs: undefined, random: rules.random };
    this.#choice = new UpstreamChoice({ ...choosing, routes }, outbox.now);
    this.routes = new RouteTable(routes, ({ name, transport }) => `${name} over ${transport}`);
    this.sessions = new UpstreamSessions(outbox, (id, route) => {
      return new UpstreamSession({ id, route, rules, outbox, host, nextRequestId: () => this.#nextRequestId() });
    });
  }

  /** What is mined at now. */
  get inUse(): InUse {
    return this.#choice.inUse;
  }

  /** Where each route stands. */
  get states(): ReadonlyMap<number, RouteState> {
    return this.#choice.states;
  }

  /** The session that is mined in. */
  get current(): UpstreamSession | undefined {
    return typeof this.inUse === "number" ? this.sessions.of(this.inUse) : undefined;
  }

  /** Where the translator stands with its upstream. */
  get state(): UpstreamState {
    if (typeof this.inUse === "number") return { state: "connected", reason: null };
    return { state: this.#isIdle ? "idle" : "waiting", reason: this.#trouble };
  }

  /** A miner has come and is placed by `place`, after the channels that are due because of it were asked for. */
  wanted(place: () => void): void {
    this.#isIdle = false;
    this.openDue();
    place();
    this.#decisions.add(this.#choice.wanted(this.#parts.outbox.now));
  }

  /**
   * Asks for the channels that are due: all in the session that is mined in, or may be at once; in one that is only tried,
   * the first, which shows whether there is work. Without miners there is nothing to ask, and being set up is enough.
   */
  openDue(): void {
    const wanting = this.#parts.miners.count > 0;
    for (const session of this.sessions.standing) {
      if (!session.isUp || session === this.current) continue;
      if (!wanting) this.worked(session);
      else this.#openIn(session, this.inUse === "nothing" && !this.sessions.isSuccessor(session));
    }
    if (this.current !== undefined) this.#openIn(this.current, true);
  }

  /** A session has shown that there is work in it. */
  worked(session: UpstreamSession): void {
    if (!this.sessions.test(session)) return;
    if (!this.sessions.takePlace(session))
      return this.#decisions.add(this.#choice.ready(session.route.id, this.#parts.outbox.now));
    this.#parts.outbox.log("info", "reconnected", routeFields(session.route));
    if (session === this.current) this.#enter(session);
  }

  /** A session credited work. */
  credited(session: UpstreamSession): void {
    this.#choice.proven(session.route.id);
  }

  /** The connection of a session could not be made, or has ended. */
  down(session: UpstreamSession, reason: string): void {
    // Pools close a connection without channels after a while. Until there is a miner, there is no need for another.
    if (session === this.current && this.#parts.miners.count === 0) {
      this.#isIdle = true;
      this.#choice.unwanted();
      this.#parts.outbox.log("info", "upstream let go; it is dialled again when a miner comes", {});
    }
    this.fail(session, { code: "connection-lost", detail: reason });
  }

  /** A session is of no use any more. */
  fail(session: UpstreamSession, failure: Failure): void {
    const { outbox } = this.#parts;
    const { delivered, route } = session;
    const role = this.sessions.roleOf(session);
    const successor = this.sessions.successorOf(session);
    outbox.count("sessionFailures", failure.code);
    this.#trouble = failure.detail;
    outbox.log(this.#levelOf(session), "upstream-failed", { ...routeFields(route), ...failure });
    this.end(session, `${failure.code}: ${failure.detail}`);
    if (role === "draining") return;
    if (role === "successor") {
      outbox.count("reconnects", "failed");
      // The place is kept for it alone when the session that asked for it is gone already.
      if (this.sessions.of(route.id) !== undefined) return;
    } else if (successor !== undefined && failure.code === "connection-lost") return;
    else if (successor !== undefined) this.end(successor, "not-needed");
    const nature = this.#isIdle
      ? ({ code: failure.code, blames: "nobody" } as const)
      : routeFailure(failure.code, delivered);
    this.#decisions.add(this.#choice.failed(route.id, nature, outbox.now));
  }

  /** Ends a session, and tells miners that its jobs are dead. */
  end(session: UpstreamSession, reason: string): void {
    const { outbox, miners } = this.#parts;
    const isCurrent = session === this.current;
    const unansweredShares = session.end();
    this.sessions.end(session, reason);
    miners.retire(session.id);
    if (!isCurrent) return;
    const level = this.#isIdle ? "debug" : "warn";
    outbox.log(level, "upstream lost; miners stay connected", { reason, unansweredShares });
    miners.lost(session.id);
  }

  /** A second has passed, or it is the start. */
  tick(): void {
    this.#decisions.add(this.#choice.tick(this.#parts.outbox.now));
  }

  /** Other upstreams, or another order or policy, are in force. What is mined in stays until another has given work. */
  replace(plan: UpstreamPlan): void {
    const { outbox } = this.#parts;
    const changes = this.routes.replace(plan.routes, this.inUse);
    for (const change of ["added", "removed"] as const) outbox.count("routeChanges", change, changes[change]);
    const isInUseRemoved = typeof this.inUse === "number" && !this.routes.isListed(this.inUse);
    const fields = { routes: plan.routes.length, ...changes, inUse: this.routes.nameOf(this.inUse), isInUseRemoved };
    outbox.log("info", "upstream-list-changed", fields);
    this.#decisions.add(this.#choice.replace(plan, outbox.now));
  }

  /** Nothing is dialled any more. */
  unwanted(): void {
    this.#choice.unwanted();
  }

  #openIn(session: UpstreamSession, all: boolean): void {
    for (const uplink of this.#parts.miners.uplinks) {
      if (uplink.miners.size === 0) continue;
      session.open(uplink);
      if (!all) return;
    }
  }

  /** What is not missed is no warning: what was left, what only was tried while another is mined at, what nobody needs. */
  #levelOf(session: UpstreamSession): "debug" | "info" | "warn" {
    if (this.#isIdle || this.sessions.roleOf(session) === "draining") return "debug";
    return session === this.current || this.current === undefined ? "warn" : "info";
  }

  #carryOut(decision: ChoiceDecision<FailureCode>): void {
    switch (decision.type) {
      case "dial":
        return this.#begin(decision.route);
      case "use":
        return this.#use(decision);
      case "release":
        return this.#release(decision.route);
      default:
        decision satisfies never;
    }
  }

  #use({ from, to, reason }: Extract<ChoiceDecision<FailureCode>, { readonly type: "use" }>): void {
    const { outbox } = this.#parts;
    outbox.count("switches", reason);
    const fields = { from: this.routes.nameOf(from), to: this.routes.nameOf(to), reason };
    outbox.log(to === "nothing" && !this.#isIdle ? "warn" : "info", "upstream-changed", fields);
    const session = typeof to === "number" ? this.sessions.of(to) : undefined;
    if (session !== undefined) this.#enter(session);
  }

  /** Miners mine in this session from now on: those with a channel at once, the others as soon as theirs has work. */
  #enter(session: UpstreamSession): void {
    const { miners } = this.#parts;
    for (const uplink of miners.uplinks) {
      const link = session.linkOf(uplink);
      if (link?.state.phase !== "open" || uplink.active === link) continue;
      if (link.work !== undefined) miners.move(link);
      else if (uplink.active === undefined) miners.opened(link, true);
    }
    this.#openIn(session, true);
  }

  #begin(id: number): void {
    const route = this.routes.find(id);
    if (route !== undefined) this.sessions.begin(route);
  }

  #release(route: number): void {
    const successor = this.sessions.successorOver(route);
    if (successor !== undefined) this.end(successor, "not-needed");
    const session = this.sessions.of(route);
    if (session === undefined) return;
    if (session.hasWork) this.sessions.drain(session);
    else this.end(session, "not-needed");
  }

  #nextRequestId(): number {
    this.#lastRequestId = (this.#lastRequestId + 1) >>> 0;
    return this.#lastRequestId;
  }
}
