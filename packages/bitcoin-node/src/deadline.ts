/**
 * A signal that aborts with any of its parents, or `ms` milliseconds after it was made with a TimeoutError. Dispose it
 * when the work is done: that clears the timer and the parents' listeners, which `AbortSignal.any` leaves behind on
 * Node 20 for as long as a parent lives.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #parents: readonly AbortSignal[];
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #forward = (): void => {
    this.#controller.abort(this.#parents.find(({ aborted }) => aborted)?.reason);
  };

  constructor(parents: readonly AbortSignal[], ms: number) {
    this.#parents = parents;
    const expire = (): void => this.#controller.abort(new DOMException(`no result within ${ms} ms`, "TimeoutError"));
    this.#timer = setTimeout(expire, ms);
    for (const parent of parents) parent.addEventListener("abort", this.#forward, { once: true });
    if (parents.some(({ aborted }) => aborted)) this.#forward();
  }

  /** Aborted when the time is up or a parent aborts. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const parent of this.#parents) parent.removeEventListener("abort", this.#forward);
  }
}
