/** What to do about a miner whose shares are rejected: after one bad minute, a second in a row, a third. */
export type RejectStep = "none" | "resend" | "reconnect" | "drop";

const WINDOW_MS = 60_000;
const STEPS: readonly RejectStep[] = ["resend", "reconnect", "drop"];

/**
 * Counts submits by the minute. A minute with at least `minimum` of them, more than half rejected, is bad: most often
 * the miner lost track of its work, which new work or a new connection mends; else it wastes our time.
 */
export class RejectLadder {
  readonly #minimum: number;
  #since: number | undefined;
  #accepted = 0;
  #rejected = 0;
  #badMinutes = 0;

  constructor(minimum: number) {
    this.#minimum = minimum;
  }

  /** Counts a submit. */
  count(accepted: boolean, now: number): void {
    this.#since ??= now;
    if (accepted) this.#accepted++;
    else this.#rejected++;
  }

  /** Judges the minute if it is over; otherwise says `none`. */
  judge(now: number): RejectStep {
    if (this.#since === undefined || now - this.#since < WINDOW_MS) return "none";
    const submits = this.#accepted + this.#rejected;
    const bad = submits >= this.#minimum && this.#rejected > this.#accepted;
    const step = bad ? (STEPS[this.#badMinutes] ?? "drop") : "none";
    this.#badMinutes = bad ? this.#badMinutes + 1 : 0;
    this.#since = undefined;
    this.#accepted = 0;
    this.#rejected = 0;
    return step;
  }
}
