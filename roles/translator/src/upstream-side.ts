import { meetsTarget } from "@adit/bitcoin";
import type { ReconnectTarget } from "@adit/role-network";
import type { Sv1Share } from "@adit/sv1";
import type { SessionId, SessionInput } from "./effects.ts";
import type { Failure } from "./failure.ts";
import type { Miner, MinerHost } from "./miner.ts";
import type { Outbox } from "./outbox.ts";
import { PlacedMiners } from "./placed-miners.ts";
import { Reconnects } from "./reconnects.ts";
import type { SessionHost } from "./session-host.ts";
import { SessionSwitch } from "./session-switch.ts";
import type { RouteStanding } from "./status.ts";
import type { Uplink } from "./uplink.ts";
import type { UpstreamLink } from "./upstream-link.ts";
import type { UpstreamPlan, UpstreamState } from "./upstream-plan.ts";
import type { UpstreamRules } from "./upstream-rules.ts";
import type { UpstreamSession } from "./upstream-session.ts";
import type { UpstreamSessions } from "./upstream-sessions.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** What is wrong with a session that was to follow another, and does not come. */
const LATE: Failure = {
  code: "reconnect-failed",
  detail: "no work came from where the upstream asked to be reached",
};

/** The upstream half of the core: what miners ask of it, and what sessions with upstreams tell it. */
export class UpstreamSide implements MinerHost, SessionHost {
  readonly #outbox: Outbox;
  readonly #miners: PlacedMiners;
  readonly #switch: SessionSwitch;
  readonly #reconnects: Reconnects;

  constructor(rules: UpstreamRules, plan: UpstreamPlan, outbox: Outbox) {
    this.#outbox = outbox;
    this.#miners = new PlacedMiners(rules, outbox);
    this.#switch = new SessionSwitch({ rules, plan, outbox, miners: this.#miners, host: this });
    this.#reconnects = new Reconnects(this.#sessions, outbox);
  }

  /** All uplinks, for the status. */
  get uplinks(): ReadonlySet<Uplink> {
    return this.#miners.uplinks;
  }

  /** Where each route stands: those in the list, and the one in use in any case. */
  get routes(): readonly RouteStanding[] {
    const { routes, inUse, states } = this.#switch;
    return [...states].flatMap(([id, state]) => {
      const route = routes.find(id);
      return route === undefined ? [] : [{ route, state, isInUse: id === inUse, isListed: routes.isListed(id) }];
    });
  }

  /** The session that is mined in, if there is one. */
  get session(): SessionId | undefined {
    return this.#switch.current?.id;
  }

  /** Where the translator stands with its upstream. */
  get state(): UpstreamState {
    return this.#switch.state;
  }

  /** Shares without an answer, in all sessions. */
  get pendingSubmits(): number {
    return this.#sessions.all.reduce((sum, { pendingSubmits }) => sum + pendingSubmits, 0);
  }

  /** Whether a miner that connects now gets work, at once or as soon as the upstream is dialled again. */
  get isServing(): boolean {
    return this.state.state !== "waiting";
  }

  join(miner: Miner): void {
    if (!this.#miners.add(miner)) return;
    this.#switch.wanted(() => this.#miners.welcome(miner, this.session !== undefined));
  }

  leave(miner: Miner): void {
    const uplink = this.#miners.remove(miner);
    if (uplink !== undefined) for (const session of this.#sessions.all) session.forget(uplink);
  }

  submit(work: UpstreamWork, share: Sv1Share): void {
    if (!meetsTarget(share.hash, work.job.targetBytes)) return this.#outbox.count("sharesBelowUpstreamTarget");
    const session = this.#sessions.find(work.session);
    if (session === undefined) return this.#outbox.count("sharesUnanswered");
    session.submit(work, share);
  }

  keepsBack(): void {
    this.#switch.current?.keepsBack();
  }

  /** Something happened to a session. What is said to one that has ended meanwhile is of no interest. */
  onSession(input: SessionInput): void {
    const session = this.#sessions.find(input.session);
    if (session === undefined) return;
    switch (input.type) {
      case "session-up":
        session.up(input.setup);
        return this.#switch.openDue();
      case "upstream-message":
        return session.message(input.message);
      case "session-down":
        return this.#switch.down(session, input.reason);
      default:
        input satisfies never;
    }
  }

  /** Other upstreams, or another order or policy, are in force. */
  replace(plan: UpstreamPlan): void {
    this.#switch.replace(plan);
  }

  /** A second has passed, or it is the start. */
  tick(): void {
    const { now } = this.#outbox;
    const wanting = this.#miners.count > 0;
    this.#switch.openDue();
    this.#miners.giveHeld();
    for (const session of this.#sessions.all) session.tick({ wanting, inUse: session === this.#switch.current });
    for (const { session, isOverdue } of this.#sessions.left(now)) {
      if (isOverdue || !this.#isNeeded(session)) this.#switch.end(session, "not-needed");
    }
    for (const session of this.#sessions.late(now)) this.#switch.fail(session, LATE);
    this.#switch.tick();
    this.#miners.placeOverdue();
  }

  /** Closes every channel, as the specification asks of who leaves (5.3.7), and ends the sessions. */
  stop(): void {
    this.#switch.unwanted();
    for (const session of this.#sessions.all) {
      session.closeAll();
      session.end();
      this.#sessions.end(session, "stopping");
    }
  }

  opened(link: UpstreamLink): void {
    this.#miners.opened(link, link.session === this.session);
  }

  refused(link: UpstreamLink): void {
    this.#miners.refused(link);
  }

  worked(link: UpstreamLink, work: UpstreamWork, tipChanged: boolean): void {
    if (link.uplink.active === link) return this.#miners.tell(link, work, tipChanged);
    if (link.session === this.session) return this.#miners.move(link);
    this.#about(link.session, (session) => this.#switch.worked(session));
  }

  stopped({ uplink }: UpstreamLink): void {
    uplink.retire();
  }

  failed(id: SessionId, failure: Failure): void {
    this.#about(id, (session) => this.#switch.fail(session, failure));
  }

  asked(id: SessionId, to: ReconnectTarget): void {
    this.#about(id, (session) => this.#reconnects.asked(session, to, session === this.#switch.current));
  }

  credited(id: SessionId): void {
    this.#about(id, (session) => this.#switch.credited(session));
  }

  get #sessions(): UpstreamSessions {
    return this.#switch.sessions;
  }

  /** A session that has something to tell has not ended. */
  #about(id: SessionId, tell: (session: UpstreamSession) => void): void {
    const session = this.#sessions.find(id);
    if (session !== undefined) tell(session);
  }

  /** Whether miners still have its work, or it still owes answers. */
  #isNeeded(session: UpstreamSession): boolean {
    return session.pendingSubmits > 0 || this.#miners.mineIn(session.id);
  }
}
