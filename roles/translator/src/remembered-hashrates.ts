/** User names remembered; the one not heard of for longest goes first. */
const MAX_NAMES = 10_000;

/** What miners that left were capable of, so that they need not prove it again when they come back. */
export class RememberedHashrates {
  readonly #byName = new Map<string, number>();

  /** The hashrate of a user name, in H/s, if it is known. */
  of(userName: string): number | undefined {
    return this.#byName.get(userName);
  }

  /** Remembers the hashrate, in H/s, of a miner that leaves. */
  keep(userName: string, hashrate: number): void {
    this.#byName.delete(userName);
    this.#byName.set(userName, hashrate);
    for (const oldest of this.#byName.keys()) {
      if (this.#byName.size <= MAX_NAMES) return;
      this.#byName.delete(oldest);
    }
  }
}
