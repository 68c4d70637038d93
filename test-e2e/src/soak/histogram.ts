const LOWEST = 0.01;
const STEPS_PER_DECADE = 20;
const DECADES = 8;
/** From 0.01 to a million, each 12 % wider than the one before, and one for all above. */
const BUCKETS = STEPS_PER_DECADE * DECADES + 2;

/** Counts of a histogram, in a form that goes between processes. */
export interface HistogramCounts {
  readonly counts: readonly number[];
  readonly largest: number;
}

/** Values above 0 in buckets of equal ratio: bounded memory, and percentiles that are at most 12 % too high. */
export class Histogram {
  readonly #counts: number[];
  #largest: number;

  constructor(from: HistogramCounts = { counts: [], largest: 0 }) {
    this.#counts = Array.from({ length: BUCKETS }, (_, bucket) => from.counts[bucket] ?? 0);
    this.#largest = from.largest;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** Largest value added, exact; 0 when there is none. */
  get largest(): number {
    return this.#largest;
  }

  add(value: number): void {
    const bucket = value <= LOWEST ? 0 : Math.ceil(Math.log10(value / LOWEST) * STEPS_PER_DECADE);
    const at = Math.min(bucket, BUCKETS - 1);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#largest = Math.max(this.#largest, value);
  }

  merge(other: HistogramCounts): void {
    other.counts.forEach((count, bucket) => (this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count));
    this.#largest = Math.max(this.#largest, other.largest);
  }

  /** A bound that `share` (0 to 1) of the values do not exceed; null without values. */
  percentile(share: number): number | null {
    if (this.count === 0) return null;
    const wanted = Math.max(1, Math.ceil(this.count * share));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen < wanted) continue;
      // The last bucket has no upper end of its own.
      return bucket === BUCKETS - 1
        ? this.#largest
        : Math.min(this.#largest, LOWEST * 10 ** (bucket / STEPS_PER_DECADE));
    }
    return this.#largest;
  }

  counts(): HistogramCounts {
    return { counts: [...this.#counts], largest: this.#largest };
  }
}
