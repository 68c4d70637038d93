import fc from "fast-check";
import { Random } from "../harness/random.ts";
import type { Coverage } from "./coverage.ts";
import type { Execution } from "./execution.ts";
import { type Fault, faultOf, smallerBytes } from "./fault.ts";
import { mutated } from "./mutation.ts";
import type { Extent } from "./search.ts";
import type { Guidance } from "./target.ts";

const BATCH = 128;
const FIRST_INPUTS = 200;

/** What a search by coverage is made of. */
export interface GuidedSearchOptions {
  /** The target's generator: its inputs are the first parents. */
  readonly inputs: fc.Arbitrary<unknown>;
  readonly guidance: Guidance;
  readonly coverage: Coverage;
  readonly execution: Execution;
}

/**
 * Takes mutations of inputs that reached code no earlier one had. Coverage is read once for a batch, and for each of its
 * inputs only when the batch reached something: reading it costs as much as a hundred small inputs.
 */
export class GuidedSearch {
  readonly #options: GuidedSearchOptions;
  readonly #corpus: Uint8Array[] = [];

  constructor(options: GuidedSearchOptions) {
    this.#options = options;
  }

  /** Inputs that each reached something of their own. */
  get corpus(): number {
    return this.#corpus.length;
  }

  /** Until an input breaks a rule, or the time is over. */
  async run({ seed, until }: Extent): Promise<Fault | undefined> {
    const { inputs, guidance, coverage, execution } = this.#options;
    const random = new Random(seed, 0);
    const samples = fc.sample(inputs, { seed, numRuns: FIRST_INPUTS }) as readonly Uint8Array[];
    let batch = samples.map((input) => input.subarray(0, guidance.maxLength));
    coverage.absorb(coverage.take());
    for (;;) {
      const fault = await this.#takeAll(batch);
      execution.pause();
      if (fault !== undefined) return await smallerBytes(execution, fault);
      if (performance.now() >= until) return undefined;
      const parent = (): Uint8Array => random.pick(random.oneIn(4) || this.corpus === 0 ? samples : this.#corpus);
      batch = Array.from({ length: BATCH }, () => mutated(parent(), guidance, { random, other: parent() }));
    }
  }

  async #takeAll(batch: readonly Uint8Array[]): Promise<Fault | undefined> {
    const { coverage, execution } = this.#options;
    for (const input of batch) {
      const fault = await faultOf(execution, input);
      if (fault !== undefined) return fault;
    }
    const reached = coverage.take();
    if (!coverage.isNew(reached)) return undefined;
    for (const input of batch) {
      const fault = await faultOf(execution, input);
      if (fault !== undefined) return fault;
      if (coverage.absorb(coverage.take())) this.#corpus.push(input);
    }
    // What only a first time reaches, as a cache that is filled, is not reached again.
    coverage.absorb(reached);
    return undefined;
  }
}
