import fc from "fast-check";
import { inputOf, storedInput } from "./input-form.ts";
import type { JobResult } from "./messages.ts";
import { type Patience, runJob } from "./run-job.ts";

type Fault = NonNullable<JobResult["fault"]>;

/** Longest time for one hang or crash, in milliseconds: each attempt is a process. */
const SHRINK_MS = 45_000;

/**
 * A hang or a crash takes its process with it, so its bytes are made smaller from outside. What the process could make
 * smaller itself, and sequences of steps, are returned as they are.
 */
export async function smallerByReplay(target: string, fault: Fault, patience: Patience): Promise<Fault> {
  const input = inputOf(fault.input);
  if (!fault.endedProcess || !(input instanceof Uint8Array)) return fault;
  let smallest = fault;
  const until = performance.now() + SHRINK_MS;
  const bytes = fc.uint8Array({ maxLength: Math.max(1, input.length), size: "max" });
  const passes = fc.asyncProperty(bytes, async (candidate) => {
    if (performance.now() > until) return true;
    const result = await runJob({ type: "replay", target, input: storedInput(candidate) }, patience);
    if (result.fault?.endedProcess === true) smallest = result.fault;
    return result.fault === null;
  });
  await fc.check(passes, { examples: [[input]], numRuns: 1 });
  return smallest;
}
