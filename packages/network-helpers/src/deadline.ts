/** How long a graceful close may take before it becomes an abort, in milliseconds. */
export const GRACE_MS = 2000;

/**
 * A signal that aborts with its parent or `ms` milliseconds after it was made, with a TimeoutError. Dispose it when the
 * work is done: that clears the timer and the parent's listener, which `AbortSignal.any` leaves behind on Node 20 for
 * as long as the parent lives.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #forward = (): void => this.#controller.abort(this.#parent.reason);

  constructor(parent: AbortSignal, ms: number) {
    this.#parent = parent;
    const expire = (): void => this.#controller.abort(new DOMException(`no result within ${ms} ms`, "TimeoutError"));
    this.#timer = setTimeout(expire, ms);
    if (parent.aborted) this.#forward();
    else parent.addEventListener("abort", this.#forward, { once: true });
  }

  /** Aborted when the time is up or the parent aborts. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener("abort", this.#forward);
  }
}

/** Waits for `work`, but not longer than `ms` milliseconds; false when it took longer. A late failure is swallowed. */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expired = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([work.then(() => true), expired]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

/** Resolves when a signal aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
