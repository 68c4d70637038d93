const PERIOD_MS = 20;
const TRIES = 400;

/** Tries nonces at some 20,000 a second unless told, and leaves the event loop free in between. */
export class PacedSearch {
  readonly #timer: NodeJS.Timeout;
  #nonce = 0;

  /** `triesAtOnce`: nonces tried fifty times a second. */
  constructor(attempt: (nonce: number) => void, triesAtOnce: number = TRIES) {
    this.#timer = setInterval(() => {
      for (let tries = 0; tries < triesAtOnce; tries += 1) {
        this.#nonce = (this.#nonce + 1) >>> 0;
        attempt(this.#nonce);
      }
    }, PERIOD_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
