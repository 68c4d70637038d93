import fc from "fast-check";
import type { Execution } from "./execution.ts";

/** An input that broke a rule, and how. */
export interface Fault {
  readonly input: unknown;
  readonly error: string;
}

/** Longest time to make one input smaller, in milliseconds. */
const SHRINK_MS = 15_000;
const LINES = 6;

/** What is kept of an error. */
export function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split("\n").slice(0, LINES).join("\n") : String(error);
}

/** Takes one input. Resolves to the rule it broke, if it did. */
export async function faultOf(execution: Execution, input: unknown): Promise<Fault | undefined> {
  try {
    await execution.take(input);
    return undefined;
  } catch (error) {
    return { input, error: errorText(error) };
  }
}

/**
 * Whether inputs keep the rules, as a property; from the time it is made on it has `ms` to make a fault smaller. fast-check's
 * own limit of time would give up an asynchronous run halfway, and its fault with it.
 */
export function property(
  inputs: fc.Arbitrary<unknown>,
  execution: Execution,
  ms: number = SHRINK_MS,
): fc.IAsyncProperty<[unknown]> {
  const until = performance.now() + ms;
  return fc.asyncProperty(inputs, async (input) => {
    if (performance.now() < until) await execution.take(input);
  });
}

/** The fault with an input of bytes made as small as fast-check can, whatever it came from; another input stays. */
export async function smallerBytes(execution: Execution, fault: Fault): Promise<Fault> {
  const { input } = fault;
  if (!(input instanceof Uint8Array)) return fault;
  const bytes = fc.uint8Array({ maxLength: Math.max(1, input.length), size: "max" });
  const shrunk = await fc.check(property(bytes, execution), { examples: [[input]], numRuns: 1 });
  execution.pause();
  if (!shrunk.failed || shrunk.counterexample === null) return fault;
  return { input: shrunk.counterexample[0], error: errorText(shrunk.errorInstance) };
}
