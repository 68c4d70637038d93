import { TokenBucket } from "@adit/token-bucket";
import type { ChoiceDecision, ChoiceReason, InUse } from "./choice-decision.ts";
import { type KnownRoute, type RouteState, type UpstreamPolicy, UpstreamRoute } from "./upstream-route.ts";

/** What an {@link UpstreamChoice} chooses among, and how. */
export interface ChoicePlan {
  /** The routes, in order of preference. */
  readonly routes: readonly KnownRoute[];
  readonly policy: UpstreamPolicy;
}

/** What an {@link UpstreamChoice} is made with. */
export interface UpstreamChoiceOptions extends ChoicePlan {
  /** How long nothing is used at the start while no route is ready; undefined for a role that cannot do without. */
  readonly soloAfterMs: number | undefined;
  /** Draws from [0, 1). */
  readonly random: () => number;
}

/** How a session failed, as far as the next choice depends on it. */
export interface RouteFailure<Code extends string> {
  readonly code: Code;
  /** Whether another route to the same upstream may fare better (so it is, unless told), or nobody needed the session. */
  readonly blames?: "route" | "upstream" | "nobody";
  /** Whether the upstream was asked for what it is for, and did not deliver although the connection stood. */
  readonly unworthy?: boolean;
}

/** At most 20 in any minute, over all routes and whatever they do. */
const DIALS = { burst: 5, perSecond: 15 / 60 };

/**
 * Decides which upstream is used, and over which transport (requirements A9 and C2): the best route that works. One that
 * fails is left at once for another that is ready, and better ones than the one in use are tried again and again, less
 * often the more they fail. One that was ready and failed must stay ready for a while before it is trusted again; one that
 * stood and did not deliver is trusted last. Pure: times are milliseconds that never run backwards.
 */
export class UpstreamChoice<Code extends string> {
  readonly #options: UpstreamChoiceOptions;
  readonly #startedAt: number;
  readonly #dials: TokenBucket;
  #policy: UpstreamPolicy;
  /** Those in the list, the best first. */
  #routes: readonly UpstreamRoute[];
  /** The one in use when it is not in the list any more; every other is better. */
  #leaving: UpstreamRoute | undefined;
  #inUse: InUse = "nothing";
  #isWanted = true;
  #wasUsed = false;
  #decisions: ChoiceDecision<Code>[] = [];

  /** RangeError for two routes with one id. */
  constructor(options: UpstreamChoiceOptions, now: number) {
    const { routes, policy } = options;
    checkIds(routes);
    this.#options = options;
    this.#startedAt = now;
    this.#policy = policy;
    this.#routes = routes.map((route) => new UpstreamRoute(route, now));
    this.#dials = new TokenBucket(DIALS, now);
  }

  /** What is used now. */
  get inUse(): InUse {
    return this.#inUse;
  }

