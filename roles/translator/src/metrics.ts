import type { CounterMetric, MetricsRegister } from "@adit/role-kit";
import type { CounterName } from "./effects.ts";
import type { TranslatorStatus } from "./status.ts";

/** The translator's counters, as the core names them. */
export type TranslatorMetrics = Readonly<Record<CounterName, (label: string, by: number) => void>>;

/** Makes counters, with one label or none. */
interface Counters {
  readonly plain: (name: string, help: string) => Count;
  readonly labelled: (name: string, label: string, help: string) => Count;
}

type Count = (label: string, by: number) => void;

/** Registers the metrics table; gauges are read from `status` at each scrape. */
export function translatorMetrics(register: MetricsRegister, status: () => TranslatorStatus): TranslatorMetrics {
  const counters: Counters = {
    plain: (name, help) => {
      const counter = register.counter({ name, help });
      return (_label, by) => counter.inc({}, by);
    },
    labelled: (name, label, help) => {
      const counter: CounterMetric<string> = register.counter({ name, help, labels: [label] });
      return (value, by) => counter.inc({ [label]: value }, by);
    },
  };
  registerGauges(register, status);
  return { ...shareCounters(counters), ...minerCounters(counters), ...upstreamCounters(counters) };
}

function shareCounters({ plain, labelled }: Counters) {
  return {
    sharesAccepted: plain(
      "sv2_translator_shares_accepted_total",
      "Shares of miners that met the difficulty they were given",
    ),
    sharesRejected: labelled(
      "sv2_translator_shares_rejected_total",
      "reason",
      "Submits of miners answered with an error",
    ),
    sharesBelowUpstreamTarget: plain(
      "sv2_translator_shares_below_upstream_target_total",
      "Accepted shares that missed the upstream's target and were not forwarded",
    ),
    sharesSubmitted: plain("sv2_translator_shares_submitted_total", "Shares sent upstream"),
    sharesAcknowledged: plain("sv2_translator_shares_acknowledged_total", "Shares the upstream credited"),
    sharesRejectedUpstream: labelled(
      "sv2_translator_shares_rejected_upstream_total",
      "error_code",
      "Shares the upstream rejected",
    ),
    sharesUnanswered: plain(
      "sv2_translator_shares_unanswered_total",
      "Shares that were not answered before their channel ended; credited or not",
    ),
  } satisfies Partial<TranslatorMetrics>;
}

function minerCounters({ labelled }: Counters) {
  return {
    faults: labelled("sv2_translator_faults_total", "code", "Lines of miners that were no message"),
    minersClosed: labelled("sv2_translator_miners_closed_total", "reason", "Miners closed by the translator"),
  } satisfies Partial<TranslatorMetrics>;
}

function upstreamCounters({ labelled }: Counters) {
  return {
    channels: labelled("sv2_translator_upstream_channels_total", "event", "Upstream channels opened, refused, closed"),
    switches: labelled(
      "sv2_translator_upstream_changes_total",
      "reason",
      "Changes of the upstream, or of the transport it is reached over",
    ),
    routeChanges: labelled(
      "sv2_translator_upstream_routes_changed_total",
      "change",
      "Ways to upstreams, a transport each, that reloads of the config have added and removed",
    ),
    sessionFailures: labelled(
      "sv2_translator_upstream_failures_total",
      "reason",
      "Connections to upstreams that ended",
    ),
    reconnects: labelled(
      "sv2_translator_reconnects_total",
      "result",
      "Requests of upstreams to connect elsewhere, by what became of them",
    ),
    upstreamFaults: labelled(
      "sv2_translator_upstream_faults_total",
      "code",
      "Upstream messages that break the protocol",
    ),
  } satisfies Partial<TranslatorMetrics>;
}

function registerGauges(register: MetricsRegister, status: () => TranslatorStatus): void {
  const miners = register.gauge({ name: "sv2_translator_miners", help: "Miners connected" });
  const open = register.gauge({ name: "sv2_translator_upstream_channels", help: "Upstream channels open" });
  const hashrate = register.gauge({
    name: "sv2_translator_hashrate_hashes_per_second",
    help: "Hashrate of all miners, as their shares of the last ten minutes prove",
  });
  register.onCollect(() => {
    const now = status();
    miners.set({}, now.miners.length);
    open.set({}, now.upstream_channels.filter(({ state }) => state === "open").length);
    hashrate.set({}, now.hashrate);
  });
}
