import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Skipped } from "./suite.ts";

/** Where a running role listens. */
export interface Listening {
  readonly listeners: readonly {
    readonly transport: string;
    readonly address: string | null;
    readonly ticket: string | null;
  }[];
  readonly authority_public_key: string;
}

const READY_MS = 20_000;
// Not a dependency: the roles are run as an operator runs them, by their command.
const command = fileURLToPath(new URL("../../roles/adit/src/main.ts", import.meta.url));

const common = `monitoring_address = "127.0.0.1:0"
shutdown_timeout_secs = 2
authority_key_path = "authority.key"
listen_address = "127.0.0.1:0"
`;

/** A template provider whose blocks take more work than a benchmark has, and whose templates do not change. */
const templateProviderConfig = `${common}
[embedded]
data_path = "chain"
hashes_per_block = 1e12
template_interval_secs = 86400.0
`;

/** A pool that takes shares at any rate, at a difficulty of two hashes that stays. */
const poolConfig = (provider: Listening): string => `${common}
transport = "dual"
network = "regtest"
coinbase_reward_script = "raw(0014751e76e8199196d454941c45d1b3a323f1433bd6)"
min_hashrate = 0.1
shares_per_minute = 6.0

[limits]
share_rate_factor = 1000000000
share_burst = 1000000000
max_seen_shares_per_channel = 1000000000
job_refresh_secs = 1000000
urgent_job_refresh_secs = 1000000

[iroh]
bind = ["127.0.0.1:0", "[::1]:0"]

[template_provider_type.Sv2Tp]
address = "${provider.listeners[0]?.address}"
public_key = "${provider.authority_public_key}"
`;

/** A pool and its template provider, each in a process and a folder of its own. */
export class PoolProcesses implements AsyncDisposable {
  readonly pool: Listening;
  readonly #children: readonly ChildProcess[];
  readonly #dirs: readonly string[];

  private constructor(pool: Listening, children: readonly ChildProcess[], dirs: readonly string[]) {
    this.pool = pool;
    this.#children = children;
    this.#dirs = dirs;
  }

  /** Starts both. @throws Skipped when there is no such command yet, or a role does not come up. */
  static async start(): Promise<PoolProcesses> {
    if (!existsSync(command)) throw new Skipped(`there is no ${command}`);
    const provider = await startRole("template-provider", templateProviderConfig);
    try {
      const pool = await startRole("pool", poolConfig(provider.ready));
      return new PoolProcesses(pool.ready, [pool.child, provider.child], [pool.dir, provider.dir]);
    } catch (error) {
      await stop([provider.child], [provider.dir]);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#children, this.#dirs);
  }
}

async function startRole(
  name: string,
  config: string,
): Promise<{ child: ChildProcess; dir: string; ready: Listening }> {
  const dir = await mkdtemp(join(tmpdir(), `adit-bench-${name}-`));
  await writeFile(join(dir, "config.toml"), config);
  const child = fork(command, [name, "-c", "config.toml", "-f", "role.log"], {
    cwd: dir,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-2_000);
  });
  const ended = once(child, "exit").then(() => undefined);
  const message = once(child, "message", { signal: AbortSignal.timeout(READY_MS) });
  const ready = await Promise.race([message.catch(() => undefined), ended]);
  if (ready !== undefined) return { child, dir, ready: (ready as [{ details: Listening }])[0].details };
  await stop([child], [dir]);
  throw new Skipped(`${name} did not become ready: ${complaint.trim() || "it said nothing"}`);
}

async function stop(children: readonly ChildProcess[], dirs: readonly string[]): Promise<void> {
  for (const child of children) {
    const exited = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await exited;
    clearTimeout(force);
  }
  for (const dir of dirs) await rm(dir, { recursive: true });
}
