/** Allows a burst and then a steady rate. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #at: number;

  /** A full bucket at `now` (milliseconds). */
  constructor(rate: { readonly perSecond: number; readonly burst: number }, now: number) {
    this.#burst = rate.burst;
    this.#perSecond = rate.perSecond;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /** Takes one token, or as many as `count` says, if they are there. A clock that stepped back refills nothing. */
  take(now: number, count = 1): boolean {
    const elapsed = Math.max(0, now - this.#at);
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }
}
