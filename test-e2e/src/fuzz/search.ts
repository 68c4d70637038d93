import fc from "fast-check";
import type { Execution } from "./execution.ts";
import { errorText, type Fault, property, smallerBytes } from "./fault.ts";
import type { AnyTarget } from "./target.ts";

/** Where a search starts, and when it ends. */
export interface Extent {
  readonly seed: number;
  /** As `performance.now()`. */
  readonly until: number;
}

const MOST_RUNS_AT_A_TIME = 250;
/** Runs at a time take about so long, so that slow targets are measured as often as quick ones. */
const AT_A_TIME_MS = 200;
/** Steps from one seed to the next: odd, so that they are all different. */
const SEED_STEP = 0x9e3779b1;

/** Takes inputs as the target's generator makes them, until one breaks a rule or the time is over. */
export async function searchGenerated(
  { inputs }: AnyTarget,
  execution: Execution,
  { seed, until }: Extent,
): Promise<Fault | undefined> {
  let numRuns = 1;
  for (let from = seed; performance.now() < until; from = (from + SEED_STEP) | 0) {
    const start = performance.now();
    const found = await fc.check(property(inputs, execution, Infinity), { seed: from, numRuns, endOnFailure: true });
    const msEach = (performance.now() - start) / numRuns;
    execution.pause();
    const wanted = Math.round(Math.min(AT_A_TIME_MS, until - performance.now()) / msEach);
    numRuns = Math.min(Math.max(1, wanted), 4 * numRuns, MOST_RUNS_AT_A_TIME);
    if (!found.failed || found.counterexample === null) continue;
    const path = found.counterexamplePath ?? "";
    const shrunk = await fc.check(property(inputs, execution), { seed: from, path });
    const { counterexample, errorInstance } = shrunk.counterexample === null ? found : shrunk;
    return await smallerBytes(execution, { input: counterexample?.[0], error: errorText(errorInstance) });
  }
  return undefined;
}
