import { setTimeout as pause } from "node:timers/promises";
import { until } from "../harness/until.ts";
import { Cast, type RoleName, roleNames } from "./cast.ts";
import { Crew } from "./crew.ts";
import { groups } from "./messages.ts";
import { type Fault, type Plan, plannedFaults } from "./plan.ts";
import { type Accounts, readAccounts, readStore } from "./reconcile.ts";
import { type Sample, type Series, sample } from "./sampling.ts";
import { Causes } from "./tally.ts";

const SAMPLE_MS = 10_000;
const SETTLE_MS = 3_000;
const ARRIVAL_MS = 300_000;
const RECOVERY_MS = 180_000;
const OUTAGE_MS = 5_000;
const CHURN_IN_OUTAGE_MS = 3_000;
const ANSWER_MS = 30_000;
const BASELINE_MS = 120_000;
const STALL_MS = 180_000;
/** Files and sockets a role may hold more than before its first miner: what it opens once when first needed. */
const FD_TOLERANCE = 6;
/** The one channel that a translator with a shared channel keeps open. */
const KEPT_CHANNELS = 1;

/** A fault that was done, and how long it was felt. */
export interface Recovery {
  readonly fault: Fault;
  /** Milliseconds from the start of the load. */
  readonly at: number;
  /** Milliseconds from the role's return until every miner had new work; null when that did not come. */
  readonly recoveredMs: number | null;
}

/** A role before the first miner and after the last. */
export interface IdleCheck {
  readonly name: RoleName;
  readonly before: Sample;
  readonly after: Sample;
}

/** Everything a run found out. */
export interface Findings {
  readonly plan: Plan;
  readonly startedAt: number;
  readonly loadMs: number;
  readonly arrivalMs: number;
  readonly series: readonly Series[];
  readonly recoveries: readonly Recovery[];
  readonly idle: readonly IdleCheck[];
  readonly accounts: Accounts | undefined;
  readonly tallies: ReturnType<Crew["tallies"]>;
  readonly minerFaults: Readonly<Record<string, number>>;
  readonly wasInterrupted: boolean;
  /** Reasons to fail, by how often. */
  readonly failures: Readonly<Record<string, number>>;
}

/** Runs the load, does the faults and watches. */
export class Conductor {
  readonly #plan: Plan;
  readonly #say: (line: string) => void;
  readonly #signal: AbortSignal;
  readonly #series = new Map<string, Series>();
  readonly #failures = new Causes();
  readonly #recoveries: Recovery[] = [];
  #isCalm = false;
  #isSampling = false;
  #calmSince = 0;
  /** A process ended that nobody ended: there is nothing left to learn. */
  #isBroken = false;

  constructor(plan: Plan, options: { readonly say: (line: string) => void; readonly signal: AbortSignal }) {
    this.#plan = plan;
    this.#say = options.say;
    this.#signal = options.signal;
  }

