import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { roles } from "@adit/adit";
import {
  metricsRegister,
  noReload,
  openLog,
  type ProcessSettings,
  parseConfig,
  type RoleContext,
  type RoleDefinition,
  statusJson,
} from "@adit/role-kit";
import type { RoleStatus } from "./status.ts";
import type { ReadyDetails, ReadyListener } from "./test-role.ts";
import { until } from "./until.ts";

/** Characters of a log that a failure shows. */
const LOG_TAIL = 3000;

/** A role run in this process as `runRole` would run it, for scenarios that need dozens of them. */
export class RoleInProcess implements AsyncDisposable {
  /** Readiness over time: `ready`, or the reason against it. */
  readonly readiness: string[] = [];
  readonly #folder: string;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #details: Record<string, unknown> = {};
  #status: () => unknown = () => ({});

  private constructor(role: RoleDefinition<ProcessSettings>, folder: string, toml: string) {
    this.#folder = folder;
    const config = parseConfig(role, { text: toml, file: "e2e", env: {} });
    const context: RoleContext<never> = {
      signal: this.#stop.signal,
      log: openLog({ role: role.name, level: "debug", file: this.#logFile }),
      metrics: metricsRegister(),
      now: () => Date.now(),
      ready: (details) => {
        this.#details = details;
        this.readiness.push("ready");
      },
      notReady: (reason) => void this.readiness.push(reason),
      ...noReload,
      setStatus: (provider) => {
        this.#status = provider;
      },
    };
    this.#ended = role.run(config, context);
    this.#ended.catch((error: unknown) => void this.readiness.push(`ended: ${String(error)}`));
  }

  /** Starts a role in a folder of its own, which `toml` is told. */
  static async start(name: string, toml: (folder: string) => string): Promise<RoleInProcess> {
    // The command's list says less of a role than there is to it.
    const role = roles.find((one) => one.name === name) as unknown as RoleDefinition<ProcessSettings>;
    const folder = await mkdtemp(join(tmpdir(), "adit-e2e-"));
    return new RoleInProcess(role, folder, toml(folder));
  }

  /** What the role said when it was ready last. */
  get details(): ReadyDetails {
    return this.#details as unknown as ReadyDetails;
  }

  /** Whether the role serves. */
  get isReady(): boolean {
    return this.readiness.at(-1) === "ready";
  }

  /** The listener of one transport. */
  listener(transport: "tcp" | "iroh"): ReadyListener {
    const found = this.details.listeners.find((listener) => listener.transport === transport);
    if (found === undefined) throw new Error(`nobody listens on ${transport}`);
    return found;
  }

  status(): RoleStatus {
    return JSON.parse(statusJson(this.#status())) as RoleStatus;
  }

  log(): string {
    try {
      return readFileSync(this.#logFile, "utf8");
    } catch {
      return "";
    }
  }

  /** Resolves to the first line of the log that matches. */
  async logged(pattern: RegExp, timeoutMs = 60_000): Promise<string> {
    const found = (): string | undefined =>
      this.log()
        .split("\n")
        .find((line) => pattern.test(line));
    try {
      return await until(`a log line ${pattern}`, found, timeoutMs);
    } catch (cause) {
      throw new Error(`no log line ${pattern}; the log ends:\n${this.log().slice(-LOG_TAIL)}`, { cause });
    }
  }

  /** Drains and stops. Rejects when the role has failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    try {
      await this.#ended;
    } finally {
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  get #logFile(): string {
    return join(this.#folder, "role.log");
  }
}
