/** A stretch of time: how many shares came, and how many each H/s of real hashrate would have sent on average. */
interface Stretch {
  shares: number;
  /** Expected shares per H/s: sum over time of seconds × shares per second ÷ hashrate of the target in effect. */
  exposure: number;
  seconds: number;
}

/** Older stretches are merged to this part of their age: about 70 cover an hour of seconds. */
const RESOLUTION = 1 / 6;

/** Stretches that stay as fine as they were recorded. */
const NEWEST_KEPT = 4;

/**
 * Share counts over the recent past, exact across target changes because each stretch carries its exposure to the
 * target that was in effect. Resolution falls with age, so memory is logarithmic in the time kept.
 */
export class ShareHistory {
  readonly #grainSeconds: number;
  readonly #memorySeconds: number;
  /** Newest first; never empty. */
  #stretches: Stretch[] = [emptyStretch()];

  /** `grainSeconds` is the length of the newest stretches, `memorySeconds` the age at which they are forgotten. */
  constructor(grainSeconds: number, memorySeconds: number) {
    this.#grainSeconds = grainSeconds;
    this.#memorySeconds = memorySeconds;
  }

  /** Adds time that passed, with its exposure per second. */
  pass(seconds: number, exposurePerSecond: number): void {
    const open = this.#open();
    open.seconds += seconds;
    open.exposure += seconds * exposurePerSecond;
  }

  /** Adds one share, to the stretch that holds the latest time passed: that is when it was worked for. */
  share(): void {
    const newest = this.#stretches[0];
    if (newest !== undefined) newest.shares++;
  }

  /**
   * Visits every window that ends now, shortest first, with the shares that came and those expected per H/s of real
   * hashrate; `position` names the window for `keep`.
   */
  scan(visit: (shares: number, exposure: number, position: number) => void): void {
    let shares = 0;
    let exposure = 0;
    for (let position = 0; position < this.#stretches.length; position++) {
      const stretch = this.#stretches[position];
      shares += stretch?.shares ?? 0;
      exposure += stretch?.exposure ?? 0;
      visit(shares, exposure, position);
    }
  }

  /** Forgets all that is older than the window at this position. */
  keep(position: number): void {
    this.#stretches.length = Math.min(position + 1, this.#stretches.length);
  }

  /** Forgets everything. */
  clear(): void {
    this.#stretches = [emptyStretch()];
  }

  #open(): Stretch {
    const newest = this.#stretches[0];
    if (newest !== undefined && newest.seconds < this.#grainSeconds) return newest;
    const open = emptyStretch();
    this.#stretches.unshift(open);
    this.#compact();
    return open;
  }

  /** One step a stretch is enough: each call adds one, and merges or drops at least as many once the history is long. */
  #compact(): void {
    let age = 0;
    for (const [at, stretch] of this.#stretches.entries()) {
      const older = this.#stretches[at + 1];
      if (older === undefined) return;
      if (at >= NEWEST_KEPT && stretch.seconds + older.seconds <= age * RESOLUTION) {
        older.shares += stretch.shares;
        older.exposure += stretch.exposure;
        older.seconds += stretch.seconds;
        this.#stretches.splice(at, 1);
        return;
      }
      age += stretch.seconds;
      if (age > this.#memorySeconds) {
        this.keep(at);
        return;
      }
    }
  }
}

function emptyStretch(): Stretch {
  return { shares: 0, exposure: 0, seconds: 0 };
}
