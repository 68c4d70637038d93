import type { ReconnectTarget } from "@adit/role-network";
import type { SessionInput } from "./effects.ts";
import type { Failure } from "./failure.ts";
import type { Outbox } from "./outbox.ts";
import type { Session } from "./session.ts";
import type { MakeSession } from "./session-maker.ts";
import { failed, type SessionNews } from "./session-types.ts";
import { Successions } from "./successions.ts";
import type { Moves, UpstreamPart, UpstreamRoute } from "./upstream-plan.ts";

/** A session that is not mined for any more stays this long for what miners still find for it. */
const DRAIN_MS = 10_000;
/** One whose upstream asked to be left stays this long, and longer only for answers: a server of ours waits five seconds. */
const DRAIN_ASKED_MS = 3000;
/** Of more such sessions, the oldest is ended. */
const MAX_DRAINING = 4;

/** What came of a session. */
export interface NewsOfSession {
  readonly session: Session;
  readonly news: SessionNews;
}

interface Drain {
  readonly since: number;
  /** Its upstream asked to be left. */
  readonly wasAsked: boolean;
}

/**
 * The sessions with upstreams: one over each route at most, what shall follow them where they have asked for it, and for a
 * while those that were left with nothing wrong.
 */
export class Sessions {
  readonly #outbox: Outbox;
  readonly #make: MakeSession;
  /** By the ids of their routes. */
  readonly #byRoute = new Map<number, Session>();
  readonly #successions: Successions;
  readonly #draining = new Map<Session, Drain>();
  #lastId = 0;

  constructor(outbox: Outbox, make: MakeSession) {
    this.#outbox = outbox;
    this.#make = make;
    this.#successions = new Successions(outbox.now);
  }

  /** The session over a route, by its id, if there is one that was not left. */
  of(route: number): Session | undefined {
    return this.#byRoute.get(route);
  }

  /** What shall follow a session, or whatever has its route's place; undefined for one that was left. */
  successorOf(session: Session): Session | undefined {
    return this.isDraining(session) || this.isSuccessor(session) ? undefined : this.#successions.of(session.route.id);
  }

  /** Whether a session has not ended. */
  has(session: Session): boolean {
    return this.#all.includes(session);
  }

  /** The session that a job was made for, if it still is. */
  knowing(workId: number): Session | undefined {
    return this.#all.find((session) => session.knows(workId));
  }

  /** Shares that pools have not answered. */
  get pendingSubmits(): number {
    return this.#all.reduce((sum, { pendingSubmits }) => sum + pendingSubmits, 0);
  }

  /** Whether a session was left, with nothing wrong. */
  isDraining(session: Session): boolean {
    return this.#draining.has(session);
  }

  /** Whether a session is to take another one's place. */
  isSuccessor(session: Session): boolean {
    return this.#successions.has(session);
  }

  /** Something happened to a session. What is said to one that has ended meanwhile is of no interest. */
  hear(input: SessionInput): NewsOfSession | undefined {
    const session = this.#all.find(({ id }) => id === input.session);
    const news = session === undefined ? undefined : newsOf(session, input);
    return session === undefined || news === undefined ? undefined : { session, news };
  }

  /** Begins a session. */
  begin(route: UpstreamRoute): void {
    this.#byRoute.set(route.id, this.#begin(route, {}));
  }

  /** Why a part of a session that is mined for is not followed now; undefined when it is, which counts. */
  reconnectRefusal(session: Session, part: UpstreamPart): "under-way" | "too-often" | undefined {
    return this.#successions.refusalOf(session, part, this.#outbox.now);
  }

  /** Begins what shall follow a session, one of whose parts asks to be reached elsewhere. */
  succeed(session: Session, part: UpstreamPart, to: ReconnectTarget): void {
    const before = this.#successions.of(session.route.id);
    const successor = this.#begin(session.route, this.#successions.wish(session, part, to));
    this.#successions.begin(successor, part, this.#outbox.now);
    if (before !== undefined) this.#end(before, "not-needed");
  }

