import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestMiner } from "@adit/mining-shell/testing";
import { tcp } from "@adit/network-helpers/tcp";
import { metricsRegister, noReload, openLog, parseConfig, type RoleContext, statusJson } from "@adit/role-kit";
import { jdClientRole } from "../role.ts";

/** A folder of its own for a test's files, removed at the end. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "adit-jd-client-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** How a jd-client for a test is configured. */
export interface ClientOptions {
  readonly folder: string;
  readonly templatePort: number;
  readonly mode?: "FULLTEMPLATE" | "COINBASEONLY" | "SOLOMINING";
  /** Ports of each upstream's pool and job declarator. */
  readonly upstreams?: readonly (readonly [number, number])[];
  /** More lines for the top of the config. */
  readonly top?: string;
}

/** The config file. */
function clientToml({ folder, templatePort, mode = "FULLTEMPLATE", upstreams = [], top = "" }: ClientOptions): string {
  const entries = upstreams.map(
    ([pool, jds]) => `
[[upstreams]]
user_identity = "alice"
[upstreams.pool]
address = "127.0.0.1"
port = ${pool}
encryption = "plain"
[upstreams.jds]
address = "127.0.0.1"
port = ${jds}
encryption = "plain"
`,
  );
  return `
listening_address = "127.0.0.1:0"
authority_key_path = "${folder}/authority.key"
network = "regtest"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
mode = "${mode}"
min_hashrate = 64
shares_per_minute = 60
log_level = "error"
${top}
[limits]
share_burst = 5000
[template_provider_type.Sv2Tp]
address = "127.0.0.1:${templatePort}"
encryption = "plain"
${entries.join("")}`;
}

/** A jd-client in this process, over real sockets, from its config file on. */
export class RunningClient implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #stopped: Promise<void>;
  readonly #metrics = metricsRegister();
  readonly #options: ClientOptions;
  readonly #live = new Map<string, (config: never) => void>();
  #details: Record<string, unknown> = {};
  #status: () => unknown = () => undefined;
  #waiting: (() => void)[] = [];

  private constructor(options: ClientOptions) {
    this.#options = options;
    const config = parseConfig(jdClientRole, { text: clientToml(options), file: "test", env: {} });
    const context: RoleContext<never> = {
      signal: this.#stop.signal,
      log: openLog({ role: "jd-client", level: config.logLevel, file: `${options.folder}/jd-client.log` }),
      metrics: this.#metrics,
      now: () => Date.now(),
      ready: (details) => {
        this.#details = details;
        for (const resolve of this.#waiting.splice(0)) resolve();
      },
      notReady: () => {},
      ...noReload,
      onReload: (keys, apply: (config: never) => void) => {
        for (const key of keys) this.#live.set(key, apply);
      },
      setStatus: (provider) => {
        this.#status = provider;
      },
    };
    this.#stopped = jdClientRole.run(config, context);
    this.#stopped.catch(() => {});
  }

  static async ready(options: ClientOptions): Promise<RunningClient> {
    const client = new RunningClient(options);
    await Promise.race([new Promise<void>((resolve) => client.#waiting.push(resolve)), client.#stopped]);
    return client;
  }

  /** The status document, as over HTTP. */
  status(): Record<string, unknown> {
    return JSON.parse(statusJson(this.#status())) as Record<string, unknown>;
  }

  /** Takes over another config's upstreams, as a reload does. Throws what the role says against them. */
  setUpstreams(changes: Pick<ClientOptions, "upstreams" | "mode">): void {
    const text = clientToml({ ...this.#options, ...changes });
    const config = parseConfig(jdClientRole, { text, file: "test", env: {} });
    this.#live.get("upstreams")?.(config as never);
  }

  /** The metrics page. */
  async metrics(): Promise<string> {
    return (await this.#metrics.expose()).body;
  }

  /** A miner over TCP. */
  async miner(): Promise<TestMiner> {
    const [listener] = this.#details["listeners"] as readonly Record<string, unknown>[];
    const stream = await tcp().dial(String(listener?.["address"]), { signal: AbortSignal.timeout(5000) });
    return await TestMiner.over(stream, { authority: String(this.#details["authority_public_key"]), workers: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#stopped;
  }
}
