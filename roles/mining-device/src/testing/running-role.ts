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
import { miningDeviceRole } from "../role.ts";

/** A folder that is gone when its owner is. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "adit-miner-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** What the tests read of the role's status document. */
export interface DeviceStatus {
  readonly hashrate: number;
  readonly shares_submitted: number;
  readonly shares_accepted: number;
  readonly shares_rejected: number;
  readonly shares_lost: number;
  readonly shares_lost_by_reason: Readonly<Record<string, number>>;
  readonly connections_by_state: Readonly<Record<string, number>>;
  readonly connections: readonly Readonly<Record<string, unknown>>[];
}

/** The role in this process, as `runRole` would run it. */
export interface RunningRole extends AsyncDisposable {
  /** Readiness over time: `ready` or the reason against it. */
  readonly readiness: readonly string[];
  readonly metrics: MetricsRegister;
  status(): DeviceStatus;
  /** Settles when the role ends. */
  readonly ended: Promise<void>;
}

/** Starts the role in `folder` with the lines of a config. */
export function startRole(folder: string, lines: readonly string[]): RunningRole {
  const text = [...lines, "[iroh]", `secret_key_path = "${folder}/miner.key"`, 'bind = ["127.0.0.1:0"]'].join("\n");
  const config = parseConfig(miningDeviceRole, { text, file: "test", env: {} });
  const stop = new AbortController();
  const metrics = metricsRegister();
  const readiness: string[] = [];
  let status: () => unknown = () => undefined;
  const context: RoleContext<never> = {
    signal: stop.signal,
    log: openLog({ role: "mining-device", level: "debug", file: join(folder, "log") }),
    metrics,
    now: () => Date.now(),
    ready: () => readiness.push("ready"),
    notReady: (reason) => readiness.push(reason),
    ...noReload,
    setStatus: (provider) => {
      status = provider;
    },
  };
  const ended = miningDeviceRole.run(config, context);
  ended.catch(() => {});
  return {
    readiness,
    metrics,
    ended,
    status: () => status() as DeviceStatus,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
    },
  };
}
