/** Without work for this long, a pool is of no use. */
const WORKLESS_MS = 30_000;
/** Hashing rests for shares without an answer; a pool that answers none of them for this long will not. */
const UNANSWERED_MS = 30_000;
/** Broken rules a pool may have at once, and how long until one is forgiven. */
const FAULTS = 16;
const FAULT_FORGIVEN_MS = 60_000;

/** Judges a pool by what it does: says when to leave it though its connection stands. Times are milliseconds. */
export class PoolPatience {
  #workedAt: number;
  #restedSince: number | undefined;
  #faults = 0;
  #faultsAt = 0;

  /** `now`: when the connection began. */
  constructor(now: number) {
    this.#workedAt = now;
  }

  /** A second has passed. `working`: there is work. `resting`: too many shares wait. Returns why to leave. */
  tick(
    now: number,
    { working, resting }: { readonly working: boolean; readonly resting: boolean },
  ): string | undefined {
    if (working) this.#workedAt = now;
    if (now - this.#workedAt >= WORKLESS_MS) return "the pool gives no work";
    this.#restedSince = resting ? (this.#restedSince ?? now) : undefined;
    const isSilent = this.#restedSince !== undefined && now - this.#restedSince >= UNANSWERED_MS;
    return isSilent ? "the pool answers no shares" : undefined;
  }

  /** A share was answered. */
  answered(): void {
    this.#restedSince = undefined;
  }

  /** It broke a rule of the protocol, named by `code`. Returns why to leave. */
  broke(now: number, code: string): string | undefined {
    const forgiven = (now - this.#faultsAt) / FAULT_FORGIVEN_MS;
    this.#faults = Math.max(0, this.#faults - forgiven) + 1;
    this.#faultsAt = now;
    return this.#faults > FAULTS ? `the pool keeps breaking the protocol: ${code}` : undefined;
  }
}
