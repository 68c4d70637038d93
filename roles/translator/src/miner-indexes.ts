const COUNT = 0xffff;

/**
 * Hands out the numbers, 1 to 65,535, that tell miners on a shared channel apart. A number that was given back stays
 * away until the jobs it was used with are dead: its next owner would find the same shares again.
 */
export class MinerIndexes {
  readonly #taken = new Set<number>();
  readonly #retired = new Set<number>();
  #last: number;

  /** `start`: any whole number; the first index follows from it. */
  constructor(start: number) {
    this.#last = Math.abs(Math.trunc(start)) % COUNT;
  }

  /** A number that nobody has; undefined when all are in use. */
  take(): number | undefined {
    if (this.#taken.size + this.#retired.size >= COUNT) return undefined;
    do this.#last = (this.#last % COUNT) + 1;
    while (this.#taken.has(this.#last) || this.#retired.has(this.#last));
    this.#taken.add(this.#last);
    return this.#last;
  }

  /** Gives a number back. */
  retire(index: number): void {
    if (this.#taken.delete(index)) this.#retired.add(index);
  }

  /** All jobs handed out so far are dead. */
  releaseRetired(): void {
    this.#retired.clear();
  }
}
