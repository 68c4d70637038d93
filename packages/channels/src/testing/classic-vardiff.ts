import type { Adjuster } from "./vardiff-simulation.ts";

/** Smallest relative change, and the seconds since the last change from which it is enough. */
const STEPS = [
  { change: 1, seconds: 0 },
  { change: 0.6, seconds: 60 },
  { change: 0.5, seconds: 120 },
  { change: 0.45, seconds: 180 },
  { change: 0.3, seconds: 240 },
  { change: 0.15, seconds: 300 },
] as const;

const TICK_SECONDS = 60;

/**
 * The "classic" difficulty adjustment of the SV2 reference implementation, written anew from its published constants:
 * the share rate since the last change, compared with a ladder of thresholds once a minute. It is here to show that
 * the simulation measures what the published one does, and to be beaten.
 */
export class ClassicVardiff implements Adjuster {
  readonly #sharesPerMinute: number;
  #hashrate: number;
  #shares = 0;
  #changedAt = 0;

  constructor(channel: { readonly sharesPerMinute: number; readonly hashrate: number }) {
    this.#sharesPerMinute = channel.sharesPerMinute;
    this.#hashrate = channel.hashrate;
  }

  shares(count: number): void {
    this.#shares += count;
  }

  tick(now: number): number | undefined {
    const seconds = now / 1000;
    const elapsed = seconds - this.#changedAt;
    if (seconds % TICK_SECONDS !== 0 || elapsed <= 15) return undefined;
    const ratio = this.#shares / (elapsed / 60) / this.#sharesPerMinute;
    const change = Math.abs(ratio - 1);
    if (!STEPS.some((step) => change >= step.change && elapsed >= step.seconds)) return undefined;
    this.#hashrate = Math.max(1, this.#hashrate * boundedRatio(ratio, elapsed));
    this.#shares = 0;
    this.#changedAt = seconds;
    return this.#hashrate;
  }

  applied(): void {}
}

function boundedRatio(ratio: number, elapsed: number): number {
  if (ratio === 0) return 1 / (elapsed <= 30 ? 1.5 : elapsed < 60 ? 2 : 3);
  if (ratio > 11) return elapsed <= 30 ? 10 : elapsed < 60 ? 5 : 3;
  return ratio;
}
