import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReadyMessage } from "@adit/role-kit";
import { DemoConfigs, type ServerDetails } from "./configs.ts";
import { RoleProcess } from "./role-process.ts";
import { openScreen, type Screen } from "./screen.ts";
import { type RoleStatus, resultOf, type Snapshot } from "./snapshot.ts";

/** What the demo was asked for. */
export interface DemoOptions {
  /** Ends after this many blocks of its own miner; runs on when undefined. */
  readonly blocks: number | undefined;
  /** Gives up after this long. */
  readonly timeoutSecs: number | undefined;
  /** Prints the result as one JSON object in the last line. */
  readonly json: boolean;
  /** Folder for configs, keys, chain, shares and logs. */
  readonly dir: string;
}

const POLL_MS = 1000;
const START_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 8_000;

/** Runs the demo until it has its blocks, is interrupted, or fails. @returns the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const interrupted = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => interrupted.abort(signal);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  const demo = new Demo(options, interrupted.signal);
  try {
    return await demo.run();
  } catch (error) {
    if (!interrupted.signal.aborted)
      process.stderr.write(`adit demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return interrupted.signal.aborted ? 130 : 1;
  } finally {
    await demo.stop();
    if (options.json) process.stdout.write(`${JSON.stringify(demo.result())}\n`);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, onSignal);
  }
}

interface Running {
  readonly process: RoleProcess;
  monitoring: string | null;
  status: RoleStatus;
}

class Demo {
  readonly #options: DemoOptions;
  readonly #signal: AbortSignal;
  readonly #running: Running[] = [];
  readonly #started: number = performance.now();
  #stopping = false;

  constructor(options: DemoOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<number> {
    const dir = resolve(this.#options.dir);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    using screen = openScreen(process.stdout);
    screen.note(`starting the roles; their configs, keys and logs are in ${dir}`);
    const starting = this.#startAll(new DemoConfigs(dir));
    const watching = this.#watch(screen);
    await Promise.race([watching, starting.then(() => watching)]);
    return 0;
  }

  /** Ends every role, miner first, so that each still has its upstream while it drains. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { process } of this.#running.toReversed()) await process.stop(STOP_GRACE_MS);
  }

  result(): ReturnType<typeof resultOf> {
    return resultOf(this.#snapshot());
  }

  async #startAll(configs: DemoConfigs): Promise<void> {
    const templateProvider = await this.#start("template-provider", configs, configs.templateProvider());
    const pool = await this.#start("pool", configs, configs.pool(templateProvider.details as unknown as ServerDetails));
    const translator = await this.#start(
      "translator",
      configs,
      configs.translator(pool.details as unknown as ServerDetails),
    );
    await this.#start("mining-device", configs, configs.miner(translator.details as { downstream_address: string }));
  }

  async #start(name: string, configs: DemoConfigs, config: Promise<string>): Promise<ReadyMessage> {
    const files = { config: await config, log: configs.logFile(name) };
    // What starts now would be started behind the back of `stop`.
    if (this.#stopping) throw new Error(`${name} is not started: the demo stops`);
    const process = new RoleProcess(name, files);
    const running: Running = { process, monitoring: null, status: {} };
    this.#running.push(running);
    const message = await process.ready(AbortSignal.any([this.#signal, AbortSignal.timeout(START_TIMEOUT_MS)]));
    running.monitoring = message.monitoring;
    return message;
  }

  /** Resolves when the demo is done. @throws Error when time runs out, a role has died or the demo was interrupted. */
  async #watch(screen: Screen): Promise<void> {
    for (;;) {
      await Promise.all(this.#running.map(poll));
      const snapshot = this.#snapshot();
      screen.show(snapshot);
      if (this.#options.blocks !== undefined && resultOf(snapshot).blocks >= this.#options.blocks) return;
      await this.#checkRoles();
      const { timeoutSecs } = this.#options;
      if (timeoutSecs !== undefined && snapshot.seconds > timeoutSecs)
        throw new Error(`not done after ${timeoutSecs} s`);
      await sleep(POLL_MS, undefined, { signal: this.#signal });
    }
  }

  async #checkRoles(): Promise<void> {
    for (const { process } of this.#running) {
      if (process.state !== "ended") continue;
      const { code, signal } = await process.ended;
      throw new Error(`${process.name} ended (${signal ?? `exit code ${code}`}); see ${process.logFile}`);
    }
  }

  #snapshot(): Snapshot {
    const seconds = Math.round((performance.now() - this.#started) / 100) / 10;
    return {
      seconds,
      roles: this.#running.map(({ process, status }) => ({ name: process.name, state: process.state, status })),
    };
  }
}

/** Reads a role's status; one that does not answer keeps its last. */
async function poll(running: Running): Promise<void> {
  if (running.monitoring === null || running.process.state === "ended") return;
  try {
    const response = await fetch(`http://${running.monitoring}/api/v1/status`, {
      signal: AbortSignal.timeout(POLL_MS),
    });
    running.status = (await response.json()) as RoleStatus;
  } catch {
    // The next poll tells more; a role that has died is found by its process.
  }
}
