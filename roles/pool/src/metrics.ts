import type { MiningServerStatus } from "@adit/channels";
import type { CounterMetric, HistogramMetric, MetricsRegister } from "@adit/role-kit";
import type { StoreStats } from "@adit/share-store";
import type { JudgeStatus } from "./burial/block-judge.ts";

/** The pool's counters; its gauges are read at each scrape. */
export interface PoolMetrics {
  readonly sharesAccepted: CounterMetric;
  readonly sharesRejected: CounterMetric<"error_code">;
  readonly shareWork: CounterMetric;
  readonly shareCommitSeconds: HistogramMetric;
  readonly blocksFound: CounterMetric;
  readonly blocksSettled: CounterMetric<"result">;
  readonly templates: CounterMetric;
  readonly prevHashes: CounterMetric;
  readonly solutionsSubmitted: CounterMetric;
  readonly closedByPool: CounterMetric<"cause">;
}

/** Where the gauges are read. */
export interface GaugeSources {
  server(): MiningServerStatus;
  store(): StoreStats;
  /** 1 while the template provider is connected. */
  templateProviderUp(): number;
  /** Seconds since the newest template; undefined before the first. */
  templateAge(): number | undefined;
  /** Undefined when no node judges blocks. */
  judge(): JudgeStatus | undefined;
}

/** Registers the pool's metrics table. */
export function poolMetrics(register: MetricsRegister, sources: GaugeSources): PoolMetrics {
  registerGauges(register, sources);
  return {
    sharesAccepted: register.counter({
      name: "sv2_pool_shares_accepted_total",
      help: "Shares recorded, and so credited",
    }),
    sharesRejected: register.counter({
      name: "sv2_pool_shares_rejected_total",
      help: "Shares answered with SubmitShares.Error",
      labels: ["error_code"],
    }),
    shareWork: register.counter({
      name: "sv2_pool_share_work_hashes_total",
      help: "Expected hashes behind the recorded shares; rounded, the share store has the exact sum",
    }),
    shareCommitSeconds: register.histogram({
      name: "sv2_pool_share_commit_seconds",
      help: "From a share's arrival to the commit that holds it",
      buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5],
    }),
    blocksFound: register.counter({ name: "sv2_pool_blocks_found_total", help: "Headers that met the network target" }),
    blocksSettled: register.counter({
      name: "sv2_pool_blocks_settled_total",
      help: "Changes of blocks' results, by the new one",
      labels: ["result"],
    }),
    templates: register.counter({ name: "sv2_pool_templates_total", help: "NewTemplate messages received" }),
    prevHashes: register.counter({ name: "sv2_pool_prev_hashes_total", help: "SetNewPrevHash messages received" }),
    solutionsSubmitted: register.counter({
      name: "sv2_pool_solutions_submitted_total",
      help: "SubmitSolution messages sent, repeats after a reconnection among them",
    }),
    closedByPool: register.counter({
      name: "sv2_pool_connections_closed_total",
      help: "Miner connections that the pool ended",
      labels: ["cause"],
    }),
  };
}

function registerGauges(register: MetricsRegister, sources: GaugeSources): void {
  const gauges = {
    channels: register.gauge({ name: "sv2_pool_channels", help: "Open channels", labels: ["kind"] }),
    hashrate: register.gauge({ name: "sv2_pool_hashrate_hashes_per_second", help: "Estimated over all channels" }),
    queued: register.gauge({ name: "sv2_pool_store_queued_shares", help: "Shares that wait for their commit" }),
    commit: register.gauge({ name: "sv2_pool_store_last_commit_seconds", help: "Duration of the newest commit" }),
    failed: register.gauge({ name: "sv2_pool_store_failed_shares", help: "Shares that could not be recorded" }),
    durable: register.gauge({ name: "sv2_pool_store_durable", help: "1 while recorded shares survive a power cut" }),
    providerUp: register.gauge({ name: "sv2_pool_template_provider_up", help: "1 while connected" }),
    templateAge: register.gauge({ name: "sv2_pool_template_age_seconds", help: "Age of the newest template" }),
  };
  const judge = {
    open: register.gauge({ name: "sv2_pool_blocks_open", help: "Blocks that are followed until their fate is final" }),
    up: register.gauge({ name: "sv2_pool_block_judge_up", help: "1 while a node says what becomes of blocks" }),
  };
  const custom = customJobCounters(register);
  const held = register.counter({
    name: "sv2_pool_work_held_total",
    help: "Templates and prevhashes that came faster than miners are told of; of these they are told the newest",
  });
  let heldBefore = 0;
  register.onCollect(() => {
    const status = sources.server();
    held.inc({}, status.held - heldBefore);
    heldBefore = status.held;
    custom.collect(status);
    const store = sources.store();
    const kinds = status.connections.flatMap(({ channels }) => channels.map(({ kind }) => kind));
    for (const kind of ["standard", "extended"] as const) {
      gauges.channels.set({ kind }, kinds.filter((other) => other === kind).length);
    }
    gauges.hashrate.set({}, status.hashrate);
    gauges.queued.set({}, store.queued);
    gauges.commit.set({}, store.lastCommitMs / 1000);
    gauges.failed.set({}, store.failed);
    gauges.durable.set({}, store.durable ? 1 : 0);
    gauges.providerUp.set({}, sources.templateProviderUp());
    const age = sources.templateAge();
    if (age !== undefined) gauges.templateAge.set({}, age);
    const judging = sources.judge();
    if (judging === undefined) return;
    judge.open.set({}, judging.open);
    judge.up.set({}, judging.trouble === null ? 1 : 0);
  });
}

/** Counts what the mining core has counted: it tells totals, and counters take differences. */
function customJobCounters(register: MetricsRegister): { collect(status: MiningServerStatus): void } {
  const jobs = register.counter({
    name: "sv2_pool_custom_jobs_total",
    help: "SetCustomMiningJob messages answered: taken, or by error code",
    labels: ["result"],
  });
  const shares = register.counter({ name: "sv2_pool_custom_job_shares_total", help: "Shares recorded of custom jobs" });
  const waiting = register.gauge({
    name: "sv2_pool_custom_jobs_waiting",
    help: "Custom jobs on a block that the template provider has not told of yet",
  });
  const before = new Map<string, number>();
  const since = (name: string, total: number): number => {
    const difference = total - (before.get(name) ?? 0);
    before.set(name, total);
    return difference;
  };
  return {
    collect: ({ customJobs, refusedCustomJobs, customShares, waitingCustomJobs }) => {
      jobs.inc({ result: "taken" }, since("taken", customJobs));
      for (const [result, total] of refusedCustomJobs) jobs.inc({ result }, since(result, total));
      shares.inc({}, since("shares", customShares));
      waiting.set({}, waitingCustomJobs);
    },
  };
}
