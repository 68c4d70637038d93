import type { IrohStream } from "./stream.ts";

/** How many groups the streams are checked in, one after the other, so that no turn of the event loop checks all. */
const GROUPS = 8;

/** Holds every open stream, so the garbage collector cannot close it, and has each checked once per interval. */
export class StreamRegistry {
  readonly #groups: readonly Set<IrohStream>[] = Array.from({ length: GROUPS }, () => new Set());
  readonly #timer: NodeJS.Timeout;
  #nextAdd = 0;
  #nextCheck = 0;

  /** Starts the checks; they do not keep the process alive. */
  constructor(checkIntervalMs: number) {
    this.#timer = setInterval(() => this.#check(), Math.max(1, Math.round(checkIntervalMs / GROUPS)));
    this.#timer.unref();
  }

  /** Every open stream. */
  all(): readonly IrohStream[] {
    return this.#groups.flatMap((group) => [...group]);
  }

  /** Number of open streams. */
  get size(): number {
    return this.#groups.reduce((sum, group) => sum + group.size, 0);
  }

  add(stream: IrohStream): void {
    this.#groups[this.#nextAdd]?.add(stream);
    this.#nextAdd = (this.#nextAdd + 1) % GROUPS;
  }

  /** False when it was not held. */
  remove(stream: IrohStream): boolean {
    return this.#groups.some((group) => group.delete(stream));
  }

  /** Ends the checks. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const group = this.#groups[this.#nextCheck] ?? [];
    this.#nextCheck = (this.#nextCheck + 1) % GROUPS;
    const now = performance.now();
    for (const stream of group) stream.check(now);
  }
}
