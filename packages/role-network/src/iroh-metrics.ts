import type { CounterMetric, MetricsRegister } from "@adit/role-kit";

/** What is counted of a process's Iroh nodes. */
export interface IrohMetrics {
  readonly starts: CounterMetric<"result">;
  readonly connections: CounterMetric<"identity">;
}

/** Registers the metrics of Iroh nodes; `live` is how many accepted connections there are, by the endpoint id they dialled. */
export function irohMetrics(
  register: MetricsRegister,
  live: () => { readonly current: number; readonly former: number },
): IrohMetrics {
  const open = register.gauge({
    name: "sv2_iroh_connections",
    help: "Live connections that peers have dialled, by the endpoint id they dialled: current, or former after a key rotation",
    labels: ["identity"],
  });
  register.onCollect(() => {
    for (const [identity, count] of Object.entries(live())) open.set({ identity }, count);
  });
  return {
    connections: register.counter({
      name: "sv2_iroh_connections_total",
      help: "Connections that peers have dialled, by the endpoint id they dialled",
      labels: ["identity"],
    }),
    starts: register.counter({
      name: "sv2_iroh_node_starts_total",
      help: "Starts of the process's Iroh node, by result: ok, failed",
      labels: ["result"],
    }),
  };
}
