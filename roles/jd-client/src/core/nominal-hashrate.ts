/** A change below this part of what was told is not worth an UpdateChannel. */
const CHANGE = 0.05;
/** A change waits this long for others, as when a farm's miners join one after another. */
const WAIT_MS = 1000;
/** A sum that grows by this factor does not wait: miners that far above it flood the pool until its target follows. */
const URGENT_RATIO = 4;

/** When to tell the pool that the miners' summed hashrate is another (spec 5.3.7). */
export class NominalHashrate {
  #told = 0;
  #changedAt: number | undefined;

  /** The pool was told this hashrate, in H/s. */
  tell(hashrate: number): void {
    this.#told = hashrate;
    this.#changedAt = undefined;
  }

  /** Whether to tell this hashrate now; it counts as told then. */
  isDue(hashrate: number, now: number): boolean {
    if (Math.abs(hashrate - this.#told) <= this.#told * CHANGE) {
      this.#changedAt = undefined;
      return false;
    }
    this.#changedAt ??= now;
    if (hashrate < this.#told * URGENT_RATIO && now - this.#changedAt < WAIT_MS) return false;
    this.tell(hashrate);
    return true;
  }
}
