/** Where a circuit breaker stands: dialling at will, not at all, or one trial. */
export type BreakerState = "closed" | "open" | "half-open";

/**
 * Keeps a peer that only fails from being dialled again and again: closed, until so many failures have followed each
 * other; then open for a time; then half-open, until a trial has connected or failed. Pure: time is an argument, in
 * milliseconds. That trials do not run side by side is the caller's part: it dials a peer once at a time.
 */
export class Breaker {
  readonly #limit: number;
  readonly #openMs: number;
  #failures = 0;
  #state: BreakerState = "closed";
  #until = Number.POSITIVE_INFINITY;

  /** Opens after `failures` failures in a row, for `openMs` milliseconds. */
  constructor(options: { readonly failures: number; readonly openMs: number }) {
    this.#limit = options.failures;
    this.#openMs = options.openMs;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Failures since the peer last worked. */
  get failures(): number {
    return this.#failures;
  }

  /** When an open breaker turns half-open; `Infinity` in the other states. */
  get dueAt(): number {
    return this.#until;
  }

  /** Time has passed; true when the breaker has turned half-open. */
  tick(now: number): boolean {
    if (this.#state !== "open" || now < this.#until) return false;
    this.#enter("half-open", Number.POSITIVE_INFINITY);
    return true;
  }

  /** A connection or what it was used for has failed; true when that opens the breaker. */
  failed(now: number): boolean {
    this.#failures++;
    if (this.#state === "open" || (this.#state === "closed" && this.#failures < this.#limit)) return false;
    this.#enter("open", now + this.#openMs);
    return true;
  }

  /**
   * A dial has connected; true when that closes the breaker. The failures stay counted until the peer has worked: one
   * that accepts connections and fails on each of them comes to be left alone too.
   */
  connected(): boolean {
    if (this.#state === "closed") return false;
    this.#enter("closed", Number.POSITIVE_INFINITY);
    return true;
  }

  /** A connection has done what it is for: failures start over. */
  worked(): void {
    this.#failures = 0;
  }

  #enter(state: BreakerState, until: number): void {
    this.#state = state;
    this.#until = until;
  }
}
