import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ReadyMessage } from "@adit/role-kit";
import { fetchFrom, type Place } from "./place.ts";
import type { RoleStatus } from "./status.ts";
import { until } from "./until.ts";

/** Root of the repository. */
export const root: string = fileURLToPath(new URL("../../..", import.meta.url));
/** What `node` is given to run the command `adit` from its source. */
export const sourceFlags: readonly string[] = ["--conditions=@adit/source", "--import", "tsx"];
/** The command `adit`. */
export const aditMain: string = fileURLToPath(new URL("../../../roles/adit/src/main.ts", import.meta.url));

/** A listener as a ready role describes it. */
export interface ReadyListener {
  readonly transport: string;
  readonly address: string;
  readonly endpoint_id: string | null;
  readonly ticket: string | null;
}

/** What ready roles tell their parent, as far as the scenarios read it. */
export interface ReadyDetails {
  readonly listeners: readonly ReadyListener[];
  readonly authority_public_key: string;
  readonly endpoint_id: string | null;
  /** Translator. */
  readonly downstream_address: string;
  /** Template provider whose embedded chain is a node, too. */
  readonly rpc_address: string;
  /** Pool with a job-declarator server inside. */
  readonly jds: { readonly listeners: readonly ReadyListener[] } | null;
}

/** A line of a role's log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const START_MS = 60_000;
const STOP_MS = 20_000;

/** How a role's process is run. */
export interface RoleProcess {
  readonly config: string;
  readonly log: string;
  /** Modules that the process loads first. */
  readonly preload?: readonly string[];
  /** This machine's own network unless told. */
  readonly place?: Place | undefined;
}

/** One role in a process of its own, run from its source like the command `adit ROLE -c FILE -f LOG`. */
export class TestRole {
  readonly name: string;
  readonly logFile: string;
  readonly #configFile: string;
  readonly #child: ChildProcess;
  readonly #place: Place | undefined;
  readonly #ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  #ready: ReadyMessage | undefined;
  #complaint = "";
  #isRunning = true;

  constructor(name: string, { config, log, preload = [], place }: RoleProcess) {
    this.name = name;
    this.logFile = log;
    this.#configFile = config;
    this.#place = place;
    const [execPath, ...before] = [...(place?.prefix ?? []), process.execPath];
    this.#child = fork(aditMain, [name, "-c", config, "-f", log], {
      cwd: root,
      execPath,
      execArgv: [...before, ...sourceFlags, ...preload.flatMap((module) => ["--import", module])],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-4096);
    });
    this.#child.on("message", (message) => {
      this.#ready = message as ReadyMessage;
    });
    this.#ended = once(this.#child, "exit").then(([code, signal]) => {
      this.#isRunning = false;
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Resolves when the role has ended by itself: to its exit code, null when a signal ended it. */
  async exited(): Promise<number | null> {
    return (await this.#ended).code;
  }

  /** What the role said when it was ready last. */
  get details(): ReadyDetails {
    return (this.#ready?.details ?? {}) as unknown as ReadyDetails;
  }

  /** The listener of one transport. */
  listener(transport: "tcp" | "iroh"): ReadyListener {
    const found = this.details.listeners.find((listener) => listener.transport === transport);
    if (found === undefined) throw new Error(`${this.name} does not listen on ${transport}`);
    return found;
  }

  /** Resolves when the role serves. Rejects when it ends before. */
  async ready(): Promise<this> {
    await until(`${this.name} is ready`, () => this.#ready !== undefined || !this.#isRunning, START_MS);
    if (this.#ready === undefined) throw new Error(`${this.name} ended: ${this.#complaint}\n${this.log()}`);
    return this;
  }

  /** The status document. */
  async status(): Promise<RoleStatus> {
    return (await (await this.#monitor("/api/v1/status")).json()) as RoleStatus;
  }

  /** Why the role is not ready, as whoever asks for its readiness is told; null while it is. */
  async trouble(): Promise<string | null> {
    const { reason = null } = (await (await this.#monitor("/api/v1/ready")).json()) as { readonly reason?: string };
    return reason;
  }

  /** The metrics page. */
  async metrics(): Promise<string> {
    return await (await this.#monitor("/metrics")).text();
  }

  /** One sample of the metrics page by its whole name, labels included; 0 where nothing was counted. */
  async sample(name: string): Promise<number> {
    const line = (await this.metrics()).split("\n").find((one) => one.startsWith(`${name} `));
    return Number(line?.split(" ").at(-1) ?? 0);
  }

  /** Status code of the monitoring's answer to a path. */
  async answers(path: string): Promise<number> {
    return (await this.#monitor(path)).status;
  }

  /** Everything logged so far. */
  log(): string {
    try {
      return readFileSync(this.logFile, "utf8");
    } catch {
      return "";
    }
  }

  /** The lines logged so far. */
  logLines(): readonly LogLine[] {
    const lines = this.log().split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as LogLine);
  }

  /** Resolves to the first line behind the first `from` characters of the log that matches. */
  async logged(pattern: RegExp, from = 0): Promise<string> {
    const found = (): string | undefined =>
      this.log()
        .slice(from)
        .split("\n")
        .find((line) => pattern.test(line));
    return await until(`${this.name} logs ${pattern}`, found, 20_000);
  }

  /** Writes the config anew by `change` and has the role read it; resolves to everything it logs until it answers. */
  async reload(change: (toml: string) => string): Promise<string> {
    writeFileSync(this.#configFile, change(readFileSync(this.#configFile, "utf8")));
    const from = this.log().length;
    this.#child.kill("SIGHUP");
    await this.logged(/config reloaded|config refused/, from);
    return this.log().slice(from);
  }

  /** Ends the process without a word, as a crash does. */
  async crash(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Asks the role to drain. Resolves to its exit code; a role that does not stop is killed and has none. */
  async stop(): Promise<number | null> {
    this.#child.kill("SIGTERM");
    const force = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    const { code } = await this.#ended;
    clearTimeout(force);
    return code;
  }

  /** `host:port` of the monitoring. */
  get monitoringAddress(): string {
    return String(this.#ready?.monitoring ?? this.logLines()[0]?.["monitoring"]);
  }

  async #monitor(path: string): Promise<Response> {
    const address = `http://${this.monitoringAddress}${path}`;
    const signal = AbortSignal.timeout(10_000);
    if (this.#place !== undefined) return await fetchFrom(this.#place, address, signal);
    return await fetch(address, { signal });
  }
}
