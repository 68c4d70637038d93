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

/** Where a route stands, for the status. */
export type RouteState =
  /** Left alone until then, in milliseconds. */
  | { readonly phase: "resting"; readonly until: number }
  | { readonly phase: "dialling"; readonly since: number }
  | { readonly phase: "ready"; readonly since: number };

/** A way to an upstream, as a choice knows it. */
export interface KnownRoute {
  /** Names it in decisions and in what is told of it. No other route is ever given it. */
  readonly id: number;
  /** Which upstream it leads to, by a number of its own: a pool over Iroh and over TCP is two routes. */
  readonly upstream: number;
}

/** Shortest rest after a failure. */
const REST_LEAST_MS = 500;
/** An upstream that did not deliver is held back, while there is another, this long and up to that. */
const DISTRUST_MIN_MS = 60_000;
const DISTRUST_MAX_MS = 3_600_000;

/** One route: where it stands, and what it has shown so far. */
export class UpstreamRoute implements KnownRoute {
  readonly id: number;
  readonly upstream: number;
  state: RouteState;
  /** In a row, until it was steady: what the next rest grows with. */
  #failures = 0;
  /** The same, of those after it was ready: what the hold-down grows with. */
  #flaps = 0;
  /** How often in a row it was unworthy, and until when it is not trusted for that. */
  #disgraces = 0;
  #distrustedUntil = 0;

  constructor({ id, upstream }: KnownRoute, now: number) {
    this.id = id;
    this.upstream = upstream;
    this.state = { phase: "resting", until: now };
  }

  /** Whether it has failed since it was last steady. */
  get hasFailed(): boolean {
    return this.#failures > 0;
  }

  /** Whether there is a session over it, or one is begun. */
  get isUp(): boolean {
    return this.state.phase !== "resting";
  }

  /** When it may be dialled; never while it is up. */
  get dueAt(): number {
    return this.state.phase === "resting" ? this.state.until : Number.POSITIVE_INFINITY;
  }

  /** Whether it is ready and has been for as long as what it has shown asks for. */
  isTrusted({ holdDownMs, steadyMs }: UpstreamPolicy, now: number): boolean {
    if (this.state.phase !== "ready" || now < this.#distrustedUntil) return false;
    const holdDown = this.#flaps === 0 ? 0 : Math.min(steadyMs, holdDownMs * 2 ** (this.#flaps - 1));
    return now - this.state.since >= holdDown;
  }

  /**
   * It has failed. The bound of the rest doubles with each failure, and the rest is anywhere below it (full jitter).
   * `draw`: from [0, 1).
   */
  fail({ retryMinMs, retryMaxMs, steadyMs }: UpstreamPolicy, draw: number, now: number): void {
    const wasReady = this.state.phase === "ready";
    const wasSteady = this.state.phase === "ready" && now - this.state.since >= steadyMs;
    this.#failures = wasSteady ? 1 : this.#failures + 1;
    if (wasReady) this.#flaps = wasSteady ? 1 : this.#flaps + 1;
    const bound = Math.max(REST_LEAST_MS, Math.min(retryMaxMs, retryMinMs * 2 ** (this.#failures - 1)));
    this.state = { phase: "resting", until: now + REST_LEAST_MS + draw * (bound - REST_LEAST_MS) };
  }

  /** Its upstream stood and did not deliver: it is trusted last, for longer with each time in a row. */
  distrust(now: number): void {
    this.#disgraces += 1;
    this.#distrustedUntil = now + Math.min(DISTRUST_MAX_MS, DISTRUST_MIN_MS * 2 ** (this.#disgraces - 1));
  }

  /** Its upstream is as trusted as another way to it has shown. */
  trustAs(other: UpstreamRoute): void {
    this.#disgraces = other.#disgraces;
    this.#distrustedUntil = other.#distrustedUntil;
  }

  /** Another policy is in force: it rests no longer than that allows. */
  hasten({ retryMaxMs }: UpstreamPolicy, now: number): void {
    if (this.state.phase !== "resting") return;
    this.state = { phase: "resting", until: Math.min(this.state.until, now + retryMaxMs) };
  }

  /** Its upstream delivered. */
  trust(): void {
    this.#disgraces = 0;
    this.#distrustedUntil = 0;
  }
}
