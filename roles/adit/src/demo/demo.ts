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
  /** Has the miner choose its transactions: adds its own template provider and a jd-client. */
  readonly withJd: boolean;
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
    const { withJd } = this.#options;
    const start = async (role: string, config: Promise<string>, as?: string): Promise<ServerDetails> =>
      (await this.#start(configs, config, { role, as })).details as unknown as ServerDetails;
    const templateProvider = await start("template-provider", configs.templateProvider(withJd));
    const pool = await start("pool", configs.pool(templateProvider, withJd));
    let upstream: Parameters<DemoConfigs["translator"]>[0] = { pool };
    if (withJd) {
      const ownConfig = configs.minersTemplateProvider(templateProvider);
      const own = await start("template-provider", ownConfig, "miner-template-provider");
      upstream = { jdClient: await start("jd-client", configs.jdClient({ pool, templateProvider: own })) };
    }
    const translator = await start("translator", configs.translator(upstream));
    await start("mining-device", configs.miner(translator as unknown as { downstream_address: string }));
  }

  async #start(
    configs: DemoConfigs,
    config: Promise<string>,
    { role, as: name = role }: { readonly role: string; readonly as?: string | undefined },
  ): Promise<ReadyMessage> {
    const files = { config: await config, log: configs.logFile(name) };
    // What starts now would be started behind the back of `stop`.
    if (this.#stopping) throw new Error(`${name} is not started: the demo stops`);
    const process = new RoleProcess({ name, role }, files);
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
