import { hex } from "@adit/bitcoin";

/** Tokens remembered at most, about 200 bytes each, unless told. */
const MAX_REMEMBERED = 1_000_000;

/**
 * Remembers which tokens a job was taken for, until each one's time is over, so that none is taken twice. Full, it forgets
 * the one it has known longest, which is the one whose time is over first as long as all live equally long.
 */
export class UsedTokens {
  readonly #max: number;
  /** Last second of each token's life by its id, oldest first. */
  readonly #used = new Map<string, number>();

  /** Keeps `max` tokens at most. */
  constructor(max: number = MAX_REMEMBERED) {
    this.#max = max;
  }

  /** Tokens it remembers. */
  get size(): number {
    return this.#used.size;
  }

  /** Whether a job was taken for the token with this id. */
  has(id: Uint8Array): boolean {
    return this.#used.has(hex(id));
  }

  /**
   * A job was taken for this token.
   *
   * @param token its id, and the last second of its life in Unix time
   * @param now Unix milliseconds
   */
  add({ id, notAfter }: { readonly id: Uint8Array; readonly notAfter: number }, now: number): void {
    this.#forget(Math.floor(now / 1000));
    this.#used.set(hex(id), notAfter);
  }

  #forget(second: number): void {
    for (const [id, notAfter] of this.#used) {
      if (notAfter >= second && this.#used.size < this.#max) return;
      this.#used.delete(id);
    }
  }
}
