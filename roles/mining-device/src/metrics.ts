import type { CounterMetric, MetricsRegister } from "@adit/role-kit";
import type { ShareNews } from "./miner/share-tally.ts";
import type { ConnectionState } from "./status.ts";

/** Where the metrics of this role come from. */
export interface MetricSources {
  /** Hashes done since the start. */
  hashes(): number;
  hashrate(): number;
  /** Connections in each state. */
  connections(): ReadonlyMap<ConnectionState, number>;
}

/** What the role counts as it happens. */
export interface MiningDeviceMetrics {
  count(news: ShareNews): void;
  readonly reconnects: CounterMetric<"result">;
  readonly upstreamChanges: CounterMetric<"reason">;
}

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Registers the role's metrics; gauges are read from `sources` at each scrape. */
export function miningDeviceMetrics(register: MetricsRegister, sources: MetricSources): MiningDeviceMetrics {
  registerLive(register, sources);
  const submitted = register.counter({
    name: "sv2_mining_device_shares_submitted_total",
    help: "Shares sent to the upstream",
  });
  const accepted = register.counter({
    name: "sv2_mining_device_shares_accepted_total",
    help: "Shares that the upstream took",
  });
  const rejected = register.counter({
    name: "sv2_mining_device_shares_rejected_total",
    help: "Shares that the upstream refused",
    labels: ["error_code"],
  });
  const lost = register.counter({
    name: "sv2_mining_device_shares_lost_total",
    help: "Shares given up without an answer",
    labels: ["reason"],
  });
  const latency = register.histogram({
    name: "sv2_mining_device_reply_latency_seconds",
    help: "Time from sending a share to its answer",
    buckets: LATENCY_BUCKETS,
  });
  const count = (news: ShareNews): void => {
    switch (news.type) {
      case "submitted":
        return submitted.inc({});
      case "accepted":
        return accepted.inc({}, news.count);
      case "rejected":
        return rejected.inc({ error_code: news.reason });
      case "lost":
        return lost.inc({ reason: news.reason }, news.count);
      case "answered":
        return latency.observe({}, news.ms / 1000);
      default:
        return news satisfies never;
    }
  };
  const reconnects = register.counter({
    name: "sv2_mining_device_reconnects_total",
    help: "Requests of the upstream to connect elsewhere, by what became of them",
    labels: ["result"],
  });
  const upstreamChanges = register.counter({
    name: "sv2_mining_device_upstream_changes_total",
    help: "Changes of the transport that a connection's upstream is reached over, ends and beginnings among them",
    labels: ["reason"],
  });
  return { count, reconnects, upstreamChanges };
}

function registerLive(register: MetricsRegister, sources: MetricSources): void {
  const hashes = register.counter({ name: "sv2_mining_device_hashes_total", help: "Header hashes computed" });
  const hashrate = register.gauge({
    name: "sv2_mining_device_hashrate_hashes_per_second",
    help: "Header hashes a second over the last ten seconds",
  });
  const connections = register.gauge({
    name: "sv2_mining_device_connections",
    help: "Connections by state",
    labels: ["state"],
  });
  let counted = 0;
  register.onCollect(() => {
    const now = sources.hashes();
    hashes.inc({}, now - counted);
    counted = now;
    hashrate.set({}, sources.hashrate());
    connections.reset();
    for (const [state, count] of sources.connections()) connections.set({ state }, count);
  });
}
