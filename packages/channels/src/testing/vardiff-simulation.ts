/** A difficulty adjustment under test. Times in milliseconds from the start of the trial. */
export interface Adjuster {
  /** Shares that came in the second that ends now. */
  shares(count: number, now: number): void;
  /** Called once a second, after `shares`. Returns the new hashrate when the target should change. */
  tick(now: number): number | undefined;
  /** The first job with the changed target was sent. */
  applied(now: number): void;
}

/** What the miner does in a trial, and what the adjuster is told at its start. */
export interface Scenario {
  /** Length of the trial in seconds. */
  readonly seconds: number;
  /** First estimate, as a part of the miner's hashrate at the start. */
  readonly estimate: number;
  /** The miner's hashrate at a second of the trial, as a part of that at the start. */
  readonly miner: (second: number) => number;
  /** Seconds from a change to the first job that has it. 0: at once. */
  readonly jobDelay?: number;
}

/** One change of the target. */
export interface Change {
  /** Second of the trial. */
  readonly at: number;
  /** The new estimate, as a part of the miner's hashrate at the start of the trial. */
  readonly estimate: number;
}

/** What one trial showed. */
export interface Trial {
  readonly scenario: Scenario;
  readonly changes: readonly Change[];
  /** Estimate at the end over the miner's hashrate then. */
  readonly finalRatio: number;
}

/** The miner's hashrate at the start of each trial, in H/s. */
const MINER_HASHRATE = 1e15;

/** Makes the adjuster of a trial, for a first estimate in H/s. */
export type MakeAdjuster = (sharesPerMinute: number, hashrate: number) => Adjuster;

/** Runs one trial, second by second. The same seed gives the same trial. */
export function runTrial(
  scenario: Scenario,
  make: MakeAdjuster,
  cell: { readonly sharesPerMinute: number; readonly seed: number },
): Trial {
  const random = seededRandom(cell.seed);
  const { jobDelay = 0, miner } = scenario;
  const adjuster = make(cell.sharesPerMinute, scenario.estimate * MINER_HASHRATE);
  const changes: Change[] = [];
  let estimate = scenario.estimate;
  let inForce = estimate;
  let appliesAt = Number.POSITIVE_INFINITY;
  for (let second = 1; second <= scenario.seconds; second++) {
    const now = second * 1000;
    const count = poisson(((miner(second) / inForce) * cell.sharesPerMinute) / 60, random);
    if (count > 0) adjuster.shares(count, now);
    const hashrate = adjuster.tick(now);
    if (hashrate !== undefined) {
      estimate = hashrate / MINER_HASHRATE;
      changes.push({ at: second, estimate });
      appliesAt = second + jobDelay;
    }
    if (second >= appliesAt) {
      inForce = estimate;
      appliesAt = Number.POSITIVE_INFINITY;
      adjuster.applied(now);
    }
  }
  return { scenario, changes, finalRatio: estimate / miner(scenario.seconds) };
}

/** Mulberry32: uniform in [0, 1). */
function seededRandom(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A Poisson number; above a mean of 200, where nobody could tell, a rounded normal one. */
function poisson(mean: number, random: () => number): number {
  if (mean > 200) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
  }
  const end = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > end; product *= random()) count++;
  return count;
}

const QUIET_SECONDS = 300;
const SETTLING_SECONDS = 120;
const SHORTEST_SETTLED_SECONDS = 600;
const REACTION_SECONDS = 300;

/** The second of the first change that five minutes without another follow, 0 without changes; undefined if never. */
export function convergence({ changes, scenario }: Trial): number | undefined {
  if (changes.length === 0) return 0;
  return changes.find(({ at }, index) => {
    const quietUntil = at + QUIET_SECONDS;
    return quietUntil <= scenario.seconds && (changes[index + 1]?.at ?? Number.POSITIVE_INFINITY) > quietUntil;
  })?.at;
}

/** Changes a minute from two minutes after convergence to the end; undefined if that is less than ten minutes. */
export function jitter(trial: Trial): number | undefined {
  const start = (convergence(trial) ?? Number.POSITIVE_INFINITY) + SETTLING_SECONDS;
  const length = trial.scenario.seconds - start;
  if (length < SHORTEST_SETTLED_SECONDS) return undefined;
  return trial.changes.filter(({ at }) => at >= start).length / (length / 60);
}

/** Whether the target changed within five minutes after this second. */
export function reacts({ changes }: Trial, second: number): boolean {
  return changes.some(({ at }) => at > second && at <= second + REACTION_SECONDS);
}

/** How far the highest target was above the miner's hashrate, as a part of it. */
export function overshoot({ changes }: Trial): number {
  return Math.max(0, ...changes.map(({ estimate }) => estimate - 1));
}

/** Nearest rank: `part` 0.5 is the median. NaN of nothing. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(part * (sorted.length - 1))] ?? Number.NaN;
}

/** NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
