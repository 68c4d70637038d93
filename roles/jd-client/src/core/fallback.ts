import { TokenBucket } from "@adit/channels";
import type { FailureCode } from "./failure.ts";

/** What is mined for: an upstream by its place in the config, the miner alone, or nobody yet. */
export type InUse = number | "solo" | "nothing";

/** Why it changed. */
export type SwitchReason =
  | FailureCode
  /** The first one that was ready. */
  | "start"
  /** There are no upstreams. */
  | "solo-mode"
  /** At the start, no upstream was ready in time. */
  | "no-upstream-ready"
  /** An upstream is ready again, after mining alone. */
  | "upstream-ready"
  /** An upstream before the one in use is ready again. */
  | "better-upstream-ready";

/** What is to be done, in order. */
export type FallbackDecision =
  /** Begin a session with this upstream, and say whether it got ready or failed. */
  | { readonly type: "dial"; readonly upstream: number }
  /** Mine for another from now on. */
  | { readonly type: "use"; readonly from: InUse; readonly to: InUse; readonly reason: SwitchReason }
  /** A session that nothing is wrong with is not needed any more. */
  | { readonly type: "release"; readonly upstream: number };

/** What a {@link Fallback} is made with. */
export interface FallbackOptions {
  /** How many upstreams there are, in order of preference. */
  readonly upstreams: number;
  /** How long, in milliseconds, nothing is mined at the start while no upstream is ready. */
  readonly soloAfterMs: number;
  /** Draws from [0, 1). */
  readonly random: () => number;
}

/** Where an upstream stands, for the status. */
export type CandidateState =
  /** Left alone until then, in milliseconds. */
  | { readonly phase: "resting"; readonly until: number }
  | { readonly phase: "dialling"; readonly since: number }
  | { readonly phase: "ready"; readonly since: number };

interface Candidate {
  state: CandidateState;
  /** In a row, until it was ready for {@link STEADY_MS}: what the next rest grows with. */
  failures: number;
  /** The same, of those after it was ready: what the hold-down grows with. */
  flaps: number;
}

const REST_LEAST_MS = 1000;
const REST_MIN_MS = 5000;
const REST_MAX_MS = 300_000;
const HOLD_DOWN_MIN_MS = 10_000;
/** Ready for this long, an upstream is one that works: nothing is held down longer, and what was before counts no more. */
const STEADY_MS = 120_000;
/** A dial that takes longer than this is not waited for before the next upstream is dialled. */
const PATIENCE_MS = 2000;
/** At most 20 in any minute, over all upstreams and whatever they do. */
const DIALS = { burst: 5, perSecond: 15 / 60 };

/**
 * Decides which upstream is mined for. The best one that works is: one that fails is left at once, for another that is
 * ready or else for solo mining, and better ones than the one in use are tried again and again, less often the more they
 * fail. One that was ready and failed must stay ready for a while before it is trusted again. Times are milliseconds that
 * never run backwards.
 */
export class Fallback {
  readonly #options: FallbackOptions;
  readonly #startedAt: number;
  readonly #candidates: readonly Candidate[];
  readonly #dials: TokenBucket;
  #inUse: InUse = "nothing";
  #decisions: FallbackDecision[] = [];

