import type { Logger } from "pino";

/** What a lifetime needs. */
export interface LifetimeOptions {
  readonly log: Logger;
  /** How long a drain may take before it is cut short, in milliseconds. */
  readonly drainTimeoutMs: number;
  /** Whether a drain is left out: told to stop, the process ends. */
  readonly immediate: boolean;
}

/** The only place that listens for process signals and parents, and may end the process by force. */
export class Lifetime {
  readonly #options: LifetimeOptions;
  readonly #drain: AbortController = new AbortController();
  readonly #fault: AbortController = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #asked = 0;
  #hangup: (() => void) | undefined;

  constructor(options: LifetimeOptions) {
    this.#options = options;
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
    process.on("SIGHUP", this.#onHangup);
    process.on("disconnect", this.#onOrphaned);
    process.on("uncaughtException", this.#onFault);
    process.on("unhandledRejection", this.#onFault);
    // A parent that went while this process was still loading is not announced any more.
    if (process.send !== undefined && !process.connected) this.#onOrphaned();
  }

  /** Aborts when the role shall drain. */
  get signal(): AbortSignal {
    return this.#drain.signal;
  }

  /** Stops the role as the first SIGTERM does. */
  drain(reason: string): void {
    this.#startDrain(reason);
  }

  /** What SIGHUP does; nothing until this is called, and nothing once the role drains. */
  onHangup(act: () => void): void {
    this.#hangup = act;
  }

  /** Resolves with the work, rejects with it, on an uncaught fault, or when a drain takes too long. */
  async race(work: Promise<void>): Promise<void> {
    const { signal } = this.#fault;
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      work.then(resolve, reject);
    });
  }

  /** Sends a message to the process that spawned this one, if there is one. */
  tellParent(message: object): void {
    if (process.connected) process.send?.(message, undefined, {}, () => {});
  }

  /** Stops listening. A parent's channel is let go, so that it does not keep this process alive. */
  end(): void {
    clearTimeout(this.#timer);
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
    process.off("SIGHUP", this.#onHangup);
    process.off("disconnect", this.#onOrphaned);
    process.off("uncaughtException", this.#onFault);
    process.off("unhandledRejection", this.#onFault);
    if (process.connected) process.disconnect?.();
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#asked += 1;
    if (this.#asked > 1) {
      this.#options.log.warn({ signal }, "second signal: quitting at once");
      process.exit(130);
    }
    this.#startDrain(signal);
  };

  readonly #onHangup = (): void => {
    if (!this.#drain.signal.aborted) this.#hangup?.();
  };

  readonly #onOrphaned = (): void => {
    this.#startDrain("parent process gone");
  };

  readonly #onFault = (error: unknown): void => {
    this.#fault.abort(error);
  };

  #startDrain(reason: string): void {
    if (this.#drain.signal.aborted) return;
    if (this.#options.immediate) {
      this.#options.log.info({ reason }, "quitting at once, as the config says");
      process.exit(0);
    }
    this.#options.log.info({ reason }, "draining");
    this.#timer = setTimeout(() => {
      this.#fault.abort(new Error(`drain took longer than ${this.#options.drainTimeoutMs} ms and was cut short`));
    }, this.#options.drainTimeoutMs);
    this.#drain.abort(new Error(reason));
  }
}
