import { mkdtemp, readFile, rm } from "node:fs/promises";
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
import { jdServerRole } from "../role.ts";

/** A folder that is gone when its owner is. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "adit-jds-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The role in this process, as `runRole` would run it. */
export interface RunningRole extends AsyncDisposable {
  /** Tells the role to stop, and resolves when it has; rejects when it ends by a fault. */
  stop(): Promise<void>;
  /** What the role told its parent. */
  readonly details: ReadyDetails;
  readonly metrics: MetricsRegister;
  status(): Record<string, unknown>;
  /** Texts of the log so far. */
  log(): Promise<readonly string[]>;
}

/** What a test uses of the role's word that it is ready. */
export interface ReadyDetails {
  readonly authority_public_key: string;
  readonly ticket: string | null;
  readonly listeners: readonly { readonly transport: string; readonly address: string }[];
}

/** Starts the role in `folder` with the node at `nodeUrl`, and waits until it is ready. `top` goes before the first table. */
export async function startRole(folder: string, nodeUrl: string, top: readonly string[] = []): Promise<RunningRole> {
  const text = [
    'listen_address = "127.0.0.1:0"',
    `authority_key_path = "${folder}/authority.key"`,
    'network = "regtest"',
    'coinbase_reward_script = "raw(0014b1a5b1a5b1a5b1a5b1a5b1a5b1a5b1a5b1a5b1a5)"',
    ...top,
    "[iroh]",
    `secret_key_path = "${folder}/iroh.key"`,
    'bind = ["127.0.0.1:0"]',
    "[bitcoin_node]",
    `data_path = "${folder}"`,
    "poll_interval_secs = 0.05",
    "[[bitcoin_node.nodes]]",
    `core_rpc_url = "${nodeUrl}"`,
    'core_rpc_user = "user"',
    'core_rpc_pass = "secret"',
  ].join("\n");
  const config = parseConfig(jdServerRole, { text, file: "test", env: {} });
  const stop = new AbortController();
  const metrics = metricsRegister();
  let status: () => unknown = () => undefined;
  let onReady: (details: ReadyDetails) => void = () => {};
  const ready = new Promise<ReadyDetails>((resolve) => {
    onReady = resolve;
  });
  const context: RoleContext<never> = {
    signal: stop.signal,
    log: openLog({ role: "jd-server", level: "debug", file: join(folder, "log") }),
    metrics,
    now: () => Date.now(),
    ready: (details) => onReady(details as unknown as ReadyDetails),
    notReady: () => {},
    ...noReload,
    setStatus: (provider) => {
      status = provider;
    },
  };
  const ended = jdServerRole.run(config, context);
  ended.catch(() => {});
  const details = await Promise.race([ready, ended.then(() => Promise.reject(new Error("ended before it was ready")))]);
  return {
    details,
    metrics,
    status: () => status() as Record<string, unknown>,
    log: async () => {
      const lines = (await readFile(join(folder, "log"), "utf8")).trim().split("\n");
      return lines.map((line) => (JSON.parse(line) as { readonly msg: string }).msg);
    },
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
