import { parseArgs } from "node:util";
import type { Logger } from "pino";
import type { z } from "zod";
import { ConfigError } from "./config/config-error.ts";
import type { Environment } from "./config/environment.ts";
import type { ProcessSettings } from "./config/fragments.ts";
import { loadConfig } from "./config/load-config.ts";
import type { HttpMethods } from "./http-calls.ts";
import { Lifetime } from "./lifetime.ts";
import { LiveConfig, type ReloadReport } from "./live-config.ts";
import { type LogLevel, openLog } from "./log.ts";
import { type MetricsRegister, metricsRegister } from "./metrics.ts";
import { isLoopback, type Monitoring, serveMonitoring, splitAddress } from "./monitoring.ts";
import type { Operations } from "./operations.ts";
import { version } from "./version.ts";

/** One role: its name, its config schema and its composition root. */
export interface RoleDefinition<C extends ProcessSettings> {
  /** As in the command: `pool`. */
  readonly name: string;
  /** One line for help and the reference page. */
  readonly title: string;
  /** Keys in camelCase; files spell them in snake_case. */
  readonly config: z.ZodType<C>;
  /** Prefix of environment overrides: `POOL`. */
  readonly envPrefix: string;
  /** Opens everything, serves until `context.signal` aborts, drains, closes everything, resolves. */
  run(config: C, context: RoleContext<C>): Promise<void>;
}

/** What a running role, whose config is a `C`, is given. */
export interface RoleContext<C extends ProcessSettings = ProcessSettings> {
  /** Aborts when the role shall drain and stop. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
  /** Wall clock in unix milliseconds. */
  readonly now: () => number;
  /** The role serves from here on. `details` go to the parent process, when there is one. */
  ready(details: Record<string, unknown>): void;
  /** The role cannot serve for now, and why. */
  notReady(reason: string): void;
  /** The document behind `/api/v1/status`, made afresh at each request. */
  setStatus(provider: () => unknown): void;
  /** What the role's operator may ask and do; absent where a role is run without a process of its own. */
  readonly operations?: Operations;
  /** Says which config keys can change while the role runs, and what to do then: see {@link LiveConfig.onReload}. */
  onReload(keys: readonly string[], apply: (config: C) => void): void;
  /** The same for a file that a key names: see {@link LiveConfig.onFileReload}. */
  onFileReload(key: string, refresh: () => Promise<boolean>): void;
  /** Reads the config anew and applies what can change live, as SIGHUP does. Never rejects. */
  reload(): Promise<ReloadReport>;
}

/** The reload of a role that was not started from a config file, as in tests: there is nothing to read anew. */
export const noReload: Pick<RoleContext, "reload" | "onFileReload"> & { onReload(): void } = {
  onReload() {},
  onFileReload() {},
  reload: async () => ({ result: "unchanged", applied: [], needsRestart: [], problems: [] }),
};

/** What the parent process is told, over Node's IPC channel, once a role is ready. */
export interface ReadyMessage {
  readonly type: "ready";
  readonly role: string;
  /** `host:port` of the monitoring server, null when it has none. */
  readonly monitoring: string | null;
  readonly details: Record<string, unknown>;
}

/**
 * Runs a role from its command line until it is told to stop. The first SIGINT or SIGTERM (or the loss of the parent
 * that spawned it) drains; the second quits at once. SIGHUP reads the config file anew.
 *
 * @param argv arguments after the role's name: `-c FILE`, `-f LOGFILE`, `-h`, `-V`.
 * @returns the exit code: 0 after a clean stop, 1 after a fault, 2 for bad arguments or config.
 */
