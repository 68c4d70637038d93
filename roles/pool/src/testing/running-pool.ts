import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestMiner } from "@adit/mining-shell/testing";
import { alpns, IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { metricsRegister, noReload, openLog, parseConfig, type RoleContext, statusJson } from "@adit/role-kit";
import { openSqliteStore } from "@adit/share-store";
import { type PoolSurroundings, poolRole, runPool } from "../role.ts";

/** A folder of its own for a test's files, removed at the end. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "adit-pool-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** How a pool for a test differs from the plainest one. */
export interface PoolOptions {
  readonly folder: string;
  readonly templatePort: number;
  readonly transport?: "tcp" | "iroh" | "dual";
  /** H/s of the lowest difficulty: at 60 shares a minute as many hashes go into one share. */
  readonly minHashrate?: number;
  /** More lines for the top of its config. */
  readonly top?: string;
  /** More lines for its `[limits]`. */
  readonly limits?: string;
  readonly surroundings?: Partial<PoolSurroundings>;
}

/** The config file. */
export function poolToml(options: PoolOptions): string {
  const { folder, templatePort, transport = "tcp", minHashrate = 64, top = "", limits = "" } = options;
  return `
transport = "${transport}"
listen_address = "127.0.0.1:0"
authority_key_path = "${folder}/authority.key"
network = "regtest"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
min_hashrate = ${minHashrate}
shares_per_minute = 60
share_store_path = "${folder}/shares.db"
log_level = "error"
${top}
[iroh]
secret_key_path = "${folder}/iroh.key"
relay = "disabled"
bind = ["127.0.0.1:0", "[::1]:0"]
[limits]
share_burst = 5000
${limits}
[template_provider_type.Sv2Tp]
address = "127.0.0.1:${templatePort}"
encryption = "plain"
`;
}

/** A pool in this process, over real sockets, from its config file on. */
export class RunningPool implements AsyncDisposable {
  readonly metrics = metricsRegister();
  /** Every change of readiness: null for ready, else the reason why not. */
  readonly readiness: (string | null)[] = [];
  readonly stopped: Promise<void>;
  readonly #stop = new AbortController();
  #details: Record<string, unknown> = {};
  #status: () => unknown = () => undefined;
  #waiting: (() => void)[] = [];

  constructor(options: PoolOptions) {
    const config = parseConfig(poolRole, { text: poolToml(options), file: "test", env: {} });
    const context: RoleContext<never> = {
      signal: this.#stop.signal,
      log: openLog({ role: "pool", level: config.logLevel, file: `${options.folder}/pool.log` }),
      metrics: this.metrics,
      now: () => Date.now(),
      ready: (details) => {
        this.#details = details;
        this.#note(null);
      },
      notReady: (reason) => this.#note(reason),
      ...noReload,
      setStatus: (provider) => {
        this.#status = provider;
      },
    };
    this.stopped = runPool(config, context, {
      openStore: openSqliteStore,
      extranonceStart: () => 0,
      ...options.surroundings,
    });
    this.stopped.catch(() => {});
  }

  static async ready(options: PoolOptions): Promise<RunningPool> {
    const pool = new RunningPool(options);
    await Promise.race([pool.untilReady(), pool.stopped]);
    return pool;
  }

  get isReady(): boolean {
    return this.readiness.at(-1) === null;
  }

  get authority(): string {
    return String(this.#details["authority_public_key"]);
  }

  get port(): number {
    const address = String(this.#listener("tcp")["address"]);
    return Number(address.slice(address.lastIndexOf(":") + 1));
  }

  get ticket(): string {
    return String(this.#details["ticket"]);
  }

  async untilReady(): Promise<void> {
    while (!this.isReady) await this.readinessChange();
  }

  async untilNotReady(): Promise<void> {
    while (this.isReady) await this.readinessChange();
  }

  /** Resolves at the next change of readiness. */
  async readinessChange(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The status document, as over HTTP. */
  status(): Record<string, unknown> {
    return JSON.parse(statusJson(this.#status())) as Record<string, unknown>;
  }

  /** A miner over TCP. */
  async miner(options: { flags?: number; workers?: boolean } = {}): Promise<TestMiner> {
    const stream = await tcp().dial(`127.0.0.1:${this.port}`, { signal: AbortSignal.timeout(5000) });
    return await TestMiner.over(stream, { authority: this.authority, ...options });
  }

  /** A miner over Iroh, from a node of its own. */
  async irohMiner(node: IrohNodeManager, options: { flags?: number } = {}): Promise<TestMiner> {
    const stream = await node.transport(alpns.mining.noise).dial(this.ticket, { signal: AbortSignal.timeout(10_000) });
    return await TestMiner.over(stream, { authority: this.authority, ...options });
  }

  /** Drains and stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.stopped;
  }

  #listener(transport: string): Record<string, unknown> {
    const listeners = this.#details["listeners"] as readonly Record<string, unknown>[];
    return listeners.find((listener) => listener["transport"] === transport) ?? {};
  }

  #note(change: string | null): void {
    this.readiness.push(change);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** An Iroh node on loopback, of a new identity. */
export async function loopbackNode(): Promise<IrohNodeManager> {
  return await IrohNodeManager.start({
    env: {},
    relay: "disabled",
    bind: ["127.0.0.1:0", "[::1]:0"],
    allowedPeers: [],
    maxConnectionsPerPeer: 8,
    signal: new AbortController().signal,
  });
}
