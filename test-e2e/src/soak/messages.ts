import type { HistogramCounts } from "./histogram.ts";

/** Where a miner connects, and how: the rows of the report. */
export type Group = "sv1-via-tcp" | "sv1-via-iroh" | "sv2-tcp" | "sv2-iroh";

/** All of them, in the order of the report. */
export const groups: readonly Group[] = ["sv1-via-tcp", "sv1-via-iroh", "sv2-tcp", "sv2-iroh"];

/** One miner, for as long as the run lasts; it may come and go. */
export interface SeatSpec {
  readonly group: Group;
  /** The user name or user identity; no two seats have the same. */
  readonly identity: string;
  /** Stratum V2: an extended channel, a standard one with jobs of its own, or a standard one that takes its group's jobs. */
  readonly channel: "extended" | "standard" | "group";
  /** Which of its worker's Iroh nodes it dials from. */
  readonly node: number;
}

/** What the miners need to know of the roles, which keep their addresses over restarts. */
export interface Targets {
  /** Addresses of the translators. */
  readonly sv1: { readonly "sv1-via-tcp": string; readonly "sv1-via-iroh": string };
  readonly poolTcp: string;
  readonly poolTicket: string;
  readonly authority: string;
}

/** What the conductor tells a worker. */
export type ToWorker =
  | {
      readonly type: "begin";
      readonly seats: readonly SeatSpec[];
      readonly nodes: number;
      readonly targets: Targets;
      /** Hashes a second of each miner. */
      readonly hashrate: number;
      /** Miners that come in a second, at the start. */
      readonly arrivalsPerSecond: number;
    }
  /** Whether lost connections are a fault: not while the pool is away. */
  | { readonly type: "calm"; readonly calm: boolean }
  /** Miners that leave and come back in a second. */
  | { readonly type: "churn"; readonly perSecond: number }
  /** No more hashing, so that everything gets its answer. */
  | { readonly type: "quiesce" }
  | { readonly type: "leave" };

/** Counts of one group. */
export interface GroupCounts {
  readonly submitted: number;
  readonly acknowledged: number;
  /** Submits whose connection ended before their answer: credited or not, nobody knows here. */
  readonly uncertain: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly connected: number;
  /** Ends of connections by cause: churn and upstream loss are as planned, unexpected ones are not. */
  readonly ended: Readonly<Record<string, number>>;
  /** Failed attempts to connect by cause. */
  readonly failed: Readonly<Record<string, number>>;
  /** Milliseconds from submit to answer. */
  readonly latency: HistogramCounts;
  /** Milliseconds from the first miner of the worker that knew a new tip to this one. */
  readonly spread: HistogramCounts;
  /** Unix milliseconds of the last acknowledgement; 0 before the first. */
  readonly lastAcknowledgedAt: number;
}

/** What one miner has to show at the end. */
export interface SeatCounts {
  readonly identity: string;
  readonly submitted: number;
  readonly acknowledged: number;
  readonly uncertain: number;
}

/** What a worker tells the conductor, cumulative. */
export interface WorkerReport {
  readonly type: "report";
  /** Miners that are connected and have work. */
  readonly present: number;
  /** Miners that are away on purpose. */
  readonly away: number;
  /** When the miner whose work is oldest got it, unix milliseconds; 0 while one of those that should be there has none. */
  readonly oldestJobAt: number;
  /** Submits that wait for their answer. */
  readonly pending: number;
  readonly groups: Readonly<Record<Group, GroupCounts>>;
  /** Things that must not happen, by what. */
  readonly faults: Readonly<Record<string, number>>;
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly fds: number;
  /** 99th percentile of the event loop's delay since the last report, in milliseconds. */
  readonly lagMs: number;
  /** With the last report only. */
  readonly seats?: readonly SeatCounts[];
}
