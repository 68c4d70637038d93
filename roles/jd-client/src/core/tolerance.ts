/** Around a moved tip or a new target, for this long, pool and miner may be of different minds. */
const RACE_MS = 10_000;
/** Jobs that were asked about together are refused together, within this: of one race they count as one. */
const TOGETHER_MS = 2000;
/** As many refusals in a row within that time are nobody's bad luck any more. */
const MOST = { refusals: 3, ms: 60_000 };
/** Answers to shares that are looked at, and the fewest that mean something. */
const ANSWERS = 20;
const LEAST_ANSWERS = 10;

/** Refusals that say nothing about the share. */
const blameless: ReadonlySet<string> = new Set(["share-rate-exceeded", "too-many-shares", "share-not-recorded"]);

/** What a refusal of the pool or job declarator means. */
export type Judgement = "race" | "fault";

/**
 * Tells refusals that come of a race, which are nobody's fault, from those for which an upstream is left. A tip reaches
 * pool and miner at different moments, and so does a target. Times are milliseconds that never run backwards.
 */
export class Tolerance {
  readonly #jobs = new Races();
  readonly #shares = new Races();
  #tipMovedAt = Number.NEGATIVE_INFINITY;
  #targetSetAt = Number.NEGATIVE_INFINITY;
  /** Answers to shares, oldest first: whether a refusal, though a blameless one. */
  #answers: boolean[] = [];

  /** Miners went over to another tip. */
  tipMoved(now: number): void {
    this.#tipMovedAt = now;
    this.#jobs.tipMoved();
    this.#shares.tipMoved();
  }

  /** The pool set another target. */
  targetSet(now: number): void {
    this.#targetSetAt = now;
  }

  /** The pool took a job. */
  jobAccepted(): void {
    this.#jobs.end();
  }

  /** The pool credited shares. */
  sharesAccepted(count: number): void {
    this.#shares.end();
    for (let share = 0; share < Math.min(count, ANSWERS); share += 1) this.#answered(false);
  }

  /** A job was refused. `isStale`: miners are on another tip by now. */
  jobRefused(errorCode: string, isStale: boolean, now: number): Judgement {
    if (!isStale && errorCode !== "stale-chain-tip") return "fault";
    if (!isStale && now - this.#tipMovedAt >= RACE_MS) this.#jobs.suspect(now);
    return now - this.#jobs.lastAt < TOGETHER_MS ? "race" : this.#jobs.lost(now);
  }

  /** A share of a job that the pool took was refused. */
  shareRefused(errorCode: string, now: number): Judgement {
    if (blameless.has(errorCode)) return this.#withheld();
    if (errorCode === "difficulty-too-low" && now - this.#targetSetAt >= RACE_MS) return "fault";
    if (errorCode !== "difficulty-too-low" && errorCode !== "stale-share") return "fault";
    if (errorCode === "stale-share" && now - this.#tipMovedAt >= RACE_MS) this.#shares.suspect(now);
    // Many miners' shares are late at once: of one race they count as one.
    return now - this.#shares.lastAt < RACE_MS ? "race" : this.#shares.lost(now);
  }

  /** Whether the pool named our tip stale so long ago that ours would have moved as well. */
  isOverdue(now: number): boolean {
    return this.#jobs.isOverdue(now) || this.#shares.isOverdue(now);
  }

  #withheld(): Judgement {
    this.#answered(true);
    const refusals = this.#answers.filter((isRefusal) => isRefusal).length;
    return this.#answers.length >= LEAST_ANSWERS && refusals * 2 >= this.#answers.length ? "fault" : "race";
  }

  #answered(isRefusal: boolean): void {
    this.#answers.push(isRefusal);
    if (this.#answers.length > ANSWERS) this.#answers.shift();
  }
}

/** Races of one kind that were lost in a row. */
class Races {
  /** Oldest first. */
  #lost: number[] = [];
  /** The pool named our tip stale, and ours has not moved: when. It may hear of a tip first; then ours moves soon. */
  #suspectSince: number | undefined;

  get lastAt(): number {
    return this.#lost.at(-1) ?? Number.NEGATIVE_INFINITY;
  }

  lost(now: number): Judgement {
    this.#lost = [...this.#lost.filter((at) => now - at < MOST.ms), now];
    return this.#lost.length >= MOST.refusals ? "fault" : "race";
  }

  suspect(now: number): void {
    this.#suspectSince ??= now;
  }

  tipMoved(): void {
    this.#suspectSince = undefined;
  }

  isOverdue(now: number): boolean {
    return this.#suspectSince !== undefined && now - this.#suspectSince >= RACE_MS;
  }

  end(): void {
    this.#lost = [];
    this.#suspectSince = undefined;
  }
}