  /** A successor takes the place it was made for; whoever has it drains. Returns whether it is one. */
  takePlace(session: Session): boolean {
    if (!this.isSuccessor(session)) return false;
    this.#successions.end(session);
    const before = this.#byRoute.get(session.route.id);
    if (before !== undefined) this.#drain(before, true);
    this.#byRoute.set(session.route.id, session);
    return true;
  }

  /** A session is over; what shall follow it has little time left. */
  fail(session: Session, { code, detail }: Failure): void {
    this.#outbox.count("sessionFailures", code);
    if (this.#byRoute.get(session.route.id) === session) this.#successions.orphan(session.route.id, this.#outbox.now);
    this.#end(session, `${code}: ${detail}`);
  }

  /** A route is not needed any more. Late shares still go to a session that had jobs. */
  release(route: number): void {
    const successor = this.#successions.of(route);
    if (successor !== undefined) this.#end(successor, "not-needed");
    const session = this.#byRoute.get(route);
    if (session === undefined) return;
    if (session.terms === undefined) return this.#end(session, "not-needed");
    this.#drain(session, false);
  }

  /** Tells all pools goodbye, and ends all sessions. */
  stop(): void {
    for (const session of this.#all) {
      session.sayGoodbye();
      this.#end(session, "stopping");
    }
  }

  /** Transactions of a template came, or will not. */
  transactionsChanged(): void {
    for (const session of this.#all) session.transactionsChanged();
  }

  /** The template provider is gone. */
  providerLost(): void {
    for (const session of this.#all) session.providerLost();
  }

  /** A second has passed. Returns the news of sessions that have any. */
  tick(): readonly NewsOfSession[] {
    for (const [session, drain] of this.#draining) if (this.#isOver(session, drain)) this.#end(session, "not-needed");
    const late = this.#successions.late(this.#outbox.now);
    return this.#all.flatMap((session) => {
      const news = late.includes(session) ? LATE : session.tick();
      return news === undefined ? [] : [{ session, news }];
    });
  }

  get #all(): readonly Session[] {
    return [...this.#byRoute.values(), ...this.#successions.sessions, ...this.#draining.keys()];
  }

  #begin(route: UpstreamRoute, moves: Moves): Session {
    this.#lastId += 1;
    const session = this.#make(this.#lastId, route, moves);
    this.#outbox.emit({ type: "begin-session", session: this.#lastId, route, moves });
    return session;
  }

  #drain(session: Session, wasAsked: boolean): void {
    session.retire();
    this.#byRoute.delete(session.route.id);
    this.#draining.set(session, { since: this.#outbox.now, wasAsked });
    const [oldest] = this.#draining.keys();
    if (this.#draining.size > MAX_DRAINING && oldest !== undefined) this.#end(oldest, "not-needed");
  }

  #isOver(session: Session, { since, wasAsked }: Drain): boolean {
    const left = this.#outbox.now - since;
    return left >= DRAIN_MS || (wasAsked && left >= DRAIN_ASKED_MS && !session.owes);
  }

  #end(session: Session, reason: string): void {
    session.end();
    this.#draining.delete(session);
    this.#successions.end(session);
    const { id } = session.route;
    if (this.#byRoute.get(id) === session) this.#byRoute.delete(id);
    this.#outbox.emit({ type: "end-session", session: session.id, reason });
  }
}

const LATE = failed("reconnect-failed", "no work came from where the pool or job declarator asked to be reached");

function newsOf(session: Session, input: SessionInput): SessionNews | undefined {
  switch (input.type) {
    case "session-up":
      return session.up(input.setup);
    case "pool-message":
      return session.poolMessage(input.message);
    case "jds-message":
      return session.jdsMessage(input.message);
    case "session-down":
      return failed("connection-lost", input.reason);
    default:
      return input satisfies never;
  }
}
