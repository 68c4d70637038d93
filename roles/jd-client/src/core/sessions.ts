import type { SessionId } from "./effects.ts";
import type { Failure } from "./failure.ts";
import type { Outbox } from "./outbox.ts";
import type { Session } from "./session.ts";
import type { SessionNews } from "./session-types.ts";
import type { UpstreamRoute } from "./upstream-plan.ts";

/** A session that is not mined for any more stays this long for what miners still find for it. */
const DRAIN_MS = 10_000;
/** Of more such sessions, the oldest is ended. */
const MAX_DRAINING = 4;

/** The sessions with upstreams: one over each route at most, and for a while those that were left with nothing wrong. */
export class Sessions {
  readonly #outbox: Outbox;
  readonly #make: (id: SessionId, route: UpstreamRoute) => Session;
  /** By the ids of their routes. */
  readonly #byRoute = new Map<number, Session>();
  /** Until when each stays. */
  readonly #draining = new Map<Session, number>();
  #lastId = 0;

  constructor(outbox: Outbox, make: (id: SessionId, route: UpstreamRoute) => Session) {
    this.#outbox = outbox;
    this.#make = make;
  }

  /** The session over a route, by its id, if there is one that was not left. */
  of(route: number): Session | undefined {
    return this.#byRoute.get(route);
  }

  /** A session by its number; undefined when it has ended. */
  find(id: SessionId): Session | undefined {
    return this.#all.find((session) => session.id === id);
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

  /** Begins a session. */
  begin(route: UpstreamRoute): void {
    this.#lastId += 1;
    this.#byRoute.set(route.id, this.#make(this.#lastId, route));
    this.#outbox.emit({ type: "begin-session", session: this.#lastId, route });
  }

  /** A session is over. */
  fail(session: Session, { code, detail }: Failure): void {
    this.#outbox.count("sessionFailures", code);
    this.#end(session, `${code}: ${detail}`);
  }

  /** A route is not needed any more. Late shares still go to a session that had jobs. */
  release(route: number): void {
    const session = this.#byRoute.get(route);
    if (session === undefined) return;
    if (session.terms === undefined) return this.#end(session, "not-needed");
    session.retire();
    this.#byRoute.delete(route);
    this.#draining.set(session, this.#outbox.now + DRAIN_MS);
    const [oldest] = this.#draining.keys();
    if (this.#draining.size > MAX_DRAINING && oldest !== undefined) this.#end(oldest, "not-needed");
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
  tick(): readonly { readonly session: Session; readonly news: SessionNews }[] {
    for (const [session, until] of this.#draining) if (until <= this.#outbox.now) this.#end(session, "not-needed");
    return this.#all.flatMap((session) => {
      const news = session.tick();
      return news === undefined ? [] : [{ session, news }];
    });
  }

  get #all(): readonly Session[] {
    return [...this.#byRoute.values(), ...this.#draining.keys()];
  }

  #end(session: Session, reason: string): void {
    session.end();
    this.#draining.delete(session);
    const { id } = session.route;
    if (this.#byRoute.get(id) === session) this.#byRoute.delete(id);
    this.#outbox.emit({ type: "end-session", session: session.id, reason });
  }
}
