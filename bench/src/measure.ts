import { do_not_optimize as keep, measure } from "mitata";
import type { BenchOptions, Row } from "./suite.ts";

/** One row before it is measured. `sample` measures once, in the table's unit. */
export interface Case {
  readonly label: string;
  readonly against?: readonly string[];
  readonly sample: () => number | Promise<number>;
}

/**
 * Measures all cases once a round. Every second round goes backwards, so that none always comes after the same other.
 * The first round only warms up and is thrown away.
 */
export async function measureRounds(cases: readonly Case[], { rounds }: BenchOptions): Promise<readonly Row[]> {
  const rows = cases.map(({ label, against = [] }) => ({ label, against, samples: [] as number[] }));
  const forward = [...cases.keys()];
  for (let round = 0; round <= rounds; round++) {
    const order = round % 2 === 0 ? forward : forward.toReversed();
    for (const at of order) {
      const value = await cases[at]?.sample();
      if (value !== undefined && round > 0) rows[at]?.samples.push(value);
    }
  }
  return rows;
}

/** A sample of what one call of a synchronous, repeatable function costs, in nanoseconds; by mitata. */
export function cost(run: () => unknown, { quick }: BenchOptions): () => Promise<number> {
  const kept = (): void => keep(run());
  return async () => {
    const { p50 } = await measure(kept, {
      min_cpu_time: quick ? 3e7 : 1e8,
      min_samples: quick ? 5 : 12,
      batch_samples: 256,
    });
    return p50;
  };
}

/** Nanoseconds that a call takes. */
export function timed(run: () => void): number {
  const started = performance.now();
  run();
  return (performance.now() - started) * 1e6;
}

/** A quantile of unsorted values, 0 to 1. */
export function quantile(values: Iterable<number>, at: number): number {
  const sorted = [...values].toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))] ?? Number.NaN;
}
