/** Bounds of an {@link InvalidLadder}. */
export interface LadderLimits {
  /** Length of one step in milliseconds. */
  readonly ladderWindowMs: number;
  /** Fewer shares than this in a step decide nothing. */
  readonly ladderMinShares: number;
}

/**
 * Counts good and bad shares in steps of a minute. Each step with enough shares, more than half of them bad, climbs
 * one rung; any other step falls back to the ground. What a rung means is the caller's choice.
 */
export class InvalidLadder {
  readonly #limits: LadderLimits;
  #windowStart: number;
  #good = 0;
  #bad = 0;
  #excess = 0;
  #rung = 0;

  /** Starts on the ground at `now` (milliseconds). */
  constructor(limits: LadderLimits, now: number) {
    this.#limits = limits;
    this.#windowStart = now;
  }

  /** Bad and excess shares, and requests that were refused, of the running step. */
  get refused(): number {
    return this.#bad + this.#excess;
  }

  /** Counts a share; one in excess was refused for a bound of ours, or was no share, and does not make the peer climb. */
  count(kind: "good" | "bad" | "excess"): void {
    if (kind === "good") this.#good += 1;
    else if (kind === "bad") this.#bad += 1;
    else this.#excess += 1;
  }

  /** Ends the step if its time is up: the rung climbed to, 0 for the ground, or undefined while the step runs. */
  tick(now: number): number | undefined {
    if (now - this.#windowStart < this.#limits.ladderWindowMs) return undefined;
    const total = this.#good + this.#bad;
    const failed = total >= this.#limits.ladderMinShares && this.#bad * 2 > total;
    this.#rung = failed ? this.#rung + 1 : 0;
    this.#windowStart = now;
    this.#good = 0;
    this.#bad = 0;
    this.#excess = 0;
    return this.#rung;
  }
}