export async function runRole<C extends ProcessSettings>(
  role: RoleDefinition<C>,
  argv: readonly string[],
): Promise<number> {
  const flags = readFlags(role, argv);
  if (typeof flags === "number") return flags;
  const load = (): Promise<C> => loadConfig(role, flags.config, process.env as Environment);
  let config: C;
  try {
    config = await load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  const log = openLog({ role: role.name, level: config.logLevel, file: flags["log-file"] ?? config.logFile });
  return await supervise(role, config, { log, load });
}

/**
 * Runs a program's body and ends the process with the exit code it resolves to, however many handles are still open:
 * after a fault or a drain cut short nothing is left that could close them.
 */
export async function exitAfter(body: Promise<number>): Promise<never> {
  const code = await body;
  await new Promise<void>((resolve) => {
    process.stdout.write("", () => resolve());
  });
  process.exit(code);
}

interface Sources<C> {
  readonly log: Logger;
  readonly load: () => Promise<C>;
}

async function supervise<C extends ProcessSettings>(
  role: RoleDefinition<C>,
  config: C,
  { log, load }: Sources<C>,
): Promise<number> {
  const lifetime = new Lifetime({
    log,
    drainTimeoutMs: config.shutdownTimeoutSecs * 1000,
    immediate: config.shutdown === "immediate",
  });
  try {
    await lifetime.race(serve(role, config, { log, load, lifetime }));
    log.info("stopped");
    return 0;
  } catch (error) {
    if (lifetime.signal.aborted && isStop(error, lifetime.signal)) {
      log.info("stopped while starting");
      return 0;
    }
    log.error({ error }, "stopped by a fault");
    return 1;
  } finally {
    lifetime.end();
  }
}

/** Whether an error only says that work was broken off because the role was told to stop. */
function isStop(error: unknown, signal: AbortSignal): boolean {
  if (error === signal.reason) return true;
  return error instanceof Error && (error.name === "AbortError" || isStop(error.cause, signal));
}

async function serve<C extends ProcessSettings>(
  role: RoleDefinition<C>,
  config: C,
  { log, load, lifetime }: Sources<C> & { readonly lifetime: Lifetime },
): Promise<void> {
  const metrics = metricsRegister();
  const live = new LiveConfig({ schema: role.config, config, load, log, metrics });
  const setLogLevel = logLevelOf(log, live);
  lifetime.onHangup(() => void live.reload());
  let reason: string | null = "starting";
  let status: (() => unknown) | undefined;
  let methods: HttpMethods | undefined;
  const startedAt = performance.now();
  await using monitoring = await openMonitoring(config, log, {
    role: role.name,
    version,
    metrics,
    notReadyReason: () => reason,
    status: () => status?.(),
    methods: () => methods,
  });
  const address = monitoring?.address ?? null;
  log.info({ version, monitoring: address }, "starting");
  await role.run(config, {
    signal: lifetime.signal,
    log,
    metrics,
    now: () => Date.now(),
    ready(details) {
      reason = null;
      log.info(details, "ready");
      lifetime.tellParent({ type: "ready", role: role.name, monitoring: address, details } satisfies ReadyMessage);
    },
    notReady(why) {
      if (reason !== why) log.warn({ reason: why }, "not ready");
      reason = why;
    },
    setStatus(provider) {
      status = provider;
    },
    operations: {
      role: role.name,
      version,
      uptimeSecs: () => Math.floor((performance.now() - startedAt) / 1000),
      notReadyReason: () => reason,
      status: () => status?.(),
      drain: (why) => lifetime.drain(why),
      setLogLevel,
      serveHttp(served) {
        methods = served;
      },
    },
    onReload: (keys, apply) => live.onReload(keys, apply),
    onFileReload: (key, refresh) => live.onFileReload(key, refresh),
    reload: () => live.reload(),
  });
}

/** The one owner of the log's level: what an operator sets and what a config says are one value. */
function logLevelOf<C extends ProcessSettings>(log: Logger, live: LiveConfig<C>): Operations["setLogLevel"] {
  live.onReload(["log_level"], ({ logLevel }) => {
    log.level = logLevel;
  });
  return (level) => {
    const before = log.level as LogLevel;
    log.level = level;
    live.tookOver("log_level", level);
    return before;
  };
}

async function openMonitoring(
  config: ProcessSettings,
  log: Logger,
  sources: Parameters<typeof serveMonitoring>[1],
): Promise<Monitoring | undefined> {
  if (config.monitoringAddress === undefined) return undefined;
  const { host } = splitAddress(config.monitoringAddress);
  if (!isLoopback(host))
    log.warn({ address: config.monitoringAddress }, "monitoring has no authentication and listens beyond this machine");
  return await serveMonitoring(config.monitoringAddress, sources);
}

function readFlags(role: { name: string; title: string }, argv: readonly string[]): Flags | number {
  try {
    const { values } = parseArgs({ args: [...argv], options: flagOptions, strict: true });
    if (values.help === true) return say(helpText(role));
    if (values.version === true) return say(`${version}\n`);
    return { config: values.config, "log-file": values["log-file"] };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${helpText(role)}`);
    return 2;
  }
}

interface Flags {
  readonly config: string | undefined;
  readonly "log-file": string | undefined;
}

const flagOptions = {
  config: { type: "string", short: "c" },
  "log-file": { type: "string", short: "f" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const;

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function helpText({ name, title }: { name: string; title: string }): string {
  return `adit ${name}: ${title}

  -c, --config FILE    the TOML file to run from (docs/reference/${name}-config.md lists its keys)
  -f, --log-file FILE  append log lines to this file instead of standard output
  -h, --help           show this
  -V, --version        show the version

SIGHUP reads FILE anew, applies what can change live and names what cannot. SIGINT or SIGTERM drains.
`;
}
