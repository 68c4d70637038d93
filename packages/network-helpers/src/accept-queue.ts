import { iterateOnce } from "./once.ts";

/** Accepted things on their way to the loop that pulls them; bounded, so that a stuck loop does not pile them up. */
export class AcceptQueue<T> {
  readonly #waiting: T[] = [];
  readonly #limit: number;
  #pull: ((result: IteratorResult<T, undefined>) => void) | undefined;
  #ended = false;
  /** The pulling side. Iterate once. */
  readonly items: AsyncIterable<T>;

  constructor(limit: number) {
    this.#limit = limit;
    this.items = iterateOnce("a listener's streams", {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    });
  }

  /** False when the queue is full or has ended: `item` stays the caller's. */
  push(item: T): boolean {
    if (this.#ended || this.#waiting.length >= this.#limit) return false;
    if (this.#pull === undefined) this.#waiting.push(item);
    else this.#answer({ done: false, value: item });
    return true;
  }

  /** Ends the pulling side and hands back what nobody pulled. */
  end(): readonly T[] {
    this.#ended = true;
    this.#answer({ done: true, value: undefined });
    return this.#waiting.splice(0);
  }

  #next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#waiting.shift();
    if (item !== undefined) return Promise.resolve({ done: false, value: item });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#pull = resolve;
    });
  }

  #answer(result: IteratorResult<T, undefined>): void {
    const pull = this.#pull;
    this.#pull = undefined;
    pull?.(result);
  }
}
