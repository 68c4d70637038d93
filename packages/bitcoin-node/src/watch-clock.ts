import { setTimeout as sleep } from "node:timers/promises";

/** Time as a watch sees it; tests bring their own. */
export interface WatchClock {
  /** Milliseconds since some moment; never goes back. */
  readonly now: () => number;
  /** Resolves after `ms` milliseconds, or as soon as `signal` aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The machine's own time. */
export const systemClock: WatchClock = {
  now: () => performance.now(),
  pause: async (ms, signal) => {
    await sleep(ms, undefined, { signal }).catch(() => {});
  },
};

const LONGEST_RETRY_MS = 5_000;

/** How long to wait after so many failures in a row: `baseMs`, then twice as long each time, to 5 s unless that is less than `baseMs`. */
export function retryMs(baseMs: number, failures: number): number {
  return Math.min(Math.max(baseMs, LONGEST_RETRY_MS), baseMs * 2 ** Math.min(failures - 1, 16));
}

/** Wakes one loop out of its pause. Rung while the loop is at work, it ends the next pause at once. */
export class Doorbell {
  readonly #clock: WatchClock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: WatchClock) {
    this.#clock = clock;
  }

  /** Ends the pause, or the next one. */
  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Forgets a ring that what follows serves anyway. */
  clear(): void {
    this.#rung = false;
  }

  /** Waits for `ms` milliseconds at most; true when the bell rang, which it is then taken to have. */
  async pause(ms: number, signal: AbortSignal): Promise<boolean> {
    const over = new AbortController();
    this.#wake = () => over.abort();
    signal.addEventListener("abort", this.#wake, { once: true });
    if (this.#rung || signal.aborted) over.abort();
    await this.#clock.pause(ms, over.signal);
    signal.removeEventListener("abort", this.#wake);
    this.#wake = undefined;
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}
