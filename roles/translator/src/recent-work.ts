import { type Target, workOf } from "@adit/bitcoin";

const MINUTE_MS = 60_000;
const MINUTES = 10;

/** Work proven in the last ten minutes, as a hashrate for people. */
export class RecentWork {
  readonly #since: number;
  /** Hashes by minute of the clock, oldest first. */
  readonly #minutes: { readonly minute: number; hashes: number }[] = [];

  /** `since`: when the work started, in milliseconds. */
  constructor(since: number) {
    this.#since = since;
  }

  /** Counts a share that met this target. */
  add(target: Target, now: number): void {
    const minute = Math.floor(now / MINUTE_MS);
    const hashes = Number(workOf(target));
    const newest = this.#minutes.at(-1);
    if (newest?.minute === minute) newest.hashes += hashes;
    else this.#minutes.push({ minute, hashes });
    while (this.#minutes.length > MINUTES + 1) this.#minutes.shift();
  }

  /** Hashes a second. */
  hashrate(now: number): number {
    const from = Math.max(Math.floor(now / MINUTE_MS) - MINUTES, Math.floor(this.#since / MINUTE_MS));
    let hashes = 0;
    for (const { minute, hashes: some } of this.#minutes) if (minute >= from) hashes += some;
    const seconds = (now - Math.max(from * MINUTE_MS, this.#since)) / 1000;
    return hashes / Math.max(seconds, 1);
  }
}
