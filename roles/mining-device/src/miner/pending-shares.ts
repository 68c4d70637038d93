/** Shares that wait for an answer before hashing rests, and from which it goes on again. */
const PAUSE_AT = 200;
const RESUME_AT = 100;
const MOST = 512;

/** Shares that were sent and not answered, in the order they were sent. */
export class PendingShares<Key> {
  readonly #sentAt = new Map<Key, number>();
  #paused = false;

  get size(): number {
    return this.#sentAt.size;
  }

  /** Whether hashing rests for them, as {@link turn} said last. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Whether one more is too many: what was in work when the rest began is let through, within reason. */
  get isFull(): boolean {
    return this.size >= MOST;
  }

  add(key: Key, now: number): void {
    this.#sentAt.set(key, now);
  }

  /** Removes an answered share and says how long its answer took in milliseconds; undefined when it is not known. */
  settle(key: Key, now: number): number | undefined {
    const sentAt = this.#sentAt.get(key);
    this.#sentAt.delete(key);
    return sentAt === undefined ? undefined : now - sentAt;
  }

  /** Settles all shares up to this one; none when it is not known. */
  settleThrough(last: Key, now: number): readonly number[] {
    if (!this.#sentAt.has(last)) return [];
    const times: number[] = [];
    for (const [key, sentAt] of this.#sentAt) {
      this.#sentAt.delete(key);
      times.push(now - sentAt);
      if (key === last) break;
    }
    return times;
  }

  /** Removes the shares sent at or before a time, and says how many they were. */
  expire(sentBy: number): number {
    let count = 0;
    for (const [key, sentAt] of this.#sentAt) {
      if (sentAt > sentBy) break;
      this.#sentAt.delete(key);
      count++;
    }
    return count;
  }

  /** Whether hashing shall rest or go on, when that has changed since last asked. */
  turn(): "pause" | "resume" | undefined {
    const paused = this.#paused ? this.size > RESUME_AT : this.size >= PAUSE_AT;
    if (paused === this.#paused) return undefined;
    this.#paused = paused;
    return paused ? "pause" : "resume";
  }
}