  /** Resolves to what was found, also when the signal cut it short. */
  async run(): Promise<Findings> {
    const startedAt = Date.now();
    this.#say("starting the roles");
    await using cast = await Cast.start(this.#plan);
    await this.#pause(SETTLE_MS);
    const before = await this.#idleSamples(cast);
    this.#say(`starting ${this.#plan.miners} miners`);
    await using crew = new Crew(this.#plan, cast.targets());
    const arrivalMs = await this.#arrive(crew);
    this.#say(`all miners have work after ${(arrivalMs / 1000).toFixed(1)} s; the load begins`);
    const loadMs = await this.#load(cast, crew);
    const ending = this.#signal.aborted || this.#isBroken ? undefined : await this.#end(cast, crew, before);
    return {
      plan: this.#plan,
      startedAt,
      loadMs,
      arrivalMs,
      series: [...this.#series.values()],
      recoveries: this.#recoveries,
      idle: ending?.idle ?? [],
      accounts: ending?.accounts,
      tallies: crew.tallies(),
      minerFaults: crew.faults(),
      wasInterrupted: this.#signal.aborted,
      failures: this.#failures.record(),
    };
  }

  async #arrive(crew: Crew): Promise<number> {
    const from = performance.now();
    const { miners } = this.#plan;
    const haveCome = (): boolean => crew.present() === miners && crew.haveWorkSince(0);
    await this.#tolerating(() => this.#awaiting("all miners have work", haveCome, ARRIVAL_MS));
    return performance.now() - from;
  }

  async #load(cast: Cast, crew: Crew): Promise<number> {
    const from = performance.now();
    this.#setCalm(crew, true);
    crew.setChurn(this.#plan.churnPerSecond);
    const sampling = setInterval(() => void this.#sampleAll(cast, crew), SAMPLE_MS);
    try {
      await this.#conduct(cast, crew);
    } finally {
      clearInterval(sampling);
      await until("the last samples", () => !this.#isSampling);
    }
    return performance.now() - from;
  }

  async #conduct(cast: Cast, crew: Crew): Promise<void> {
    const from = performance.now();
    const length = this.#plan.minutes * 60_000;
    const faults = [...plannedFaults(this.#plan)];
    let told = from;
    // A recovery may outlast a short run; what was planned is done all the same.
    while ((performance.now() - from < length || faults.length > 0) && !this.#signal.aborted && !this.#isBroken) {
      const passed = performance.now() - from;
      const due = faults[0];
      if (due !== undefined && due.at <= passed) {
        faults.shift();
        await this.#strike(due.fault, { cast, crew, at: passed });
      }
      if (performance.now() - told >= Math.min(60_000, length / 6)) {
        told = performance.now();
        this.#tell(passed, crew);
      }
      this.#lookForCrashes(cast, crew);
      await this.#pause(250);
    }
  }

  #lookForCrashes(cast: Cast, crew: Crew): void {
    if (this.#signal.aborted) return;
    for (const name of cast.crashed()) this.#failures.add(`${name}: crashed`);
    if (crew.crash !== undefined) this.#failures.add(crew.crash);
    this.#isBroken = cast.crashed().length > 0 || crew.crash !== undefined;
  }

  #tell(passed: number, crew: Crew): void {
    const tallies = Object.values(crew.tallies());
    const sum = (pick: (tally: (typeof tallies)[number]) => number): number =>
      tallies.reduce((total, tally) => total + pick(tally), 0);
    const counts = `${crew.present()} mining, ${sum((tally) => tally.acknowledged)} shares acknowledged, ${sum(
      (tally) => tally.rejected.total,
    )} rejected`;
    this.#say(`${(passed / 60_000).toFixed(1)} min: ${counts}, ${this.#failures.total} failures`);
    const faults = { ...this.#failures.record(), ...crew.faults() };
    for (const [what, count] of Object.entries(faults)) this.#say(`  ${what} (${count} times)`);
  }

  async #strike(fault: Fault, { cast, crew, at }: { cast: Cast; crew: Crew; at: number }): Promise<void> {
    this.#say(`${(at / 60_000).toFixed(1)} min: ${fault}`);
    const recoveredMs =
      fault === "kill-template-provider"
        ? await this.#loseTemplateProvider(cast, crew)
        : await this.#losePool(fault === "kill-pool" ? "kill" : "stop", cast, crew);
    if (recoveredMs === null && !this.#signal.aborted) this.#failures.add(`no recovery from ${fault}`);
    this.#recoveries.push({ fault, at, recoveredMs });
    if (recoveredMs !== null)
      this.#say(`  every miner has new work ${(recoveredMs / 1000).toFixed(1)} s after its return`);
  }

  async #losePool(how: "kill" | "stop", cast: Cast, crew: Crew): Promise<number | null> {
    this.#setCalm(crew, false);
    const code = await cast.takeDown("pool", how);
    if (how === "stop" && code !== 0) this.#failures.add(`pool: stopped with exit code ${code}`);
    await this.#pause(CHURN_IN_OUTAGE_MS);
    crew.setChurn(0);
    await this.#pause(OUTAGE_MS - CHURN_IN_OUTAGE_MS);
    await cast.startPool();
    const recovered = await this.#recovery(crew);
    await this.#pause(SETTLE_MS);
    this.#setCalm(crew, true);
    crew.setChurn(this.#plan.churnPerSecond);
    return recovered;
  }

  /** Nobody may lose a connection over it. */
  async #loseTemplateProvider(cast: Cast, crew: Crew): Promise<number | null> {
    await cast.takeDown("template-provider", "kill");
    await this.#pause(OUTAGE_MS);
    await cast.startTemplateProvider();
    crew.setChurn(0);
    const recovered = await this.#recovery(crew);
    crew.setChurn(this.#plan.churnPerSecond);
    return recovered;
  }

  async #recovery(crew: Crew): Promise<number | null> {
    const from = performance.now();
    const returnedAt = Date.now();
    try {
      await this.#awaiting("every miner has new work", () => crew.haveWorkSince(returnedAt), RECOVERY_MS);
      return this.#signal.aborted ? null : performance.now() - from;
    } catch {
      return null;
    }
  }

  #setCalm(crew: Crew, calm: boolean): void {
    this.#isCalm = calm;
    this.#calmSince = Date.now();
    crew.tell({ type: "calm", calm });
  }

  async #sampleAll(cast: Cast, crew: Crew): Promise<void> {
    // Ctrl-C reaches the roles as well, so they are silent then.
    if (this.#isSampling || this.#signal.aborted) return;
    this.#isSampling = true;
    try {
      await Promise.all(roleNames.map((name) => this.#sampleRole(cast, name)));
      this.#sampleMiners(crew);
      this.#watch(crew);
    } finally {
      this.#isSampling = false;
    }
  }

  async #sampleRole(cast: Cast, name: RoleName): Promise<void> {
    if (!cast.isUp(name)) return;
    const incarnation = cast.get(name);
    try {
      this.#keep(name, incarnation.number, await sample(incarnation));
    } catch (error) {
      if (!this.#signal.aborted && cast.isUp(name) && cast.get(name) === incarnation) {
        this.#failures.add(`${name}: no answer from its monitoring server: ${String(error)}`);
      }
    }
  }

  #sampleMiners(crew: Crew): void {
    crew.reports.forEach(({ heapBytes, rssBytes, fds, lagMs, present }, index) => {
      const at = Date.now();
      const rest = { handles: 0, connections: 0, channels: 0, miners: present };
      this.#keep(`miners-${index + 1}`, 1, { at, heapBytes, rssBytes, fds, lagMs, ...rest });
    });
  }

  #keep(name: Series["name"], incarnation: number, taken: Sample): void {
    const key = `${name} ${incarnation}`;
    const series = this.#series.get(key) ?? { name, incarnation, samples: [] };
    series.samples.push(taken);
    this.#series.set(key, series);
  }

  #watch(crew: Crew): void {
    if (!this.#isCalm || this.#signal.aborted) return;
    const since = Date.now() - STALL_MS;
    if (this.#calmSince > since) return;
    const tallies = crew.tallies();
    for (const group of groups) {
      if (tallies[group].lastAcknowledgedAt < since)
        this.#failures.add(`${group}: no share acknowledged for 3 minutes`);
    }
  }

  async #end(
    cast: Cast,
    crew: Crew,
    before: ReadonlyMap<RoleName, Sample>,
  ): Promise<{ readonly idle: readonly IdleCheck[]; readonly accounts: Accounts }> {
    this.#say("the load ends; waiting for the last answers");
    crew.setChurn(0);
    const from = Date.now();
    await this.#tolerating(() => this.#awaiting("all miners are back", () => crew.haveWorkSince(from), RECOVERY_MS));
    crew.tell({ type: "quiesce" });
    await this.#pause(SETTLE_MS);
    await this.#tolerating(() => this.#awaiting("every share has its answer", () => crew.pending() === 0, ANSWER_MS));
    await crew.leave();
    this.#say("all miners have left; waiting for the roles to be as before");
    const idle = await this.#idleChecks(cast, before);
    const accounts = await readAccounts(cast);
    for (const name of roleNames.toReversed()) {
      const code = await cast.takeDown(name, "stop");
      if (code !== 0) this.#failures.add(`${name}: stopped with exit code ${code}`);
    }
    return { idle, accounts: { ...accounts, store: await readStore(cast.sharesPath), seats: crew.seats() } };
  }

  async #idleChecks(cast: Cast, before: ReadonlyMap<RoleName, Sample>): Promise<readonly IdleCheck[]> {
    const checks: IdleCheck[] = [];
    for (const name of roleNames) {
      const base = before.get(name);
      if (base === undefined) continue;
      let after = await sample(cast.get(name));
      const isBack = async (): Promise<boolean> => {
        after = await sample(cast.get(name));
        return excess(base, after).length === 0;
      };
      await until(`${name} is as before`, isBack, BASELINE_MS).catch(() => {});
      for (const what of excess(base, after)) this.#failures.add(`${name}: leaks ${what}`);
      checks.push({ name, before: base, after });
    }
    return checks;
  }

  async #idleSamples(cast: Cast): Promise<ReadonlyMap<RoleName, Sample>> {
    const samples = await Promise.all(roleNames.map(async (name) => [name, await sample(cast.get(name))] as const));
    return new Map(samples);
  }

  async #tolerating(wait: () => Promise<void>): Promise<void> {
    await wait().catch((error: unknown) => this.#failures.add(error instanceof Error ? error.message : String(error)));
  }

  /** Ends at once, as if it had come, when the run is interrupted. */
  async #awaiting(what: string, probe: () => boolean, timeoutMs: number): Promise<void> {
    await until(what, () => this.#signal.aborted || probe(), timeoutMs);
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#signal }).catch(() => {});
  }
}

/** What a role holds after the last miner that it did not hold before the first. */
function excess(before: Sample, after: Sample): readonly string[] {
  const found: string[] = [];
  const compare = (what: "connections" | "channels" | "miners" | "fds", allowed: number): void => {
    const more = after[what] - before[what];
    if (more > allowed) found.push(`${more} ${what}`);
  };
  compare("connections", 0);
  compare("channels", KEPT_CHANNELS);
  compare("miners", 0);
  compare("fds", FD_TOLERANCE);
  return found;
}
