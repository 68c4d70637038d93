import type { Arbitrary } from "fast-check";

/** Most milliseconds of processor time that one input, or one step of a sequence, may take. */
export const MOST_MS = 100;

/** Code that takes untrusted input, and the rules that hold whatever it is given. */
export interface Target<Input> {
  /** Valid input, valid input that was damaged, and input made from nothing. */
  readonly inputs: Arbitrary<Input>;
  /** Takes one input. Throws when a rule is broken, and for nothing else. The same input does the same each time. */
  run(input: Input): void | Promise<void>;
  /** Most milliseconds for one input or step; {@link MOST_MS} when left out, null for work that waits for a disk. */
  readonly mostMs?: number | null;
  /** For a target whose input is bytes: a second search mutates them and keeps what reaches new code. */
  readonly guided?: Guidance;
}

/** How the search by coverage makes inputs. */
export interface Guidance {
  /** Longest input in bytes. */
  readonly maxLength: number;
  /** Pieces of valid input that no mutation is likely to hit upon. */
  readonly dictionary: readonly Uint8Array[];
}

/** A target of which only the name is known. */
export type AnyTarget = Target<unknown>;

let longestStep: number | undefined;

/** Times one step of a sequence, so that the harness around it is not held against the code under test. */
export function step<T>(work: () => T): T {
  const start = performance.now();
  try {
    return work();
  } finally {
    longestStep = Math.max(longestStep ?? 0, performance.now() - start);
  }
}

/** The longest {@link step} in milliseconds since the last call; undefined when there was none. */
export function takeLongestStep(): number | undefined {
  const longest = longestStep;
  longestStep = undefined;
  return longest;
}

/** A rule that was broken. */
class BrokenRule extends Error {
  override readonly name = "BrokenRule";
}

/** Throws {@link BrokenRule} unless the rule holds. */
export function rule(holds: boolean, text: string): asserts holds {
  if (!holds) throw new BrokenRule(text);
}

type ErrorClass = abstract new (...parameters: never[]) => Error;

/** The value of `work`, or undefined when it threw an error of a documented class. Other errors pass. */
export function unlessRefused<T>(documented: readonly ErrorClass[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (documented.some((known) => error instanceof known)) return undefined;
    throw error;
  }
}
