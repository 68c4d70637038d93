import type { NodeTemplate } from "@adit/bitcoin-node";

/** A node's template, and when it came. */
export interface ReceivedTemplate {
  readonly template: NodeTemplate;
  /** Milliseconds of a clock that never goes back. */
  readonly at: number;
  /** It has no transactions because the full one takes its time. */
  readonly isStopgap: boolean;
}
