/** Miners that get no work are kept company this long; then those with a second pool may go there. */
const OUTAGE_PATIENCE_MS = 600_000;

/** How long a miner has heard nothing: many leave after a minute of it. Times are milliseconds that never run backwards. */
export class MinerSilence {
  readonly #keepaliveMs: number;
  #lastSentAt: number;
  #idleSince: number;

  /** `keepaliveMs`: longest time without a line; 0: for ever. */
  constructor(keepaliveMs: number, now: number) {
    this.#keepaliveMs = keepaliveMs;
    this.#lastSentAt = now;
    this.#idleSince = now;
  }

  /** A line was sent. */
  sent(now: number): void {
    this.#lastSentAt = now;
  }

  /** There is no work from now on. */
  idle(now: number): void {
    this.#idleSince = now;
  }

  /** Whether the last job, told at `lastNotify`, is to be told again. */
  asksForJob(lastNotify: number | undefined, now: number): boolean {
    return this.#keepaliveMs > 0 && lastNotify !== undefined && now - lastNotify >= this.#keepaliveMs;
  }

  /** Whether something is to be said although there is no work. */
  asksForCompany(now: number): boolean {
    if (this.#keepaliveMs === 0 || now - this.#idleSince > OUTAGE_PATIENCE_MS) return false;
    return now - this.#lastSentAt >= this.#keepaliveMs;
  }
}
