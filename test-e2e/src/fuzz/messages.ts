import type { StoredInput } from "./input-form.ts";

/** What a process is asked to do. */
export type Job =
  /** Search for faults with inputs from the generator, or by coverage. */
  | {
      readonly type: "search";
      readonly target: string;
      readonly seed: number;
      readonly ms: number;
      readonly by: "generator" | "coverage";
    }
  /** Take one input. */
  | { readonly type: "replay"; readonly target: string; readonly input: StoredInput };

/** What came of it. */
export interface JobResult {
  readonly executions: number;
  /** Longest input or step, in milliseconds. */
  readonly slowestMs: number;
  /** Bytes by which the heap grew; null when it was not measured often enough to tell. */
  readonly growth: number | null;
  /** Inputs that reached code of their own, in a search by coverage. */
  readonly corpus: number | null;
  readonly fault: {
    readonly input: StoredInput;
    readonly shown: string;
    readonly error: string;
    /** It hung, or crashed, and so could not be made smaller there. */
    readonly endedProcess: boolean;
  } | null;
}

/** What a process says: what came of its job, or that the job itself could not be done. */
export type FromProcess =
  | { readonly type: "result"; readonly result: JobResult }
  | { readonly type: "broken"; readonly error: string };
