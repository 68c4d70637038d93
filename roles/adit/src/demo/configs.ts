import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type HostPort, parseHostPort } from "@adit/network-helpers";
import { parseTicket } from "@adit/network-helpers/iroh";

/** How many hashes a block of the demo takes on average: some twelve seconds of one JavaScript thread. */
const HASHES_PER_BLOCK = 2 ** 24;
/** What the demo expects of its miner at first, in hashes a second; vardiff corrects it. */
const EXPECTED_HASHRATE = 1_000_000;
const SHARES_PER_MINUTE = 30;
/** A regtest address without a known key: nobody spends the demo's coins. */
const REWARD_SCRIPT = "raw(0014751e76e8199196d454941c45d1b3a323f1433bd6)";

/** A listener as a ready role describes it. */
export interface ReadyListener {
  readonly transport: string;
  readonly address: string | null;
  readonly endpoint_id: string | null;
  readonly ticket: string | null;
}

/** What a ready server role tells its parent. */
export interface ServerDetails {
  readonly listeners: readonly ReadyListener[];
  readonly authority_public_key: string | null;
}

/** Writes the demo's config files, each into its role's own folder, as the roles before it have come up. */
export class DemoConfigs {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async templateProvider(): Promise<string> {
    return await this.#write(
      "template-provider",
      (file) => `${common}
transport = "tcp"
listen_address = "127.0.0.1:0"
authority_key_path = ${file("authority.key")}

[embedded]
data_path = ${file("chain")}
hashes_per_block = ${HASHES_PER_BLOCK}
template_interval_secs = 10
`,
    );
  }

  async pool(templateProvider: ServerDetails): Promise<string> {
    const { host, port } = tcpAddress(templateProvider);
    return await this.#write(
      "pool",
      (file) => `${common}
transport = "dual"
listen_address = "127.0.0.1:0"
authority_key_path = ${file("authority.key")}
network = "regtest"
coinbase_reward_script = "${REWARD_SCRIPT}"
pool_signature = "Adit demo"
shares_per_minute = ${SHARES_PER_MINUTE}
share_batch_size = 4
min_hashrate = 1000.0
share_store_path = ${file("shares.db")}

[iroh]
secret_key_path = ${file("iroh.key")}
bind = ["127.0.0.1:0", "[::1]:0"]

[template_provider_type.Sv2Tp]
address = "${host}:${port}"
public_key = "${templateProvider.authority_public_key}"
`,
    );
  }

  /** The translator knows the pool by its endpoint id and UDP addresses; it is given no TCP address. */
  async translator(pool: ServerDetails): Promise<string> {
    const listener = pool.listeners.find(({ transport }) => transport === "iroh");
    if (listener?.ticket == null) throw new Error("the pool has no Iroh listener; see its log");
    const { addresses } = parseTicket(listener.ticket);
    return await this.#write(
      "translator",
      (file) => `${common}
downstream_address = "127.0.0.1"
downstream_port = 0
aggregate_channels = true

[downstream_difficulty_config]
min_individual_miner_hashrate = ${EXPECTED_HASHRATE}.0
shares_per_minute = ${SHARES_PER_MINUTE}.0

[iroh]
secret_key_path = ${file("iroh.key")}
bind = ["127.0.0.1:0", "[::1]:0"]

[[upstreams]]
transport = "iroh"
endpoint_id = "${listener.endpoint_id}"
direct_addresses = ${JSON.stringify(addresses)}
authority_pubkey = "${pool.authority_public_key}"
user_identity = "demo"
`,
    );
  }

  async miner(translator: { readonly downstream_address: string }): Promise<string> {
    const { host, port } = parseHostPort(translator.downstream_address);
    return await this.#write(
      "mining-device",
      () => `${common}
protocol = "sv1"
address = "${host}"
port = ${port}
user_name = "demo.sv1-miner"
threads = 1
`,
    );
  }

  /** A role's log file. */
  logFile(role: string): string {
    return join(this.#dir, role, `${role}.log`);
  }

  async #write(role: string, text: (file: (name: string) => string) => string): Promise<string> {
    const folder = join(this.#dir, role);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${role}.toml`);
    await writeFile(
      path,
      text((name) => JSON.stringify(join(folder, name))),
    );
    return path;
  }
}

const common = `monitoring_address = "127.0.0.1:0"
shutdown_timeout_secs = 5`;

function tcpAddress(details: ServerDetails): HostPort {
  const listener = details.listeners.find(({ transport }) => transport === "tcp");
  if (listener?.address == null) throw new Error("the template provider has no TCP listener; see its log");
  return parseHostPort(listener.address);
}
