import type { PeerBookStats } from "@adit/network-helpers/peers";
import type { CounterMetric, MetricsRegister } from "@adit/role-kit";

type Counts = PeerBookStats["counts"];

/** Registers the metrics of connections to peers; all are read from `stats` at each scrape. */
export function peerMetrics(register: MetricsRegister, stats: () => PeerBookStats): void {
  const gauges = registerGauges(register);
  const collect = registerTotals(register);
  register.onCollect(() => {
    const { connections, peers, counts } = stats();
    for (const state of ["dialling", "open", "closing"] as const) gauges.connections.set({ state }, connections[state]);
    for (const state of ["closed", "open", "half-open"] as const) {
      gauges.breakers.set({ state }, peers.filter(({ breaker }) => breaker === state).length);
    }
    const sum = (of: (peer: PeerBookStats["peers"][number]) => number): number =>
      peers.reduce((total, peer) => total + of(peer), 0);
    gauges.messages.set(
      {},
      sum(({ messages }) => messages),
    );
    gauges.bytes.set(
      {},
      sum(({ bufferedBytes }) => bufferedBytes),
    );
    collect(counts);
  });
}

function registerGauges(register: MetricsRegister) {
  return {
    connections: register.gauge({
      name: "sv2_peer_connections",
      help: "Connections to peers, by what they are doing",
      labels: ["state"],
    }),
    breakers: register.gauge({
      name: "sv2_peer_breakers",
      help: "Remembered peers, by the state of their circuit breakers",
      labels: ["state"],
    }),
    messages: register.gauge({ name: "sv2_peer_buffered_messages", help: "Messages to peers that are not settled" }),
    bytes: register.gauge({ name: "sv2_peer_buffered_bytes", help: "Bytes of those messages" }),
  };
}

/** Counters that grow by what has come to the totals since the last scrape. */
function registerTotals(register: MetricsRegister): (counts: Counts) => void {
  const messages = register.counter({
    name: "sv2_peer_messages_total",
    help: "Messages to peers, by what became of them",
    labels: ["outcome"],
  });
  const leases = register.counter({
    name: "sv2_peer_leases_total",
    help: "Uses of connections to peers that were granted and refused",
    labels: ["outcome"],
  });
  const dials = register.counter({ name: "sv2_peer_dials_total", help: "Dials of peers, failed ones included" });
  const failures = register.counter({ name: "sv2_peer_dial_failures_total", help: "Dials of peers that failed" });
  const opened = register.counter({ name: "sv2_peer_breakers_opened_total", help: "Circuit breakers that opened" });
  const closed = register.counter({
    name: "sv2_peer_closed_total",
    help: "Connections to peers that were closed, by reason",
    labels: ["reason"],
  });
  const growing = [
    ...(["delivered", "expired", "refused", "dropped"] as const).map((outcome) =>
      follow(messages, { outcome }, (counts) => counts[outcome]),
    ),
    follow(leases, { outcome: "granted" }, (counts) => counts.leasesGranted),
    follow(leases, { outcome: "refused" }, (counts) => counts.leasesRefused),
    follow(dials, {}, (counts) => counts.dials),
    follow(failures, {}, (counts) => counts.dialFailures),
    follow(opened, {}, (counts) => counts.breakersOpened),
    ...(["idle", "evicted", "unhealthy", "failed", "ended", "stopped"] as const).map((reason) =>
      follow(closed, { reason }, (counts) => counts.closed[reason]),
    ),
  ];
  return (counts) => {
    for (const grow of growing) grow(counts);
  };
}

/** Lets a counter grow by what has come to a total since the last call. */
function follow<Label extends string>(
  counter: CounterMetric<Label>,
  labels: Readonly<Record<Label, string>>,
  total: (counts: Counts) => number,
): (counts: Counts) => void {
  let last = 0;
  return (counts) => {
    const now = total(counts);
    counter.inc(labels, now - last);
    last = now;
  };
}
