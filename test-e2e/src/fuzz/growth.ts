const collect = (globalThis as { gc?: () => void }).gc;

/** Between two measurements of the heap, in milliseconds. */
const INTERVAL_MS = 100;
/** Fewer measurements say nothing. */
const FEWEST = 6;
/** More bytes than this, from the middle third of a search to its last, are a leak. */
export const MOST_GROWTH: number = 2 * 1024 * 1024;

/** What the process holds after a collection, over the time of a search. */
export class Growth {
  readonly #held: number[] = [];
  #next = 0;

  /** Measures, when the last time was a while ago. */
  sample(): void {
    const now = performance.now();
    if (collect === undefined || now < this.#next) return;
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    this.#held.push(heapUsed + arrayBuffers);
    const took = performance.now() - now;
    this.#next = now + took + Math.max(INTERVAL_MS, 6 * took);
  }

  /**
   * Bytes by which the least that was held grew from the middle third to the last; null when there are too few
   * measurements. The first third is the time in which code is compiled and caches fill.
   */
  get bytes(): number | null {
    const third = Math.floor(this.#held.length / 3);
    if (this.#held.length < FEWEST) return null;
    return Math.min(...this.#held.slice(-third)) - Math.min(...this.#held.slice(third, -third));
  }
}
