import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "../harness/until.ts";
import type { Books } from "./books.ts";
import { Cast } from "./cast.ts";
import { readChain } from "./chain.ts";
import { CREW_HASHRATE, Crew } from "./crew.ts";
import { readLogs, readStore } from "./evidence.ts";
import { judge, judgeChain, judgeShares, type Violation } from "./judge.ts";
import type { Place } from "./miner.ts";
import { type Plan, type PlannedKill, plannedBirths, plannedKills, type RoleName, roleNames } from "./plan.ts";
import { readTranslatorLog } from "./translator-log.ts";

/** Mean time between blocks. */
const SECONDS_PER_BLOCK = 1.5;
/** From a restart to the first accepted share. */
const RETURN_MS = 60_000;
/** Longest wait for the moment of a kill; then it comes anyway. */
const MOMENT_MS = 3_000;
const ANSWERS_MS = 15_000;

/** A kill that was made, and how the role came back. */
export interface Kill extends PlannedKill {
  /** Of these kills, how many processes died: a start that was interrupted is one more. */
  readonly processes: number;
  /** Milliseconds from the last start of the process until it was ready; undefined when it never was. */
  readonly readyMs: number | undefined;
  /** Milliseconds from the last start until a share was accepted that was sent after it; undefined when none was. */
  readonly recoveredMs: number | undefined;
}

/** Everything a run found out. */
export interface Findings {
  readonly plan: Plan;
  readonly kills: readonly Kill[];
  /** Time of the kills, recoveries included, in milliseconds. */
  readonly lengthMs: number;
  readonly books: Books | undefined;
  readonly violations: readonly Violation[];
  readonly audits: number;
  readonly wasInterrupted: boolean;
}

/** Places where an accepted share shows that a role is back: those whose shares go through it. */
const witnesses: Readonly<Record<RoleName, readonly Place[]>> = {
  "template-provider": ["sv2-tcp"],
  pool: ["sv2-tcp", "sv1"],
  translator: ["sv1"],
};

/** Makes the kills of a plan under load and judges what is left after each of them. */
export class Conductor {
  readonly #plan: Plan;
  readonly #say: (line: string) => void;
  readonly #signal: AbortSignal;
  readonly #violations: Violation[] = [];
  readonly #kills: Kill[] = [];
  #audits = 0;

  constructor(plan: Plan, options: { readonly say: (line: string) => void; readonly signal: AbortSignal }) {
    this.#plan = plan;
    this.#say = options.say;
    this.#signal = options.signal;
  }

