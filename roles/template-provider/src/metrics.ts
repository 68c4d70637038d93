import type { CounterMetric, MetricsRegister } from "@adit/role-kit";
import type { Backend } from "./backend.ts";
import type { TemplateServer } from "./template-server.ts";

/** The role's counters. */
export interface TemplateProviderMetrics {
  readonly solutionsRefused: CounterMetric<"reason">;
  readonly templatesSent: CounterMetric<"future">;
  readonly clientsClosed: CounterMetric;
}

/** Registers the role's counters. */
export function templateProviderMetrics(register: MetricsRegister): TemplateProviderMetrics {
  return {
    solutionsRefused: register.counter({
      name: "sv2_template_provider_solutions_refused_total",
      help: "Faults found in solutions that were refused; one solution may have several",
      labels: ["reason"],
    }),
    templatesSent: register.counter({
      name: "sv2_template_provider_templates_sent_total",
      help: "NewTemplate messages queued for clients, future ones (for a new tip) apart",
      labels: ["future"],
    }),
    clientsClosed: register.counter({
      name: "sv2_template_provider_clients_closed_total",
      help: "Clients closed because they broke the protocol or did not read",
    }),
  };
}

/** Counts blocks put on the chain; each backend knows when. */
export function blocksMetric(register: MetricsRegister): CounterMetric<"solved_by"> {
  return register.counter({
    name: "sv2_template_provider_blocks_total",
    help: "Blocks put on the chain",
    labels: ["solved_by"],
  });
}

/** Registers the role's gauges, read from the live role at each scrape. */
export function watchTemplateProvider(
  register: MetricsRegister,
  { backend, server }: { readonly backend: Backend; readonly server: TemplateServer },
): void {
  const height = register.gauge({ name: "sv2_template_provider_chain_height", help: "Height of the tip" });
  const clients = register.gauge({ name: "sv2_template_provider_clients", help: "Connected template clients" });
  const waiting = register.gauge({
    name: "sv2_template_provider_mempool_transactions",
    help: "Transactions that wait for a block, as far as a template would take them",
  });
  register.onCollect(() => {
    const { tip } = backend.source;
    if (tip !== undefined) height.set({}, tip.height);
    clients.set({}, server.clients.size);
    waiting.set({}, backend.status().mempool.transactions);
  });
}
