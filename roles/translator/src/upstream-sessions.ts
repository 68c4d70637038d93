import { reconnectRules } from "@adit/network-helpers";
import type { ReconnectTarget } from "@adit/role-network";
import type { SessionId } from "./effects.ts";
import type { Outbox } from "./outbox.ts";
import type { UpstreamRoute } from "./upstream-plan.ts";
import type { UpstreamSession } from "./upstream-session.ts";

/** A session that is not mined in any more stays this long for what miners still find for it. */
const DRAIN_MS = 10_000;
/** Shortest such stay: shares are on their way from miners. */
const DRAIN_MIN_MS = 1000;
/** Of more such sessions, the oldest is ended. */
const MAX_DRAINING = 4;

/** What a session is there for. */
export type SessionPurpose =
  /** It has a route's place. */
  | "route"
  /** The upstream asked for it in place of the one that has the route's place. */
  | "successor"
  /** It was left with nothing wrong. */
  | "draining";

/** The sessions with upstreams: one over each route at most, what shall follow them, and what was left. */
export class UpstreamSessions {
  readonly #outbox: Outbox;
  readonly #make: (id: SessionId, route: UpstreamRoute) => UpstreamSession;
  readonly #byId = new Map<SessionId, UpstreamSession>();
  readonly #byRoute = new Map<number, UpstreamSession>();
  readonly #successors = new Map<number, { readonly session: UpstreamSession; readonly until: number }>();
  readonly #draining = new Map<UpstreamSession, { readonly since: number }>();
  /** Those that were shown to give work. */
  readonly #tested = new Set<UpstreamSession>();
  #lastId = 0;

  constructor(outbox: Outbox, make: (id: SessionId, route: UpstreamRoute) => UpstreamSession) {
    this.#outbox = outbox;
    this.#make = make;
  }

  /** Every session. */
  get all(): readonly UpstreamSession[] {
    return [...this.#byId.values()];
  }

  /** Those that are mined in, or may be. */
  get standing(): readonly UpstreamSession[] {
    return this.all.filter((session) => !this.#draining.has(session));
  }

  /** The session that has a route's place. */
  of(route: number): UpstreamSession | undefined {
    return this.#byRoute.get(route);
  }

  /** A session by its number; undefined when it has ended. */
  find(id: SessionId): UpstreamSession | undefined {
    return this.#byId.get(id);
  }

  /** What a session is there for. */
  roleOf(session: UpstreamSession): SessionPurpose {
    if (this.#draining.has(session)) return "draining";
    return this.isSuccessor(session) ? "successor" : "route";
  }

  isSuccessor(session: UpstreamSession): boolean {
    return this.#successors.get(session.route.id)?.session === session;
  }

  /** What shall follow a session. */
  successorOf(session: UpstreamSession): UpstreamSession | undefined {
    const successor = this.successorOver(session.route.id);
    return successor === session || this.#draining.has(session) ? undefined : successor;
  }

  /** What shall have a route's place. */
  successorOver(route: number): UpstreamSession | undefined {
    return this.#successors.get(route)?.session;
  }

  /** Begins a session. */
  begin(route: UpstreamRoute): void {
    this.#byRoute.set(route.id, this.#begin(route, undefined));
  }

  /** Begins what shall follow a session. */
  succeed({ route }: UpstreamSession, to: ReconnectTarget): void {
    const until = this.#outbox.now + reconnectRules.successionMs;
    this.#successors.set(route.id, { session: this.#begin(route, to), until });
  }

  /** A session was shown to give work. Returns whether that is news. */
  test(session: UpstreamSession): boolean {
    if (this.#tested.has(session) || this.#draining.has(session)) return false;
    this.#tested.add(session);
    return true;
  }

  /** A successor takes the place it was made for; whoever has it drains. Returns whether it is one. */
  takePlace(session: UpstreamSession): boolean {
    if (!this.isSuccessor(session)) return false;
    this.#successors.delete(session.route.id);
    const before = this.#byRoute.get(session.route.id);
    if (before !== undefined) this.drain(before);
    this.#byRoute.set(session.route.id, session);
    return true;
  }

  /** A session is not mined in any more. Late shares still go to it. */
  drain(session: UpstreamSession): void {
    if (this.#byRoute.get(session.route.id) === session) this.#byRoute.delete(session.route.id);
    this.#draining.set(session, { since: this.#outbox.now });
  }

  /** Those that were left a moment ago at least, and whether they have stayed too long or are one too many. */
  left(now: number): readonly { readonly session: UpstreamSession; readonly isOverdue: boolean }[] {
    const surplus = this.#draining.size - MAX_DRAINING;
    return [...this.#draining].flatMap(([session, { since }], at) => {
      const isOverdue = now - since >= DRAIN_MS || at < surplus;
      return isOverdue || now - since >= DRAIN_MIN_MS ? [{ session, isOverdue }] : [];
    });
  }

  /** Successors that do not come. */
  late(now: number): readonly UpstreamSession[] {
    return [...this.#successors.values()].flatMap(({ session, until }) => (until <= now ? [session] : []));
  }

  /** A session is over. */
  end(session: UpstreamSession, reason: string): void {
    this.#byId.delete(session.id);
    this.#draining.delete(session);
    this.#tested.delete(session);
    if (this.isSuccessor(session)) this.#successors.delete(session.route.id);
    if (this.#byRoute.get(session.route.id) === session) this.#byRoute.delete(session.route.id);
    this.#outbox.emit({ type: "end-session", session: session.id, reason });
  }

  #begin(route: UpstreamRoute, to: ReconnectTarget | undefined): UpstreamSession {
    this.#lastId += 1;
    const session = this.#make(this.#lastId, route);
    this.#byId.set(this.#lastId, session);
    this.#outbox.emit({ type: "begin-session", session: this.#lastId, route, to });
    return session;
  }
}
