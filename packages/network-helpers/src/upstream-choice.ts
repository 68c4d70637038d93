import { TokenBucket } from "@adit/token-bucket";

/** What is used: a route by its place, what a role does without any upstream (`solo`, if it can), or nothing yet. */
export type InUse = number | "solo" | "nothing";

/** Why another is used, besides the codes of failures. */
export type ChoiceReason =
  /** The first one that was ready. */
  | "start"
  /** There are no upstreams. */
  | "solo-mode"
  /** At the start, no upstream was ready in time. */
  | "no-upstream-ready"
  /** An upstream is ready again, after a time without. */
  | "upstream-ready"
  /** A route before the one in use is ready again. */
  | "better-upstream-ready";

/** What is to be done, in order. */
export type ChoiceDecision<Code extends string> =
  /** Begin a session over this route, and say whether it got ready or failed. */
  | { readonly type: "dial"; readonly route: number }
  /** Use another from now on. */
  | { readonly type: "use"; readonly from: InUse; readonly to: InUse; readonly reason: ChoiceReason | Code }
  /** A session that nothing is wrong with is not needed any more. */
  | { readonly type: "release"; readonly route: number };

/** How patient a choice is. Times in milliseconds. */
export interface UpstreamPolicy {
  /** A dial that takes longer is not waited for before the next route is dialled; 0 dials all at once. */
  readonly headStartMs: number;
  /** Bound of the first rest after a failure, and the longest: it doubles in between, and each rest is anywhere below it. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** How long a route that failed in use must be ready before it is trusted again; doubles with each time. */
  readonly holdDownMs: number;
  /** Ready for this long, a route is one that works: what was before counts no more, and no hold-down is longer. */
  readonly steadyMs: number;
}

/** What config files get unless they say otherwise. */
export const defaultUpstreamPolicy: UpstreamPolicy = {
  headStartMs: 2000,
  retryMinMs: 2000,
  retryMaxMs: 60_000,
  holdDownMs: 10_000,
  steadyMs: 120_000,
};

/** What an {@link UpstreamChoice} is made with. */
export interface UpstreamChoiceOptions {
  /** For each route, in order of preference, which upstream it leads to: a pool over Iroh and over TCP is two routes. */
  readonly routes: readonly { readonly upstream: number }[];
  readonly policy: UpstreamPolicy;
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

/** Where a route stands, for the status. */
export type RouteState =
  /** Left alone until then, in milliseconds. */
  | { readonly phase: "resting"; readonly until: number }
  | { readonly phase: "dialling"; readonly since: number }
  | { readonly phase: "ready"; readonly since: number };

interface Route {
  readonly upstream: number;
  state: RouteState;
  /** In a row, until it was steady: what the next rest grows with. */
  failures: number;
  /** The same, of those after it was ready: what the hold-down grows with. */
  flaps: number;
  /** How often in a row it was unworthy, and until when it is not trusted for that. */
  disgraces: number;
  distrustedUntil: number;
}

/** Shortest rest after a failure. */
const REST_LEAST_MS = 500;
/** At most 20 in any minute, over all routes and whatever they do. */
const DIALS = { burst: 5, perSecond: 15 / 60 };
/** An upstream that did not deliver is held back, while there is another, this long and up to that. */
const DISTRUST_MIN_MS = 60_000;
const DISTRUST_MAX_MS = 3_600_000;

/**
 * Decides which upstream is used, and over which transport (requirements A9 and C2): the best route that works. One that
 * fails is left at once for another that is ready, and better ones than the one in use are tried again and again, less
 * often the more they fail. One that was ready and failed must stay ready for a while before it is trusted again; one that
 * stood and did not deliver is trusted last. Pure: times are milliseconds that never run backwards.
 */
export class UpstreamChoice<Code extends string> {
  readonly #options: UpstreamChoiceOptions;
  readonly #startedAt: number;
  readonly #routes: readonly Route[];
  readonly #dials: TokenBucket;
  #inUse: InUse = "nothing";
  #isWanted = true;
  #wasUsed = false;
  #decisions: ChoiceDecision<Code>[] = [];

