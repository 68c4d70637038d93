import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type MetricsRegister,
  metricsRegister,
  noReload,
  openLog,
  parseConfig,
  type RoleContext,
} from "@adit/role-kit";
import { templateProviderRole } from "../role.ts";
import type { TemplateProviderStatus } from "../status.ts";

/** A folder that is gone when its owner is. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "adit-tp-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The role in this process, as `runRole` would run it. */
export interface RunningRole extends AsyncDisposable {
  /** Tells the role to stop, and resolves when it has; rejects when it ends by a fault. */
  stop(): Promise<void>;
  /** What the role told its parent. */
  readonly details: Record<string, unknown>;
  readonly metrics: MetricsRegister;
  status(): TemplateProviderStatus;
  /** Rejects when the role ends by a fault. */
  readonly ended: Promise<void>;
}

/** Lines of a config that a test adds. */
export interface ConfigLines {
  /** Before the `[embedded]` table. */
  readonly top?: readonly string[];
  /** In the `[embedded]` table. */
  readonly embedded?: readonly string[];
  /** In place of the `[embedded]` table: another backend's. */
  readonly backend?: readonly string[];
}

/** Starts the role in `folder` and waits until it is ready. */
export async function startRole(folder: string, lines: ConfigLines = {}): Promise<RunningRole> {
  const text = [
    'listen_address = "127.0.0.1:0"',
    `authority_key_path = "${folder}/authority.key"`,
    ...(lines.top ?? []),
    ...(lines.backend ?? [
      "[embedded]",
      `data_path = "${folder}/chain"`,
      ...(lines.embedded ?? ["hashes_per_block = 16"]),
    ]),
  ].join("\n");
  const config = parseConfig(templateProviderRole, { text, file: "test", env: {} });
  const stop = new AbortController();
  const metrics = metricsRegister();
  let status: () => unknown = () => undefined;
  let onReady: (details: Record<string, unknown>) => void = () => {};
  const ready = new Promise<Record<string, unknown>>((resolve) => {
    onReady = resolve;
  });
  const context: RoleContext<never> = {
    signal: stop.signal,
    log: openLog({ role: "template-provider", level: "debug", file: join(folder, "log") }),
    metrics,
    now: () => Date.now(),
    ready: (details) => onReady(details),
    notReady: () => {},
    ...noReload,
    setStatus: (provider) => {
      status = provider;
    },
  };
  const ended = templateProviderRole.run(config, context);
  ended.catch(() => {});
  const details = await Promise.race([ready, ended.then(() => Promise.reject(new Error("ended before it was ready")))]);
  return {
    details,
    metrics,
    ended,
    status: () => status() as TemplateProviderStatus,
    stop: async () => {
      stop.abort();
      await ended;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended.catch(() => {});
    },
  };
}
