import type { DeclaredJob } from "./declared-job.ts";

/** Jobs that may wait for their turn; of more, the oldest is given up. */
const MAX_WAITING = 4;
/** Jobs remembered: as many as miners may still find shares or blocks for. */
const MAX_JOBS = 64;

/** The jobs of a session, oldest first. */
export class JobBook {
  /** By `workId`. */
  readonly #jobs = new Map<number, DeclaredJob>();

  get all(): readonly DeclaredJob[] {
    return [...this.#jobs.values()];
  }

  get newest(): DeclaredJob | undefined {
    return this.all.at(-1);
  }

  /** Those whose turn has not come. */
  get waiting(): readonly DeclaredJob[] {
    return this.all.filter(({ step }) => step.at === "waiting");
  }

  has(workId: number): boolean {
    return this.#jobs.has(workId);
  }

  find(workId: number): DeclaredJob | undefined {
    return this.#jobs.get(workId);
  }

  /** Adds a job. Returns those that are too many now and to be given up; of them, the oldest are forgotten. */
  add(declared: DeclaredJob): readonly DeclaredJob[] {
    this.#jobs.set(declared.job.workId, declared);
    const superseded = this.waiting.slice(0, -MAX_WAITING);
    for (const [workId, oldest] of this.#jobs) {
      if (this.#jobs.size <= MAX_JOBS) break;
      superseded.push(oldest);
      this.#jobs.delete(workId);
    }
    return superseded;
  }
}
