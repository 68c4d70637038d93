/** How much a {@link TokenBucket} lets through. */
export interface TokenRate {
  /** Tokens that may be taken at once. */
  readonly burst: number;
  /** Tokens a second that come back, up to `burst`. */
  readonly perSecond: number;
}

/**
 * Lets a burst through and then a steady rate. Time is an argument, in milliseconds of any clock. A step back earns nothing,
 * and time counts on from there: a wall clock that is set back an hour must not shut anybody out for an hour.
 */
export class TokenBucket {
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #at: number;

  /** A full bucket at `now`. */
  constructor({ burst, perSecond }: TokenRate, now: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes one token, or as many as `count` says, if they are there. */
  take(now: number, count = 1): boolean {
    this.#refill(now);
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Whether nothing is taken that time has not given back. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = now;
  }
}
