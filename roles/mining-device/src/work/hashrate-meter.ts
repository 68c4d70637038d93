const BUCKET_MS = 1000;

/** Hashes a second over the last ten seconds. */
export class HashrateMeter {
  readonly #buckets: { at: number; hashes: number }[] = [];
  readonly #windowMs: number;
  #startedAt: number | undefined;

  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs;
  }

  /** Counts hashes that were done right before `now` (milliseconds, never backwards). */
  count(hashes: number, now: number): void {
    this.#startedAt ??= now;
    const at = now - (now % BUCKET_MS);
    const last = this.#buckets.at(-1);
    if (last?.at === at) last.hashes += hashes;
    else this.#buckets.push({ at, hashes });
    this.#forget(now);
  }

  /** The rate at `now`; 0 before anything was counted and after a window without any hash. */
  rate(now: number): number {
    this.#forget(now);
    const sum = this.#buckets.reduce((total, bucket) => total + bucket.hashes, 0);
    const oldest = Math.max(this.#startedAt ?? now, now - this.#windowMs);
    return sum === 0 ? 0 : (sum * 1000) / Math.max(now - oldest, BUCKET_MS);
  }

  #forget(now: number): void {
    while ((this.#buckets[0]?.at ?? now) < now - this.#windowMs) this.#buckets.shift();
  }
}
