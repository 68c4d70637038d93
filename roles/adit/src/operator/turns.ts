/** Lets so many pieces of work run at once; the others wait for their turn, first come first served. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** `size` is at least 1. */
  constructor(size: number) {
    this.#free = size;
  }

  /** Runs `work` in its turn, and settles as it does. Work is told by its own signal that nobody wants it any more. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