  constructor(options: FallbackOptions, now: number) {
    this.#options = options;
    this.#startedAt = now;
    this.#candidates = Array.from({ length: options.upstreams }, () => ({
      state: { phase: "resting", until: now },
      failures: 0,
      flaps: 0,
    }));
    this.#dials = new TokenBucket(DIALS, now);
  }

  /** What is mined for now. */
  get inUse(): InUse {
    return this.#inUse;
  }

  /** Where each upstream stands. */
  get states(): readonly CandidateState[] {
    return this.#candidates.map(({ state }) => state);
  }

  /** The session with an upstream can be mined for. */
  ready(upstream: number, now: number): readonly FallbackDecision[] {
    const candidate = this.#candidates[upstream];
    if (candidate?.state.phase !== "dialling") return [];
    candidate.state = { phase: "ready", since: now };
    return this.#decide(now);
  }

  /** The session with an upstream has ended, before or after it was ready. */
  failed(upstream: number, reason: FailureCode, now: number): readonly FallbackDecision[] {
    const candidate = this.#candidates[upstream];
    if (candidate === undefined || candidate.state.phase === "resting") return [];
    rest(candidate, now, this.#options.random);
    if (this.#inUse === upstream) {
      const next = this.#candidates.findIndex(({ state }) => state.phase === "ready");
      this.#use(next === -1 ? "solo" : next, reason, now);
    }
    return this.#decide(now);
  }

  /** Time has passed; call it once a second, and once at the start. */
  tick(now: number): readonly FallbackDecision[] {
    return this.#decide(now);
  }

  #decide(now: number): readonly FallbackDecision[] {
    this.#takeBetter(now);
    if (this.#inUse === "nothing" && this.#isOverdue(now)) {
      this.#use("solo", this.#candidates.length === 0 ? "solo-mode" : "no-upstream-ready", now);
    }
    this.#dial(now);
    const decisions = this.#decisions;
    this.#decisions = [];
    return decisions;
  }

  #takeBetter(now: number): void {
    const better = this.#candidates.slice(0, this.#rank).findIndex((candidate) => isTrusted(candidate, now));
    if (better === -1) return;
    const reasons = { nothing: "start", solo: "upstream-ready" } as const;
    this.#use(better, typeof this.#inUse === "number" ? "better-upstream-ready" : reasons[this.#inUse], now);
  }

  #isOverdue(now: number): boolean {
    return now - this.#startedAt >= this.#options.soloAfterMs || this.#candidates.every(({ failures }) => failures > 0);
  }

  #use(to: InUse, reason: SwitchReason, now: number): void {
    this.#decisions.push({ type: "use", from: this.#inUse, to, reason });
    this.#inUse = to;
    for (const [upstream, candidate] of this.#candidates.entries()) {
      if (upstream <= this.#rank || candidate.state.phase === "resting") continue;
      candidate.state = { phase: "resting", until: now };
      this.#decisions.push({ type: "release", upstream });
    }
  }

  /**
   * Dials what is better than what is in use: the next when the one before has failed or takes long. The one whose turn
   * came first goes first, and in the order of preference at the start, so that one that always fails starves no other.
   */
  #dial(now: number): void {
    const better = this.#candidates.slice(0, this.#rank);
    if (better.some(({ state }) => state.phase === "dialling" && now - state.since < PATIENCE_MS)) return;
    let next: Candidate | undefined;
    for (const candidate of better) {
      if (dueAt(candidate) <= now && dueAt(candidate) < dueAt(next)) next = candidate;
    }
    if (next === undefined || !this.#dials.take(now)) return;
    next.state = { phase: "dialling", since: now };
    this.#decisions.push({ type: "dial", upstream: this.#candidates.indexOf(next) });
  }

  /** How many upstreams are better than what is in use. */
  get #rank(): number {
    return typeof this.#inUse === "number" ? this.#inUse : this.#candidates.length;
  }
}

/** When a candidate may be dialled, if it can be. */
function dueAt(candidate: Candidate | undefined): number {
  return candidate?.state.phase === "resting" ? candidate.state.until : Number.POSITIVE_INFINITY;
}

function isTrusted({ state, flaps }: Candidate, now: number): boolean {
  return state.phase === "ready" && now - state.since >= holdDown(flaps);
}

function holdDown(flaps: number): number {
  return flaps === 0 ? 0 : Math.min(STEADY_MS, HOLD_DOWN_MIN_MS * 2 ** (flaps - 1));
}

/** The bound of the rest doubles with each failure, and the rest is anywhere below it (full jitter). */
function rest(candidate: Candidate, now: number, random: () => number): void {
  const { state } = candidate;
  const wasReady = state.phase === "ready";
  const wasSteady = wasReady && now - state.since >= STEADY_MS;
  candidate.failures = wasSteady ? 1 : candidate.failures + 1;
  if (wasReady) candidate.flaps = wasSteady ? 1 : candidate.flaps + 1;
  const bound = Math.min(REST_MAX_MS, REST_MIN_MS * 2 ** (candidate.failures - 1));
  candidate.state = { phase: "resting", until: now + REST_LEAST_MS + random() * (bound - REST_LEAST_MS) };
}