  constructor(options: UpstreamChoiceOptions, now: number) {
    this.#options = options;
    this.#startedAt = now;
    this.#routes = options.routes.map(({ upstream }) => ({
      upstream,
      state: { phase: "resting", until: now },
      failures: 0,
      flaps: 0,
      disgraces: 0,
      distrustedUntil: now,
    }));
    this.#dials = new TokenBucket(DIALS, now);
  }

  /** What is used now. */
  get inUse(): InUse {
    return this.#inUse;
  }

  /** Where each route stands. */
  get states(): readonly RouteState[] {
    return this.#routes.map(({ state }) => state);
  }

  /** The session over a route can be used. */
  ready(at: number, now: number): readonly ChoiceDecision<Code>[] {
    const route = this.#routes[at];
    if (route?.state.phase !== "dialling") return [];
    route.state = { phase: "ready", since: now };
    return this.#decide(now);
  }

  /** The upstream of a route delivered what it is for. */
  proven(at: number): void {
    for (const route of this.#siblings(at)) {
      route.disgraces = 0;
      route.distrustedUntil = 0;
    }
  }

  /** The session over a route has ended, before or after it was ready. */
  failed(at: number, failure: RouteFailure<Code>, now: number): readonly ChoiceDecision<Code>[] {
    const route = this.#routes[at];
    if (route === undefined || route.state.phase === "resting") return [];
    if (failure.blames === "nobody") route.state = { phase: "resting", until: now };
    else this.#rest(route, now);
    if (failure.unworthy === true) this.#distrust(at, now);
    if (failure.blames === "upstream") this.#restSiblings(at, now);
    if (this.#inUse === at) {
      const next = this.#routes.findIndex(({ state }) => state.phase === "ready");
      this.#use(next === -1 ? this.#withoutUpstream : next, failure.code, now);
    }
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
    const better = this.#routes.slice(0, this.#rank);
    let best = better.findIndex((route) => this.#isTrusted(route, now));
    // Any is better than nothing; solo mining is not nothing.
    if (best === -1 && this.#inUse === "nothing") best = better.findIndex(({ state }) => state.phase === "ready");
    if (best === -1) return;
    const first = this.#wasUsed ? "upstream-ready" : "start";
    const reasons = { nothing: first, solo: "upstream-ready" } as const;
    this.#use(best, typeof this.#inUse === "number" ? "better-upstream-ready" : reasons[this.#inUse], now);
  }

  #isOverdue(now: number): boolean {
    const { soloAfterMs } = this.#options;
    if (soloAfterMs === undefined) return false;
    return now - this.#startedAt >= soloAfterMs || this.#routes.every(({ failures }) => failures > 0);
  }

  #use(to: InUse, reason: ChoiceReason | Code, now: number): void {
    this.#decisions.push({ type: "use", from: this.#inUse, to, reason });
    this.#inUse = to;
    if (typeof to === "number") this.#wasUsed = true;
    for (const [at, route] of this.#routes.entries()) {
      if (at <= this.#rank || route.state.phase === "resting") continue;
      this.#release(at, now);
    }
  }

  #release(at: number, now: number): void {
    const route = this.#routes[at];
    if (route === undefined) return;
    route.state = { phase: "resting", until: now };
    this.#decisions.push({ type: "release", route: at });
  }

  /**
   * Dials what is better than what is in use: the next when the one before has failed or takes long. The one whose turn
   * came first goes first, and in the order of preference at the start, so that one that always fails starves no other.
   */
  #dial(now: number): void {
    const better = this.#routes.slice(0, this.#rank);
    const { headStartMs } = this.#options.policy;
    while (!better.some(({ state }) => state.phase === "dialling" && now - state.since < headStartMs)) {
      let next: Route | undefined;
      for (const route of better) if (dueAt(route) <= now && dueAt(route) < dueAt(next)) next = route;
      if (next === undefined || !this.#dials.take(now)) return;
      next.state = { phase: "dialling", since: now };
      this.#decisions.push({ type: "dial", route: this.#routes.indexOf(next) });
    }
  }

  /** How many routes are better than what is in use. */
  get #rank(): number {
    return typeof this.#inUse === "number" ? this.#inUse : this.#routes.length;
  }

  get #withoutUpstream(): "solo" | "nothing" {
    return this.#options.soloAfterMs === undefined ? "nothing" : "solo";
  }

  #isTrusted({ state, flaps, distrustedUntil }: Route, now: number): boolean {
    if (state.phase !== "ready" || now < distrustedUntil) return false;
    const { holdDownMs, steadyMs } = this.#options.policy;
    const holdDown = flaps === 0 ? 0 : Math.min(steadyMs, holdDownMs * 2 ** (flaps - 1));
    return now - state.since >= holdDown;
  }

  /** The bound of the rest doubles with each failure, and the rest is anywhere below it (full jitter). */
  #rest(route: Route, now: number): void {
    const { retryMinMs, retryMaxMs, steadyMs } = this.#options.policy;
    const { state } = route;
    const wasReady = state.phase === "ready";
    const wasSteady = wasReady && now - state.since >= steadyMs;
    route.failures = wasSteady ? 1 : route.failures + 1;
    if (wasReady) route.flaps = wasSteady ? 1 : route.flaps + 1;
    const bound = Math.max(REST_LEAST_MS, Math.min(retryMaxMs, retryMinMs * 2 ** (route.failures - 1)));
    const rest = REST_LEAST_MS + this.#options.random() * (bound - REST_LEAST_MS);
    route.state = { phase: "resting", until: now + rest };
  }

  #distrust(at: number, now: number): void {
    const disgraces = (this.#routes[at]?.disgraces ?? 0) + 1;
    const until = now + Math.min(DISTRUST_MAX_MS, DISTRUST_MIN_MS * 2 ** (disgraces - 1));
    for (const route of this.#siblings(at)) {
      route.disgraces = disgraces;
      route.distrustedUntil = until;
    }
  }

  /** The other routes to an upstream that is no good rest as long as the one that has shown it. */
  #restSiblings(at: number, now: number): void {
    for (const [other, route] of this.#routes.entries()) {
      if (other === at || route.upstream !== this.#routes[at]?.upstream) continue;
      if (route.state.phase !== "resting") this.#release(other, now);
      this.#rest(route, now);
    }
  }

  #siblings(at: number): readonly Route[] {
    return this.#routes.filter(({ upstream }) => upstream === this.#routes[at]?.upstream);
  }
}

/**
 * Carries decisions out in the order they were made. One may lead to others: those come after the ones that were made with
 * it.
 */
export class ChoiceDecisions<Code extends string> {
  readonly #carryOut: (decision: ChoiceDecision<Code>) => void;
  readonly #waiting: ChoiceDecision<Code>[] = [];
  #isBusy = false;

  constructor(carryOut: (decision: ChoiceDecision<Code>) => void) {
    this.#carryOut = carryOut;
  }

  /** Takes what a choice has decided. Returns once it is carried out, or at once while others are being carried out. */
  add(decisions: readonly ChoiceDecision<Code>[]): void {
    this.#waiting.push(...decisions);
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#carryOut(next);
    this.#isBusy = false;
  }
}

/** When a route may be dialled, if it can be. */
function dueAt(route: Route | undefined): number {
  return route?.state.phase === "resting" ? route.state.until : Number.POSITIVE_INFINITY;
}
