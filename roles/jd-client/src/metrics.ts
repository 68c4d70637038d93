import type { CounterMetric, MetricsRegister } from "@adit/role-kit";
import type { CounterName } from "./core/effects.ts";
import type { JdClientStatus } from "./core/status.ts";

/** The jd-client's counters: the core's by their names there, and those of its shell. */
export type JdClientMetrics = Readonly<Record<CounterName, (label: string, by: number) => void>> & {
  readonly sharesRejected: CounterMetric<"error_code">;
  readonly connectionsClosed: CounterMetric<"cause">;
};

/** Registers the metrics table; gauges are read from `status` at each scrape. */
export function jdClientMetrics(register: MetricsRegister, status: () => JdClientStatus): JdClientMetrics {
  const plain = (name: string, help: string): ((label: string, by: number) => void) => {
    const counter = register.counter({ name: `sv2_jd_client_${name}_total`, help });
    return (_label, by) => counter.inc({}, by);
  };
  const labelled = (name: string, label: string, help: string): ((label: string, by: number) => void) => {
    const counter: CounterMetric<string> = register.counter({
      name: `sv2_jd_client_${name}_total`,
      help,
      labels: [label],
    });
    return (value, by) => counter.inc({ [label]: value }, by);
  };
  registerGauges(register, status);
  return {
    sharesAccepted: plain("shares_accepted", "Shares of miners that met the target they were given"),
    sharesRejected: register.counter({
      name: "sv2_jd_client_shares_rejected_total",
      help: "Shares of miners answered with SubmitShares.Error",
      labels: ["error_code"],
    }),
    sharesSolo: plain("shares_solo", "Accepted shares of work that pays to the miner alone"),
    sharesSubmitted: plain("shares_submitted", "Shares sent to pools"),
    sharesAcknowledged: plain("shares_acknowledged", "Shares that pools have credited"),
    sharesRejectedUpstream: labelled("shares_rejected_upstream", "error_code", "Shares that pools have rejected"),
    sharesBelowUpstreamTarget: plain(
      "shares_below_upstream_target",
      "Accepted shares that missed the pool's target and were not sent",
    ),
    sharesDiscarded: labelled("shares_discarded", "reason", "Accepted shares whose job no pool took"),
    sharesUnanswered: plain(
      "shares_unanswered",
      "Shares that were not answered before their session ended; credited or not",
    ),
    jobs: labelled("jobs", "event", "Jobs declared, accepted, refused and given up on their way to pools"),
    tokens: labelled("tokens", "event", "Tokens allocated, used and thrown away"),
    switches: labelled("upstream_changes", "reason", "Changes of what is mined for"),
    routeChanges: labelled(
      "upstream_routes_changed",
      "change",
      "Ways to upstreams that reloads of the config added and removed",
    ),
    sessionFailures: labelled("upstream_failures", "reason", "Sessions with upstreams that ended"),
    reconnects: labelled(
      "reconnects",
      "result",
      "Requests of pools and job declarators to connect elsewhere, by what became of them",
    ),
    upstreamFaults: labelled("upstream_faults", "code", "Messages of upstreams that break the protocol"),
    blocksFound: plain("blocks_found", "Headers that met the network target"),
    solutionsPushed: plain("solutions_pushed", "Blocks told to job declarators"),
    blocksSettled: labelled("blocks_settled", "result", "Blocks whose fate became known"),
    connectionsClosed: register.counter({
      name: "sv2_jd_client_connections_closed_total",
      help: "Miner connections that the jd-client ended",
      labels: ["cause"],
    }),
  };
}

function registerGauges(register: MetricsRegister, status: () => JdClientStatus): void {
  const channels = register.gauge({ name: "sv2_jd_client_channels", help: "Open channels of miners" });
  const hashrate = register.gauge({
    name: "sv2_jd_client_hashrate_hashes_per_second",
    help: "Estimated over all channels",
  });
  const cached = register.gauge({
    name: "sv2_jd_client_cached_shares",
    help: "Shares that wait for a pool to take their job",
  });
  const solo = register.gauge({ name: "sv2_jd_client_solo", help: "1 while blocks pay to the miner alone" });
  register.onCollect(() => {
    const now = status();
    channels.set({}, now.channels);
    hashrate.set({}, now.hashrate);
    cached.set({}, now.cached_shares);
    solo.set({}, now.mining_for === "solo" ? 1 : 0);
  });
}
