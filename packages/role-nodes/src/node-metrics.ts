import type { CounterMetric, HistogramMetric, MetricsRegister } from "@adit/role-kit";
import type { NodeStatus } from "./node-status.ts";

/** What is counted of a role's nodes. Nodes are named as in the config, so there are few. */
export interface NodeMetrics {
  readonly blocks: CounterMetric<"solved_by">;
  readonly calls: CounterMetric<"node" | "method" | "outcome">;
  readonly callSeconds: HistogramMetric<"method">;
  readonly submissions: CounterMetric<"node" | "result">;
  readonly outcomes: CounterMetric<"outcome">;
  readonly blockFilesFailed: CounterMetric;
  readonly templatesReceived: CounterMetric<"node" | "stopgap">;
  readonly templatesBehind: CounterMetric<"node">;
}

const CALL_BUCKETS: readonly number[] = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

/** Registers the counters; `role` is the role's part of their names. */
export function nodeMetrics(register: MetricsRegister, role: string): NodeMetrics {
  const name = (rest: string): string => `sv2_${role}_${rest}`;
  return {
    blocks: register.counter({ name: name("blocks_total"), help: "Blocks put on the chain", labels: ["solved_by"] }),
    calls: register.counter({
      name: name("node_calls_total"),
      help: "RPC calls of Bitcoin nodes, by method and outcome: ok or a NodeError's code",
      labels: ["node", "method", "outcome"],
    }),
    callSeconds: register.histogram({
      name: name("node_call_seconds"),
      help: "Time RPC calls took; long polls wait on purpose",
      labels: ["method"],
      buckets: CALL_BUCKETS,
    }),
    submissions: register.counter({
      name: name("block_submissions_total"),
      help: "Answers of nodes to submitted blocks",
      labels: ["node", "result"],
    }),
    outcomes: register.counter({
      name: name("block_outcomes_total"),
      help: "What became of submitted blocks; a block that is reorganised away counts again",
      labels: ["outcome"],
    }),
    blockFilesFailed: register.counter({
      name: name("block_files_failed_total"),
      help: "Solved blocks that could not be written to disk in time; they were submitted all the same",
    }),
    templatesReceived: register.counter({
      name: name("node_templates_total"),
      help: "Templates of nodes that were taken, stopgaps without transactions apart",
      labels: ["node", "stopgap"],
    }),
    templatesBehind: register.counter({
      name: name("node_templates_behind_total"),
      help: "Templates that did not build on the best known tip and were not served",
      labels: ["node"],
    }),
  };
}

/** Registers the gauges, read at each scrape; `role` is the role's part of their names. */
export function watchNodes(
  register: MetricsRegister,
  role: string,
  read: {
    readonly nodes: () => readonly NodeStatus[];
    readonly templateAge: () => number | undefined;
    readonly pending: () => number;
  },
): void {
  const name = (rest: string): string => `sv2_${role}_${rest}`;
  const up = register.gauge({
    name: name("node_up"),
    help: "Whether a node answers; 2 for the one that templates come from",
    labels: ["node"],
  });
  const height = register.gauge({
    name: name("node_height"),
    help: "Height of a node's tip",
    labels: ["node"],
  });
  const age = register.gauge({
    name: name("template_age_seconds"),
    help: "Time since a node last gave a template",
  });
  const pending = register.gauge({
    name: name("blocks_pending"),
    help: "Submitted blocks that no node has judged yet",
  });
  register.onCollect(() => {
    for (const node of read.nodes()) {
      up.set({ node: node.name }, node.state === "active" ? 2 : node.state === "down" ? 0 : 1);
      if (node.height !== null) height.set({ node: node.name }, node.height);
    }
    age.set({}, read.templateAge() ?? -1);
    pending.set({}, read.pending());
  });
}
