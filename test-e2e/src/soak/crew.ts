import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { root, sourceFlags } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import type { Group, SeatCounts, Targets, ToWorker, WorkerReport } from "./messages.ts";
import { groups } from "./messages.ts";
import { type Plan, seatsOf } from "./plan.ts";
import { Causes, type GroupTally, groupTallies } from "./tally.ts";

const workerMain = fileURLToPath(new URL("worker.ts", import.meta.url));
/** So that the miners' own work neither distorts the latency they measure nor takes a whole core. */
const WORKERS = 2;
const ARRIVALS_PER_SECOND = 50;
const LAST_REPORT_MS = 60_000;

/** The worker processes with the miners. */
export class Crew implements AsyncDisposable {
  readonly #children: ChildProcess[] = [];
  readonly #reports: (WorkerReport | undefined)[] = [];
  #isLeaving = false;
  #crash: string | undefined;

  /** Starts the miners, who come one after the other. */
  constructor(plan: Plan, targets: Targets) {
    for (let worker = 0; worker < WORKERS; worker += 1) {
      const child = fork(workerMain, [], {
        cwd: root,
        execArgv: [...sourceFlags],
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      this.#children.push(child);
      child.on("message", (report) => (this.#reports[worker] = report as WorkerReport));
      child.once("exit", (code, signal) => {
        if (!this.#isLeaving) this.#crash = `miners-${worker + 1} ended with ${code ?? signal}`;
      });
      const { hashrate } = plan;
      const arrivalsPerSecond = ARRIVALS_PER_SECOND / WORKERS;
      child.send({ type: "begin", ...seatsOf(plan, worker, WORKERS), targets, hashrate, arrivalsPerSecond });
    }
  }

  /** Why the miners are of no use any more. */
  get crash(): string | undefined {
    return this.#crash;
  }

  /** The last word of each worker that has spoken. */
  get reports(): readonly WorkerReport[] {
    return this.#reports.filter((report) => report !== undefined);
  }

  tell(message: ToWorker): void {
    for (const child of this.#children) if (child.connected) child.send(message);
  }

  setChurn(perSecond: number): void {
    this.tell({ type: "churn", perSecond: perSecond / WORKERS });
  }

  /** Miners that have work. */
  present(): number {
    return this.reports.reduce((sum, report) => sum + report.present, 0);
  }

  /** Whether every miner that is not away on purpose has work that came after `at`. */
  haveWorkSince(at: number): boolean {
    return this.reports.length === WORKERS && this.reports.every(({ oldestJobAt }) => oldestJobAt > at);
  }

  pending(): number {
    return this.reports.reduce((sum, report) => sum + report.pending, 0);
  }

  /** The counts of all workers together. */
  tallies(): Readonly<Record<Group, GroupTally>> {
    const sums = groupTallies();
    for (const report of this.reports) for (const group of groups) sums[group].merge(report.groups[group]);
    return sums;
  }

  faults(): Readonly<Record<string, number>> {
    const sums = new Causes();
    for (const report of this.reports) sums.addAll(report.faults);
    return sums.record();
  }

  seats(): readonly SeatCounts[] {
    return this.reports.flatMap(({ seats }) => seats ?? []);
  }

  /** Sends everyone home; resolves when the workers have told their last. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.tell({ type: "leave" });
    await until(
      "the miners' last reports",
      () => this.#reports.every((report) => report?.seats !== undefined),
      LAST_REPORT_MS,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isLeaving = true;
    const running = this.#children.filter((child) => child.exitCode === null && child.signalCode === null);
    for (const child of running) child.kill("SIGKILL");
    await Promise.all(running.map((child) => once(child, "exit")));
  }
}
