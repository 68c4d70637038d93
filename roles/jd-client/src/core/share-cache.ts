import type { AcceptedShare } from "@adit/channels";

/** Shares kept over all jobs. */
const MAX_SHARES = 10_000;
/** A share is kept this long. Nobody's answer to a job takes longer. */
const MAX_AGE_MS = 60_000;

/**
 * Shares of jobs that the pool has not taken yet (optimistic mining, spec 6.3.1). When they are too many the worst goes.
 * Times are milliseconds that never run backwards.
 */
export class ShareCache {
  readonly #maxShares: number;
  readonly #byWork = new Map<number, { readonly share: AcceptedShare; readonly at: number }[]>();
  #size = 0;

  /** `maxShares`: bound over all jobs. */
  constructor(maxShares: number = MAX_SHARES) {
    this.#maxShares = maxShares;
  }

  /** Shares kept. */
  get size(): number {
    return this.#size;
  }

  /** Keeps a share. Returns how many were dropped to make room: one, possibly this, or none. */
  add(share: AcceptedShare, now: number): number {
    const shares = this.#byWork.get(share.workId) ?? [];
    this.#byWork.set(share.workId, shares);
    shares.push({ share, at: now });
    this.#size += 1;
    if (this.#size <= this.#maxShares) return 0;
    this.#dropWorst();
    return 1;
  }

  /** Whether shares of a job are kept. */
  has(workId: number): boolean {
    return this.#byWork.has(workId);
  }

  /** Hands over the shares of a job, the best first. */
  take(workId: number): readonly AcceptedShare[] {
    const shares = this.#byWork.get(workId) ?? [];
    this.#byWork.delete(workId);
    this.#size -= shares.length;
    return shares.map(({ share }) => share).toSorted((one, other) => other.shareDifficulty - one.shareDifficulty);
  }

  /** Drops what is too old. Returns how many those were. */
  expire(now: number): number {
    const before = this.#size;
    for (const [workId, shares] of this.#byWork) {
      const young = shares.filter(({ at }) => now - at < MAX_AGE_MS);
      this.#size -= shares.length - young.length;
      if (young.length === 0) this.#byWork.delete(workId);
      else this.#byWork.set(workId, young);
    }
    return before - this.#size;
  }

  /** Looked for only when there is no room: while a pool answers, the cache is nearly empty. */
  #dropWorst(): void {
    let worst = { workId: 0, index: 0, difficulty: Number.POSITIVE_INFINITY };
    for (const [workId, shares] of this.#byWork) {
      for (const [index, { share }] of shares.entries()) {
        if (share.shareDifficulty < worst.difficulty) worst = { workId, index, difficulty: share.shareDifficulty };
      }
    }
    const shares = this.#byWork.get(worst.workId);
    if (shares === undefined) return;
    shares.splice(worst.index, 1);
    this.#size -= 1;
    if (shares.length === 0) this.#byWork.delete(worst.workId);
  }
}
