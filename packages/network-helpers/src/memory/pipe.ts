type State =
  | { readonly phase: "open" }
  | { readonly phase: "ended" }
  | { readonly phase: "broken"; readonly reader: Error; readonly writer: Error };

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** One direction of a memory stream: chunks in order, and a writer who waits while more than the window is unread. */
export class Pipe {
  readonly #window: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #writers: Waiter<void>[] = [];
  #reader: Waiter<IteratorResult<Uint8Array, undefined>> | undefined;
  #unread = 0;
  #discarding = false;
  #state: State = { phase: "open" };
  #settle: () => void = () => undefined;
  /** Resolves when nothing more will pass: ended and read to the end, or broken. */
  readonly settled: Promise<void> = new Promise((resolve) => {
    this.#settle = resolve;
  });

  constructor(window: number) {
    this.#window = window;
  }

  /** Takes `bytes` whole; resolves once less than the window is unread. The writer checks that the pipe is open. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#state.phase === "broken") return Promise.reject(this.#state.writer);
    if (this.#discarding || bytes.length === 0) return Promise.resolve();
    if (this.#reader !== undefined) this.#answer({ done: false, value: bytes });
    else {
      this.#chunks.push(bytes);
      this.#unread += bytes.length;
    }
    if (this.#unread < this.#window) return Promise.resolve();
    return new Promise((resolve, reject) => this.#writers.push({ resolve, reject }));
  }

  /** The next chunk, or the end. */
  pull(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state.phase === "broken") return Promise.reject(this.#state.reader);
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#unread -= chunk.length;
      this.#release();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#state.phase === "ended" || this.#discarding) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** The writer is done: the reader gets what is left, then the end. */
  end(): void {
    if (this.#state.phase !== "open") return;
    this.#state = { phase: "ended" };
    if (this.#unread === 0) {
      this.#answer({ done: true, value: undefined });
      this.#settle();
    }
  }

  /** The reader is gone: what is unread and what still comes is thrown away, so that no writer waits for it. */
  discard(): void {
    this.#discarding = true;
    this.#chunks.length = 0;
    this.#unread = 0;
    this.#answer({ done: true, value: undefined });
    this.#release();
  }

  /** Rejects whatever is pending or comes later with the error of its side. */
  break(errors: { readonly reader: Error; readonly writer: Error }): void {
    if (this.#state.phase === "broken") return;
    this.#state = { phase: "broken", ...errors };
    this.#chunks.length = 0;
    this.#reader?.reject(errors.reader);
    this.#reader = undefined;
    for (const writer of this.#writers.splice(0)) writer.reject(errors.writer);
    this.#settle();
  }

  #answer(result: IteratorResult<Uint8Array, undefined>): void {
    this.#reader?.resolve(result);
    this.#reader = undefined;
  }

  #release(): void {
    if (this.#unread < this.#window) for (const writer of this.#writers.splice(0)) writer.resolve();
    if (this.#unread === 0 && this.#state.phase === "ended") this.#settle();
  }
}
