interface Waiter {
  readonly admit: (slot: Disposable) => void;
}

/** Lets so many calls run at once and so many more wait, first come first served. */
export class Slots {
  readonly #maxWaiting: number;
  readonly #waiting: Waiter[] = [];
  #free: number;

  /**
   * @param size how many run at once, at least 1
   * @param maxWaiting how many may wait, at least 0
   */
  constructor(size: number, maxWaiting: number) {
    this.#free = size;
    this.#maxWaiting = maxWaiting;
  }

  /**
   * A slot, held until it is disposed; undefined when too many wait already. Rejects with the signal's reason when that
   * aborts first.
   */
  take(signal: AbortSignal): Promise<Disposable> | undefined {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve(this.#slot());
    }
    if (this.#waiting.length >= this.#maxWaiting) return undefined;
    return this.#wait(signal);
  }

  #wait(signal: AbortSignal): Promise<Disposable> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        admit: (slot) => {
          signal.removeEventListener("abort", leave);
          resolve(slot);
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #slot(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next === undefined) this.#free += 1;
        else next.admit(this.#slot());
      },
    };
  }
}
