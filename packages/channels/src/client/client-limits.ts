/** Bounds of what a client remembers for its server. */
export interface ClientLimits {
  /** Open channels of the connection; a server that opens more is refused. */
  readonly maxChannels: number;
  /** Open requests without an answer, and as many custom jobs. */
  readonly maxPendingRequests: number;
  /** Future jobs per channel; the oldest goes first. */
  readonly maxFutureJobs: number;
  /** Past jobs per channel, and as many of the previous tip; the oldest goes first. */
  readonly maxPastJobs: number;
  /** Unanswered submits that are remembered per channel; the oldest is forgotten first. */
  readonly maxPendingSubmits: number;
}

/** Defaults of {@link ClientLimits}. */
export const defaultClientLimits: ClientLimits = {
  maxChannels: 65_536,
  maxPendingRequests: 1_024,
  maxFutureJobs: 16,
  maxPastJobs: 50,
  maxPendingSubmits: 4_096,
};
