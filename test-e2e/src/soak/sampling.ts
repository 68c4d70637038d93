import type { RoleStatus } from "../harness/status.ts";
import type { Incarnation, RoleName } from "./cast.ts";

/** What a role's process takes at a moment. */
export interface Sample {
  /** Unix milliseconds. */
  readonly at: number;
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly fds: number;
  readonly handles: number;
  /** 99th percentile of the event loop's delay, in milliseconds. */
  readonly lagMs: number;
  readonly connections: number;
  /** Mining channels of a pool, upstream channels of a translator. */
  readonly channels: number;
  /** Stratum V1 miners of a translator. */
  readonly miners: number;
}

/** The samples of one process of a role. */
export interface Series {
  readonly name: RoleName | `miners-${number}`;
  readonly incarnation: number;
  readonly samples: Sample[];
}

/** Status documents as far as a soak reads them. */
export type SoakStatus = RoleStatus & {
  readonly channels_open?: number;
  readonly upstream_channels?: readonly { readonly state: string }[];
  readonly shares_submitted?: number;
  readonly shares_unanswered?: number;
  readonly shares_rejected_upstream_by_reason?: Readonly<Record<string, number>>;
};

/** Reads a role's metrics and status. Rejects when it does not answer. */
export async function sample({ role }: Incarnation): Promise<Sample> {
  const metrics = await role.metrics();
  const status = (await role.status()) as SoakStatus;
  const read = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1] ?? 0);
  return {
    at: Date.now(),
    heapBytes: read("nodejs_heap_size_used_bytes"),
    rssBytes: read("process_resident_memory_bytes"),
    fds: read("process_open_fds"),
    handles: read("nodejs_active_handles_total"),
    lagMs: read("nodejs_eventloop_lag_p99_seconds") * 1000,
    connections: status.connections?.length ?? 0,
    channels: status.channels_open ?? (status.upstream_channels ?? []).filter(({ state }) => state === "open").length,
    miners: status.miners?.length ?? 0,
  };
}
