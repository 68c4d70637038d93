import type { Hash } from "@adit/bitcoin";
import type { NodeTemplate } from "@adit/bitcoin-node";

/** A node's template, and when it came. */
export interface ReceivedTemplate {
  readonly template: NodeTemplate;
  /** Milliseconds of a clock that never goes back. */
  readonly at: number;
  /** It has no transactions because the full one takes its time. */
  readonly isStopgap: boolean;
}

/** Whether two hashes are the same one. */
export function isSame(one: Hash, other: Hash): boolean {
  return one.every((byte, at) => byte === other[at]);
}
