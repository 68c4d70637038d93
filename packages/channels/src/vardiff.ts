import { ShareHistory } from "./vardiff-history.ts";

/** Tuning that an operator may change; the rest is fixed by the simulation in `vardiff.simulation.test.ts`. */
export interface VardiffOptions {
  /** Largest factor by which one change moves the hashrate, above 1. A burst of late shares cannot do more harm than this. */
  readonly maxStep: number;
  /** How long shares are remembered, in milliseconds, while the hashrate looks steady. */
  readonly memoryMs: number;
}

/** Defaults of {@link VardiffOptions}. */
export const defaultVardiffOptions: VardiffOptions = { maxStep: 8, memoryMs: 3_600_000 };

/** What one channel's {@link Vardiff} starts from. */
export interface VardiffChannel {
  /** Shares per minute to aim at, finite and above 0. */
  readonly sharesPerMinute: number;
  /** Lowest hashrate to assume, in H/s: the server's easiest target. Not finite or not positive means 1. */
  readonly minHashrate: number;
  /** Hashrate of the first target, in H/s. Not finite or not positive means `minHashrate`. */
  readonly hashrate: number;
  /** True if a change counts only from `applied()`, when the first job with the new target was sent. Default false. */
  readonly deferred?: boolean;
}

/**
 * Estimates a channel's hashrate from its share arrivals, and says when its target should change.
 *
 * Shares are a Poisson process, so the log-likelihood ratio of "the hashrate is what the window shows" against "it is
 * what the target assumes" is n·ln(n/m) − (n − m), for n shares seen and m expected. Every window that ends now is
 * tested, from seconds to an hour; short windows, which are many, need more evidence. The strongest window both makes
 * the decision and starts the new history, so what was learnt at an easy target keeps its worth at a harder one.
 *
 * No share in a window is evidence like any other: `tick` eases an idle channel without waiting for a share.
 *
 * A changed target applies to jobs sent after it (spec 5.3.21), so only shares of such jobs may be counted. Each change
 * costs the peer a `SetTarget`, so changes must be rare while the hashrate is steady.
 */
export class Vardiff {
  readonly #options: VardiffOptions & VardiffChannel;
  readonly #history: ShareHistory;
  readonly #steadyEvidence: number;
  readonly #windowShares: number;
  #hashrate: number;
  /** Hashrate of the target that shares are judged against now; undefined while a deferred change is under way. */
  #inEffect: number | undefined;
  #last: number;
  #sharesSinceChange = 0;
  #idleEases = 0;

  /** `now` in milliseconds. Throws RangeError when `sharesPerMinute` is not a positive number. */
  constructor(options: VardiffOptions & VardiffChannel, now: number) {
    const { sharesPerMinute } = options;
    if (!(sharesPerMinute > 0 && Number.isFinite(sharesPerMinute))) {
      throw new RangeError(`sharesPerMinute must be a positive number, got ${sharesPerMinute}`);
    }
    this.#options = options;
    this.#steadyEvidence = Math.max(MIN_EVIDENCE, EVIDENCE + EVIDENCE_PER_RATE * Math.log(sharesPerMinute / 6));
    this.#windowShares = WINDOW_MINUTES * sharesPerMinute;
    this.#history = new ShareHistory(GRAIN_SHARES * (60 / sharesPerMinute), options.memoryMs / 1000);
    this.#hashrate = this.#clamp(options.hashrate);
    this.#inEffect = this.#hashrate;
    this.#last = now;
  }

  /** Hashrate that the target should be made for, in H/s. */
  get hashrate(): number {
    return this.#hashrate;
  }

