/** A thread that fell behind catches up at most this much, in milliseconds; what is older is given up. */
const LONGEST_DEBT_MS = 250;

/**
 * Holds a rate exactly in the long run: time is spent with every hash, and a pause that lasted too long shortens the
 * next one. Times are milliseconds of any clock that never goes back.
 */
export class Pacer {
  readonly #hashesPerMs: number;
  /** When the next hash may be done. */
  #due = 0;

  /** @param rate hashes a second; 0 for no limit */
  constructor(rate: number) {
    this.#hashesPerMs = rate === 0 ? Number.POSITIVE_INFINITY : rate / 1000;
  }

  /** Milliseconds to wait before the next hash; 0 for none. */
  wait(now: number): number {
    return Math.max(this.#due - now, 0);
  }

  /** Hashes to do in one go, so that a pause between two goes is about ten milliseconds; `most` at most. */
  batch(most: number): number {
    return Math.min(Math.max(Math.floor(this.#hashesPerMs * 10), 1), most);
  }

  /** Counts hashes that were done, the last of them at `now`. */
  spend(hashes: number, now: number): void {
    const cost = hashes / this.#hashesPerMs;
    this.#due = Math.max(this.#due, now - LONGEST_DEBT_MS - cost) + cost;
  }
}
