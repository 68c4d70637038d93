import type { WatchClock } from "../watch-clock.ts";

interface Sleeper {
  readonly dueAt: number;
  readonly wake: () => void;
}

/** Time that passes when a test says so. */
export class VirtualClock implements WatchClock {
  #now = 0;
  #sleepers: Sleeper[] = [];
  #waiters: (() => void)[] = [];

  readonly now = (): number => this.#now;

  readonly pause = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted || ms <= 0) {
        resolve();
        return;
      }
      const wake = (): void => {
        this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.wake !== wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
      this.#sleepers.push({ dueAt: this.#now + ms, wake });
      for (const waiter of this.#waiters.splice(0)) waiter();
    });

  /** How long each sleeper still sleeps, shortest first. */
  get pending(): readonly number[] {
    return this.#sleepers.map(({ dueAt }) => dueAt - this.#now).toSorted((a, b) => a - b);
  }

  /** Resolves when exactly these pauses are pending, shortest first. */
  async sleeping(...pauses: readonly number[]): Promise<void> {
    while (this.pending.join() !== pauses.join()) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Lets time pass and wakes whoever is due. */
  advance(ms: number): void {
    this.#now += ms;
    for (const { dueAt, wake } of this.#sleepers) if (dueAt <= this.#now) wake();
  }
}