  /** Counts one valid share of a job that was sent with the target in effect. */
  share(now: number): void {
    this.#pass(now);
    if (this.#inEffect === undefined) return;
    this.#history.share();
    this.#sharesSinceChange++;
    this.#idleEases = 0;
  }

  /** Call about once a second, and after shares if liked. Returns the new hashrate when the target should change. */
  tick(now: number): number | undefined {
    this.#pass(now);
    if (this.#inEffect === undefined) return undefined;
    const found = this.#strongest();
    if (found === undefined) return undefined;
    const step = this.#step(found);
    const next = this.#clamp(this.#hashrate * step);
    if (Math.abs(next / this.#hashrate - 1) < MIN_CHANGE) return undefined;
    if (step > 1 && this.#sharesSinceChange < SHARES_TO_TIGHTEN) return undefined;
    if (found.shares === 0) this.#idleEases++;
    this.#history.keep(found.position);
    this.#change(next);
    return next;
  }

  /**
   * Says that a job with the new target was sent: time and shares count from here. Needed if `deferred`. Where a bound has
   * kept the target from being that of `hashrate`, `inEffect` is the hashrate whose target it is, in H/s.
   */
  applied(now: number, inEffect: number = this.#hashrate): void {
    this.#pass(now);
    this.#inEffect = inEffect;
  }

  /** Says that another target was sent whose first job is still to come: nothing counts until {@link applied}. */
  suspend(now: number): void {
    this.#pass(now);
    this.#inEffect = undefined;
  }

  /**
   * Forgets all shares and starts from this hashrate, as after `UpdateChannel` (spec 5.3.7). It, or the target of the
   * hashrate `inEffect`, is in effect at once.
   */
  reset(hashrate: number, now: number, inEffect?: number): void {
    this.#pass(now);
    this.#history.clear();
    this.#idleEases = 0;
    this.#change(this.#clamp(hashrate));
    this.#inEffect = inEffect ?? this.#hashrate;
  }

  #change(hashrate: number): void {
    this.#hashrate = hashrate;
    this.#sharesSinceChange = 0;
    this.#inEffect = this.#options.deferred === true ? undefined : hashrate;
  }

  /** A clock that stepped backwards adds nothing, and one that jumped ahead adds little. */
  #pass(now: number): void {
    const seconds = Math.min((now - this.#last) / 1000, MAX_GAP_SECONDS);
    this.#last = now;
    if (this.#inEffect === undefined || !(seconds > 0)) return;
    this.#history.pass(seconds, this.#options.sharesPerMinute / 60 / this.#inEffect);
  }

  /** The window with the most evidence beyond what its length requires. */
  #strongest(): Finding | undefined {
    let strongest: Finding | undefined;
    this.#history.scan((shares, exposure, position) => {
      const expected = exposure * this.#hashrate;
      // Evidence is at most this bound (ln x <= x - 1), which spares most logarithms and windows without exposure.
      if (!((shares - expected) ** 2 > this.#steadyEvidence * expected && expected > 0)) return;
      const evidence = evidenceOf(shares, expected);
      if (evidence <= this.#steadyEvidence) return;
      const excess = evidence - this.#required(shares, expected);
      if (excess > (strongest?.excess ?? 0)) strongest = { shares, expected, evidence, excess, position };
    });
    return strongest;
  }

  #required(shares: number, expected: number): number {
    const crowding = Math.log(1 + (this.#windowShares / expected) ** SHARPNESS) / SHARPNESS;
    const required = this.#steadyEvidence + EVIDENCE_PER_LENGTH * crowding;
    if (shares > expected) return required * TIGHTEN_CAUTION;
    return shares === 0 ? required + IDLE_BACKOFF * this.#idleEases : required;
  }

  /**
   * Ratio of the new hashrate to the old. The window was chosen for being extreme, so it is believed in part: tightening
   * moves to the gamma-Poisson mean, whose prior fades as evidence grows; easing, which must not wait for many shares,
   * goes the part of the way that the evidence is worth, further when fewer shares came than chance would leave.
   */
  #step({ shares, expected, evidence, excess }: Finding): number {
    const { maxStep } = this.#options;
    if (shares > expected) {
      const prior = TIGHTEN_PRIOR * Math.exp(-excess / PRIOR_FADE) + 0.5;
      return Math.min(maxStep, (shares + prior) / (expected + prior));
    }
    const seen = (shares + 0.5) / (expected + 0.5);
    const belief = evidence / (evidence + EASE_DOUBT * Math.sqrt(seen));
    return Math.max(1 / maxStep, 1 - belief * (1 - seen));
  }

  #clamp(hashrate: number): number {
    const { minHashrate } = this.#options;
    const floor = minHashrate > 0 && Number.isFinite(minHashrate) ? minHashrate : 1;
    return Number.isFinite(hashrate) ? Math.max(floor, hashrate) : floor;
  }
}

interface Finding {
  readonly shares: number;
  readonly expected: number;
  /** Log-likelihood ratio, in nats. */
  readonly evidence: number;
  /** Evidence beyond the required; positive. */
  readonly excess: number;
  readonly position: number;
}

/** Log-likelihood ratio, in nats, of the observed rate against the expected one. */
function evidenceOf(shares: number, expected: number): number {
  return (shares > 0 ? shares * Math.log(shares / expected) : 0) - (shares - expected);
}

// Found by a search over the simulation's table. Evidence is in nats.
/** Evidence that a long window needs at 6 shares a minute. */
const EVIDENCE = 0.5;
/** More evidence per e-fold of the share rate: more shares an hour are more chances to be wrong. */
const EVIDENCE_PER_RATE = 4.2;
const MIN_EVIDENCE = 1.62;
/** More evidence per e-fold that a window is shorter than `WINDOW_MINUTES`: there are as many more of them. */
const EVIDENCE_PER_LENGTH = 3.8;
const WINDOW_MINUTES = 4.7;
/** How sharply the demand on short windows sets in at `WINDOW_MINUTES`. */
const SHARPNESS = 2.4;
/** Tightening wrongly starves the channel of the shares that would show it, so it needs this many times the evidence. */
const TIGHTEN_CAUTION = 1.5;
/** Strength, in shares, of the belief that nothing changed, and the excess evidence that divides it by e. */
const TIGHTEN_PRIOR = 120;
const PRIOR_FADE = 4.8;
/** Evidence at which easing goes half the way, for shares little fewer than expected; less doubt the fewer came. */
const EASE_DOUBT = 18;
/** Each ease without a share in between makes the next wait longer: a dead miner costs few messages. */
const IDLE_BACKOFF = 1.1;
/** Shares that must come at the target in effect before it is tightened again. */
const SHARES_TO_TIGHTEN = 3;
/** Smaller changes are not worth a `SetTarget`. */
const MIN_CHANGE = 0.03;
/** Length, in expected shares, of the newest stretches of the history. */
const GRAIN_SHARES = 1 / 3;
/** Longer pauses between calls count as this long: the process slept, not the miner. */
const MAX_GAP_SECONDS = 10;
