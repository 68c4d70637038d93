/** Waiting times between attempts: the bound doubles from `minMs` to `maxMs`, the wait is anywhere below it (full jitter). */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  /** `random` returns a number from 0 up to but not including 1. */
  constructor(options: { readonly minMs: number; readonly maxMs: number; readonly random: () => number }) {
    this.#minMs = options.minMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random;
  }

  /** Milliseconds to wait before the next attempt; each call counts one failure. */
  next(): number {
    const bound = Math.min(this.#maxMs, this.#minMs * 2 ** this.#failures);
    // Past this many doublings any bound is reached, and 2 ** n stays finite.
    this.#failures = Math.min(this.#failures + 1, 64);
    return Math.floor(this.#random() * bound);
  }

  /** Call after a success. */
  reset(): void {
    this.#failures = 0;
  }
}

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    signal.addEventListener("abort", wake, { once: true });
  });
}
