import type { CounterMetric, MetricsRegister } from "@adit/role-kit";
import type { TemplateProvider } from "./template-provider.ts";

/** The role's counters. */
export interface TemplateProviderMetrics {
  readonly blocks: CounterMetric<"solved_by">;
  readonly solutionsRefused: CounterMetric<"reason">;
  readonly templatesSent: CounterMetric<"future">;
  readonly clientsClosed: CounterMetric;
}

/** Registers the role's counters. */
export function templateProviderMetrics(register: MetricsRegister): TemplateProviderMetrics {
  return {
    blocks: register.counter({
      name: "sv2_template_provider_blocks_total",
      help: "Blocks put on the chain",
      labels: ["solved_by"],
    }),
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

/** Registers the role's gauges, read from the live role at each scrape. */
export function watchTemplateProvider(register: MetricsRegister, provider: TemplateProvider): void {
  const height = register.gauge({ name: "sv2_template_provider_chain_height", help: "Height of the tip" });
  const clients = register.gauge({ name: "sv2_template_provider_clients", help: "Connected template clients" });
  const waiting = register.gauge({
    name: "sv2_template_provider_mempool_transactions",
    help: "Synthetic transactions that wait for a block",
  });
  register.onCollect(() => {
    height.set({}, provider.chain.tip.height);
    clients.set({}, provider.server.clients.size);
    waiting.set({}, provider.chain.mempool.transactions);
  });
}
