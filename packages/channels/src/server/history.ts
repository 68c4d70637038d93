const MAX_ENTRIES = 128;

/**
 * A value that changes at numbered moments and can be asked for at an earlier one: the target by activation number,
 * the extranonce prefix by job id. At most 128 changes are kept; what is older is forgotten.
 */
export class History<T> {
  #entries: { from: number; value: T }[];

  /** The value holds from moment `from` on. */
  constructor(from: number, value: T) {
    this.#entries = [{ from, value }];
  }

  /** The newest value, whether its moment has come or not. */
  get latest(): T {
    return this.#last.value;
  }

  /** The moment from which the newest value holds. */
  get latestFrom(): number {
    return this.#last.from;
  }

  /** The value at a moment, or undefined before the first one kept. */
  at(moment: number): T | undefined {
    return this.#entries.findLast((entry) => entry.from <= moment)?.value;
  }

  /** Adds a value that holds from `from`, which must not be before the newest one's. */
  set(from: number, value: T): void {
    this.#entries.push({ from, value });
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift();
  }

  /** Puts a value in place of the newest one, which was never used. */
  replaceLatest(from: number, value: T): void {
    this.#entries.pop();
    this.#entries.push({ from, value });
  }

  /** Forgets values that no moment from `oldest` on can ask for. */
  forgetBefore(oldest: number): void {
    const first = this.#entries.findLastIndex((entry) => entry.from <= oldest);
    if (first > 0) this.#entries = this.#entries.slice(first);
  }

  get #last(): { from: number; value: T } {
    const last = this.#entries.at(-1);
    if (last === undefined) throw new Error("a history is never empty");
    return last;
  }
}
