import { reconnectRules } from "@adit/network-helpers";
import type { ReconnectTarget } from "@adit/role-network";
import { TokenBucket } from "@adit/token-bucket";
import type { Session } from "./session.ts";
import type { Moves, UpstreamPart } from "./upstream-plan.ts";

/** Longest wait for the place that was named once the session of whoever asked has ended: miners mine alone meanwhile. */
const ORPHANED_MS = 10_000;

interface Succession {
  readonly session: Session;
  /** Who has asked for it. */
  readonly asked: ReadonlySet<UpstreamPart>;
  readonly until: number;
}

/** What shall follow sessions whose pool or job declarator has asked to be reached elsewhere (spec 3.6.5). */
export class Successions {
  /** By the ids of their routes. */
  readonly #byRoute = new Map<number, Succession>();
  /** Where the parts of a session have asked to be reached since it began. */
  readonly #wishes = new WeakMap<Session, Moves>();
  readonly #budgets: Readonly<Record<UpstreamPart, TokenBucket>>;

  constructor(now: number) {
    const budget = (): TokenBucket => new TokenBucket(reconnectRules.followed, now);
    this.#budgets = { pool: budget(), jds: budget() };
  }

  /** Every one that is under way. */
  get sessions(): readonly Session[] {
    return [...this.#byRoute.values()].map(({ session }) => session);
  }

  /** What shall follow the session over a route, by its id. */
  of(route: number): Session | undefined {
    return this.#byRoute.get(route)?.session;
  }

  /** Whether a session is to take another one's place. */
  has(session: Session): boolean {
    return this.of(session.route.id) === session;
  }

  /** Why a part of a session that is mined for is not followed now; undefined when it is, which counts. */
  refusalOf({ route }: Session, part: UpstreamPart, now: number): "under-way" | "too-often" | undefined {
    if (this.#byRoute.get(route.id)?.asked.has(part) === true) return "under-way";
    return this.#budgets[part].take(now) ? undefined : "too-often";
  }

  /** A part of a session is to be followed. Returns where both are reached then: the other stays where it is or has asked to be. */
  wish(session: Session, part: UpstreamPart, to: ReconnectTarget): Moves {
    const moves = { ...session.moves, ...this.#wishes.get(session), [part]: to };
    this.#wishes.set(session, moves);
    return moves;
  }

  /** What a part has asked for was begun, in place of what the other part has asked for before. */
  begin(session: Session, part: UpstreamPart, now: number): void {
    const { id } = session.route;
    const asked = new Set([...(this.#byRoute.get(id)?.asked ?? []), part]);
    this.#byRoute.set(id, { session, asked, until: now + reconnectRules.successionMs });
  }

  /** The session of whoever asked has ended. */
  orphan(route: number, now: number): void {
    const succession = this.#byRoute.get(route);
    if (succession === undefined) return;
    this.#byRoute.set(route, { ...succession, until: Math.min(succession.until, now + ORPHANED_MS) });
  }

  /** One has come, or will not. */
  end(session: Session): void {
    if (this.has(session)) this.#byRoute.delete(session.route.id);
  }

  /** Those that do not come. */
  late(now: number): readonly Session[] {
    return [...this.#byRoute.values()].flatMap(({ session, until }) => (until <= now ? [session] : []));
  }
}
