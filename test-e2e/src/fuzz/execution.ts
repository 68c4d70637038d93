import type { Growth } from "./growth.ts";
import type { Journal } from "./journal.ts";
import { type AnyTarget, MOST_MS, rule, takeLongestStep } from "./target.ts";

/** Times a suspect is taken once more before it counts as slow: the machine may have been busy. */
const RETRIALS = 4;

/** Gives a target its inputs, one after the other, and holds each to its time. */
export class Execution {
  readonly #target: AnyTarget;
  readonly #journal: Journal;
  readonly #growth: Growth | undefined;
  readonly #mostMs: number | null;
  /** Inputs taken. */
  count = 0;
  /** Longest input or step in milliseconds, repeated trials of a suspect not counted. */
  slowestMs = 0;

  constructor(target: AnyTarget, { journal, growth }: { readonly journal: Journal; readonly growth?: Growth }) {
    this.#target = target;
    this.#journal = journal;
    this.#growth = growth;
    this.#mostMs = target.mostMs === undefined ? MOST_MS : target.mostMs;
  }

  /** Takes one input; throws, or rejects, when a rule is broken. Synchronous when the target is. */
  take(input: unknown): Promise<void> | undefined {
    this.#journal.note(input);
    this.count += 1;
    const start = performance.now();
    takeLongestStep();
    const running = this.#target.run(input);
    if (running !== undefined) return running.then(() => this.#afterwards(input, start));
    const took = this.#measured(start);
    return this.#isSlow(took) ? this.#retry(input, took) : undefined;
  }

  /** Does what is due between inputs. */
  pause(): void {
    this.#journal.idle();
    this.#growth?.sample();
  }

  async #afterwards(input: unknown, start: number): Promise<void> {
    const took = this.#measured(start);
    if (this.#isSlow(took)) await this.#retry(input, took);
  }

  #measured(start: number): number {
    return takeLongestStep() ?? performance.now() - start;
  }

  #isSlow(took: number): boolean {
    if (this.#mostMs === null) return false;
    if (took <= this.#mostMs) this.slowestMs = Math.max(this.slowestMs, took);
    return took > this.#mostMs;
  }

  /** Another process may have had the processor: only an input that is slow each time is slow. */
  async #retry(input: unknown, took: number): Promise<void> {
    let least = took;
    for (let trial = 0; trial < RETRIALS && least > (this.#mostMs ?? Infinity); trial += 1) {
      this.#journal.note(input);
      const used = process.cpuUsage();
      const start = performance.now();
      await this.#target.run(input);
      const { user, system } = process.cpuUsage(used);
      least = Math.min(least, this.#measured(start), (user + system) / 1000);
    }
    this.slowestMs = Math.max(this.slowestMs, least);
    rule(
      least <= (this.#mostMs ?? Infinity),
      `took ${Math.round(least)} ms each time, at most ${this.#mostMs} are allowed`,
    );
  }
}
