import type { CounterMetric, HistogramMetric, MetricsRegister } from "@adit/role-kit";
import type { JobDeclarator } from "./core/job-declarator.ts";
import type { DeclaratorNodes } from "./declarator-nodes.ts";

/** What a job-declarator server counts. Label values are the core's own words. */
export interface DeclaratorMetrics {
  readonly tokens: CounterMetric<"kind">;
  readonly declarations: CounterMetric<"result">;
  readonly declarationSeconds: HistogramMetric;
  readonly missingTransactions: CounterMetric;
  readonly solvedBlocks: CounterMetric<"by">;
  readonly solutionsRefused: CounterMetric<"reason">;
  readonly clientsClosed: CounterMetric<"reason">;
  readonly messagesIgnored: CounterMetric;
}

const DECLARATION_BUCKETS: readonly number[] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 90];

/** Registers the counters. */
export function declaratorMetrics(register: MetricsRegister): DeclaratorMetrics {
  return {
    tokens: register.counter({
      name: "sv2_jd_server_tokens_allocated_total",
      help: "Tokens given to clients, by what they are good for",
      labels: ["kind"],
    }),
    declarations: register.counter({
      name: "sv2_jd_server_declarations_total",
      help: "Answered declarations: declared, or the error code they were refused with",
      labels: ["result"],
    }),
    declarationSeconds: register.histogram({
      name: "sv2_jd_server_declaration_seconds",
      help: "Time from a declaration to DeclareMiningJob.Success, missing transactions included",
      buckets: DECLARATION_BUCKETS,
    }),
    missingTransactions: register.counter({
      name: "sv2_jd_server_missing_transactions_total",
      help: "Transactions that clients were asked for because no node knew them",
    }),
    solvedBlocks: register.counter({
      name: "sv2_jd_server_solved_blocks_total",
      help: "Blocks solved on declared jobs, by who told: a client with PushSolution, or the pool",
      labels: ["by"],
    }),
    solutionsRefused: register.counter({
      name: "sv2_jd_server_solutions_refused_total",
      help: "Solutions that made no block: no-job, other-job, high-hash, or too-many in a minute",
      labels: ["reason"],
    }),
    clientsClosed: register.counter({
      name: "sv2_jd_server_clients_closed_total",
      help: "Clients closed because they exceeded a limit or broke the protocol",
      labels: ["reason"],
    }),
    messagesIgnored: register.counter({
      name: "sv2_jd_server_messages_ignored_total",
      help: "Messages that meant nothing, such as transactions that nobody waited for",
    }),
  };
}

/** Registers the gauges, read from the live server at each scrape. */
export function watchDeclarator(
  register: MetricsRegister,
  { core, nodes }: { readonly core: JobDeclarator; readonly nodes: DeclaratorNodes | undefined },
): void {
  const gauge = (name: string, help: string): ((value: number) => void) => {
    const metric = register.gauge({ name: `sv2_jd_server_${name}`, help });
    return (value) => metric.set({}, value);
  };
  const clients = gauge("clients", "Connected job-declarator clients");
  const tokens = gauge("tokens", "Tokens that no declaration has been answered with");
  const held = gauge("token_requests_held", "Requests for tokens that wait for their turn");
  const pending = gauge("declarations_pending", "Declarations that are not answered");
  const jobs = gauge("declared_jobs", "Declared jobs that solutions are tried with");
  const jobBytes = gauge("declared_job_bytes", "Bytes of those jobs; shared transactions count once");
  const height = gauge("next_height", "Height of the next block; 0 before it is known");
  const mempool = gauge("mempool_transactions", "Transactions of the preferred node's mempool at hand");
  const mempoolBytes = gauge("mempool_bytes", "Bytes of those transactions");
  register.onCollect(() => {
    clients(core.clients().length);
    tokens(core.tokens);
    held(core.waiting);
    pending(core.pending);
    jobs(core.jobs.count);
    jobBytes(core.jobs.bytes);
    height(core.tip?.height ?? 0);
    mempool(nodes?.mempool.transactions ?? 0);
    mempoolBytes(nodes?.mempool.bytes ?? 0);
  });
}