  /** Where each route stands, by its id: those in the list, and the one in use in any case. */
  get states(): ReadonlyMap<number, RouteState> {
    return new Map(this.#all.map(({ id, state }) => [id, state]));
  }

  /** The session over a route can be used. */
  ready(id: number, now: number): readonly ChoiceDecision<Code>[] {
    const route = this.#find(id);
    if (route?.state.phase !== "dialling") return [];
    route.state = { phase: "ready", since: now };
    return this.#decide(now);
  }

  /** The upstream of a route delivered what it is for. */
  proven(id: number): void {
    for (const route of this.#siblings(this.#find(id))) route.trust();
  }

  /** The session over a route has ended, before or after it was ready. */
  failed(id: number, failure: RouteFailure<Code>, now: number): readonly ChoiceDecision<Code>[] {
    const route = this.#find(id);
    if (route === undefined || !route.isUp) return [];
    if (failure.blames === "nobody") route.state = { phase: "resting", until: now };
    else route.fail(this.#policy, this.#options.random(), now);
    if (failure.unworthy === true) for (const sibling of this.#siblings(route)) sibling.distrust(now);
    if (failure.blames === "upstream") this.#restSiblings(route, now);
    if (this.#inUse === id) {
      const next = this.#routes.find(({ state }) => state.phase === "ready");
      this.#use(next?.id ?? this.#withoutUpstream, failure.code, now);
    }
    return this.#decide(now);
  }

  /**
   * Another list of routes, order of preference or policy is in force. A route that stays, by its id, keeps its session and
   * all that is known of it; one that is new is tried; one that is gone is released. The one in use stays in use until
   * another can take its place, as always; and when it is gone, every other is better than it.
   *
   * @throws RangeError when two routes have one id.
   */
  replace({ routes, policy }: ChoicePlan, now: number): readonly ChoiceDecision<Code>[] {
    checkIds(routes);
    this.#policy = policy;
    const before = this.#all;
    this.#routes = routes.map((route) => before.find(({ id }) => id === route.id) ?? this.#newRoute(route, now));
    const gone = before.filter((route) => !this.#routes.includes(route));
    this.#leaving = gone.find(({ id }) => id === this.#inUse);
    for (const route of gone) if (route !== this.#leaving) this.#release(route, now);
    for (const route of this.#routes) route.hasten(policy, now);
    const canGoSolo = routes.length === 0 && this.#withoutUpstream === "solo";
    if (canGoSolo && typeof this.#inUse === "number") this.#use("solo", "solo-mode", now);
    else this.#releaseWorse(now);
    return this.#decide(now);
  }

  /** Time has passed; call it once a second, and once at the start. */
  tick(now: number): readonly ChoiceDecision<Code>[] {
    return this.#decide(now);
  }

  /** Nobody needs an upstream until {@link wanted} is called: what stands may stand, and nothing is dialled. */
  unwanted(): void {
    this.#isWanted = false;
  }

  /** Somebody needs an upstream. */
  wanted(now: number): readonly ChoiceDecision<Code>[] {
    this.#isWanted = true;
    return this.#decide(now);
  }

  #decide(now: number): readonly ChoiceDecision<Code>[] {
    this.#takeBetter(now);
    if (this.#inUse === "nothing" && !this.#wasUsed && this.#isOverdue(now)) {
      this.#use("solo", this.#routes.length === 0 ? "solo-mode" : "no-upstream-ready", now);
    }
    if (this.#isWanted) this.#dial(now);
    const decisions = this.#decisions;
    this.#decisions = [];
    return decisions;
  }

  #takeBetter(now: number): void {
    const better = this.#better;
    // Any is better than nothing; solo mining is not nothing.
    const best =
      better.find((route) => route.isTrusted(this.#policy, now)) ??
      (this.#inUse === "nothing" ? better.find(({ state }) => state.phase === "ready") : undefined);
    if (best !== undefined) this.#use(best.id, this.#whyBetter, now);
  }

  get #whyBetter(): ChoiceReason {
    if (this.#leaving !== undefined) return "upstream-removed";
    if (typeof this.#inUse === "number") return "better-upstream-ready";
    return this.#inUse === "solo" || this.#wasUsed ? "upstream-ready" : "start";
  }

  #isOverdue(now: number): boolean {
    const { soloAfterMs } = this.#options;
    if (soloAfterMs === undefined) return false;
    return now - this.#startedAt >= soloAfterMs || this.#routes.every(({ hasFailed }) => hasFailed);
  }

  #use(to: InUse, reason: ChoiceReason | Code, now: number): void {
    this.#decisions.push({ type: "use", from: this.#inUse, to, reason });
    this.#inUse = to;
    if (typeof to === "number") this.#wasUsed = true;
    if (this.#leaving !== undefined) this.#release(this.#leaving, now);
    this.#leaving = undefined;
    this.#releaseWorse(now);
  }

  #releaseWorse(now: number): void {
    if (this.#leaving !== undefined || typeof this.#inUse !== "number") return;
    for (const route of this.#routes.slice(this.#better.length + 1)) this.#release(route, now);
  }

  #release(route: UpstreamRoute, now: number): void {
    if (!route.isUp) return;
    route.state = { phase: "resting", until: now };
    this.#decisions.push({ type: "release", route: route.id });
  }

  /**
   * Dials what is better than what is in use: the next when the one before has failed or takes long. The one whose turn
   * came first goes first, and in the order of preference at the start, so that one that always fails starves no other.
   */
  #dial(now: number): void {
    const better = this.#better;
    const { headStartMs } = this.#policy;
    while (!better.some(({ state }) => state.phase === "dialling" && now - state.since < headStartMs)) {
      let next: UpstreamRoute | undefined;
      for (const route of better) if (route.dueAt <= now && route.dueAt < (next?.dueAt ?? Infinity)) next = route;
      if (next === undefined || !this.#dials.take(now)) return;
      next.state = { phase: "dialling", since: now };
      this.#decisions.push({ type: "dial", route: next.id });
    }
  }

  /** The routes that are better than what is in use. */
  get #better(): readonly UpstreamRoute[] {
    const place = this.#routes.findIndex(({ id }) => id === this.#inUse);
    return place === -1 ? this.#routes : this.#routes.slice(0, place);
  }

  get #all(): readonly UpstreamRoute[] {
    return this.#leaving === undefined ? this.#routes : [...this.#routes, this.#leaving];
  }

  get #withoutUpstream(): "solo" | "nothing" {
    return this.#options.soloAfterMs === undefined ? "nothing" : "solo";
  }

  /** The other routes to an upstream that is no good rest as long as the one that has shown it. */
  #restSiblings(shown: UpstreamRoute, now: number): void {
    for (const route of this.#siblings(shown)) {
      if (route === shown) continue;
      this.#release(route, now);
      route.fail(this.#policy, this.#options.random(), now);
    }
  }

  /** A new way to an upstream that is known is trusted no more than the others. */
  #newRoute(known: KnownRoute, now: number): UpstreamRoute {
    const route = new UpstreamRoute(known, now);
    const sibling = this.#all.find(({ upstream }) => upstream === known.upstream);
    if (sibling !== undefined) route.trustAs(sibling);
    return route;
  }

  #siblings(route: UpstreamRoute | undefined): readonly UpstreamRoute[] {
    return this.#all.filter(({ upstream }) => upstream === route?.upstream);
  }

  #find(id: number): UpstreamRoute | undefined {
    return this.#all.find((route) => route.id === id);
  }
}

function checkIds(routes: readonly KnownRoute[]): void {
  if (new Set(routes.map(({ id }) => id)).size < routes.length) throw new RangeError("two routes have one id");
}