  /** Resolves to what was found. */
  async run(): Promise<Findings> {
    this.#say("starting the roles and miners");
    await using cast = await Cast.start(CREW_HASHRATE * SECONDS_PER_BLOCK, plannedBirths(this.#plan));
    await using crew = await Crew.start(cast);
    await until("every place mines", () => allPlaces.every((place) => crew.hasProven(place, 0)), RETURN_MS);
    const from = performance.now();
    await this.#killAll(cast, crew, from);
    const lengthMs = performance.now() - from;
    const books = this.#isOver ? undefined : await this.#end(cast, crew);
    return {
      plan: this.#plan,
      kills: this.#kills,
      lengthMs,
      books,
      violations: this.#violations,
      audits: this.#audits,
      wasInterrupted: this.#signal.aborted,
    };
  }

  /** A role that does not come back leaves nothing to learn. */
  get #isOver(): boolean {
    return this.#signal.aborted || this.#violations.some(({ code }) => code === "no-return");
  }

  async #killAll(cast: Cast, crew: Crew, from: number): Promise<void> {
    for (const kill of plannedKills(this.#plan)) {
      if (this.#isOver) return;
      if (performance.now() - from > this.#plan.minutes * 60_000) break;
      await this.#kill(kill, cast, crew);
      if (this.#kills.length % 10 === 0) this.#tell(crew);
    }
    const { length } = this.#kills;
    if (length < this.#plan.kills) {
      this.#found([{ code: "unfinished", detail: `${length} of ${this.#plan.kills} kills were made in time` }]);
    }
  }

  async #kill(kill: PlannedKill, cast: Cast, crew: Crew): Promise<void> {
    const { role, moment, delayMs } = kill;
    await this.#moment(kill, crew);
    await cast.get(role).crash();
    await this.#audit(role, cast, crew);
    let processes = 1;
    if (moment === "start") {
      await cast.launch(role);
      await pause(delayMs);
      await cast.get(role).crash();
      await this.#audit(role, cast, crew);
      processes = 2;
    }
    const started = performance.now();
    let readyMs: number | undefined;
    let recoveredMs: number | undefined;
    try {
      await cast.launch(role);
      await cast.untilReady(role);
      readyMs = performance.now() - started;
      await until(`accepted shares after ${role} came back`, () => this.#isBack(role, crew, started), RETURN_MS);
      recoveredMs = performance.now() - started;
    } catch (error) {
      const detail = `${role}, kill ${this.#kills.length + 1} (${moment}, ${delayMs} ms): ${String(error)}`;
      if (!this.#signal.aborted) this.#found([{ code: "no-return", detail }]);
    }
    this.#kills.push({ ...kill, processes, readyMs, recoveredMs });
  }

  /** A template provider is back when work that came after its start has proven itself, any other role with its shares. */
  #isBack(role: RoleName, crew: Crew, started: number): boolean {
    return witnesses[role].every((place) =>
      role === "template-provider" ? crew.hasProvenJob(place, started) : crew.hasProven(place, started),
    );
  }

  async #moment({ moment, delayMs }: PlannedKill, crew: Crew): Promise<void> {
    if (moment === "start") return;
    if (moment !== "any") {
      const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(MOMENT_MS)]);
      await once(crew.moments, moment, { signal }).catch(() => {});
    }
    await pause(delayMs);
  }

  /** Judges what a crash left, before anything has touched it again. */
  async #audit(role: RoleName, cast: Cast, crew: Crew): Promise<void> {
    if (role === "translator") return;
    this.#audits += 1;
    if (role === "template-provider") {
      return this.#found(judgeChain(readChain(cast.chainPath), this.#logs(cast)));
    }
    const store = await readStore(cast);
    const translator = readTranslatorLog(cast.get("translator").logLines());
    this.#found(judgeShares({ miners: crew.book, translator, store }));
  }

  async #end(cast: Cast, crew: Crew): Promise<Books> {
    this.#say("the kills are done; every place has to mine once more");
    const from = performance.now();
    for (const place of allPlaces) {
      await this.#expecting(`${place} mines again`, () => crew.hasProven(place, from), RETURN_MS);
    }
    crew.rest();
    await this.#expecting("every share has its answer", () => crew.pending === 0, ANSWERS_MS);
    const isSettled = async (): Promise<boolean> => {
      const { last_block: last } = await cast.get("pool").status();
      return last === null || last.result !== "pending";
    };
    await this.#expecting("the last block is decided", isSettled, ANSWERS_MS);
    for (const name of roleNames.toReversed()) {
      const code = await cast.get(name).stop();
      if (code !== 0) this.#found([{ code: "no-return", detail: `${name} stopped with exit code ${code}` }]);
    }
    const books: Books = {
      miners: crew.book,
      translator: readTranslatorLog(cast.get("translator").logLines()),
      store: await readStore(cast),
      chain: readChain(cast.chainPath),
      logs: this.#logs(cast),
    };
    this.#audits += 1;
    this.#found(judge(books));
    return books;
  }

  async #expecting(what: string, probe: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
    await until(what, probe, timeoutMs).catch((error: unknown) => {
      this.#found([{ code: "no-return", detail: String(error) }]);
    });
  }

  #logs(cast: Cast): Books["logs"] {
    return readLogs(cast.get("pool").logLines(), cast.get("template-provider").logLines());
  }

  /** The same violation is found again by every audit that follows: it is kept once. */
  #found(violations: readonly Violation[]): void {
    for (const violation of violations) {
      const { code, detail } = violation;
      if (this.#violations.some((known) => known.code === code && known.detail === detail)) continue;
      this.#violations.push(violation);
      this.#say(`VIOLATION ${code}: ${detail}`);
    }
  }

  #tell(crew: Crew): void {
    const acknowledged = [...crew.book.shares.values()].filter((share) => share.acknowledged > 0).length;
    this.#say(
      `${this.#kills.length} kills, ${acknowledged} shares acknowledged, ${this.#violations.length} violations`,
    );
  }
}

const allPlaces: readonly Place[] = ["sv2-tcp", "sv2-iroh", "sv1"];
