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
  /** Template provider whose embedded chain is a node for others. */
  readonly rpc_address?: string | null;
  /** Pool with a job-declarator server inside. */
  readonly jds?: { readonly listeners: readonly ReadyListener[] } | null;
}

/** What the miner's side of a demo with job declaration mines for. */
export interface JdClientSites {
  readonly pool: ServerDetails;
  readonly templateProvider: ServerDetails;
}

/** Writes the demo's config files, each into its role's own folder, as the roles before it have come up. */
export class DemoConfigs {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** `asNode`: its chain also answers as a Bitcoin node does. */
  async templateProvider(asNode: boolean): Promise<string> {
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
${asNode ? 'rpc_listen_address = "127.0.0.1:0"' : ""}
`,
    );
  }

  /** The miner's own template provider, on the chain of the other as on a Bitcoin node. */
  async minersTemplateProvider(chain: ServerDetails): Promise<string> {
    return await this.#write(
      "miner-template-provider",
      (file) => `${common}
transport = "tcp"
listen_address = "127.0.0.1:0"
authority_key_path = ${file("authority.key")}

[bitcoin_node]
network = "regtest"
data_path = ${file("node")}
poll_interval_secs = 0.5

${this.#node(chain, "bitcoin_node.nodes")}`,
    );
  }

  /** `withJds`: a job-declarator server inside, which is reached over Iroh alone. */
  async pool(templateProvider: ServerDetails, withJds: boolean): Promise<string> {
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
${withJds ? this.#jds(templateProvider, file("node")) : ""}`,
    );
  }

  /** Pool and job declarator are known by endpoint id and UDP addresses, as in {@link translator}. */
  async jdClient({ pool, templateProvider }: JdClientSites): Promise<string> {
    const { host, port } = tcpAddress(templateProvider);
    const jds = { ...pool, listeners: pool.jds?.listeners ?? [] };
    return await this.#write(
      "jd-client",
      (file) => `${common}
transport = "tcp"
listen_address = "127.0.0.1:0"
authority_key_path = ${file("authority.key")}
mode = "FULLTEMPLATE"
network = "regtest"
coinbase_reward_script = "${REWARD_SCRIPT}"
jdc_signature = "Adit demo, miner's choice"
shares_per_minute = ${SHARES_PER_MINUTE}
share_batch_size = 4
min_hashrate = 1000.0

[iroh]
secret_key_path = ${file("iroh.key")}
bind = ["127.0.0.1:0", "[::1]:0"]

[[upstreams]]
user_identity = "demo"
authority_pubkey = "${pool.authority_public_key}"
[upstreams.pool]
${irohUpstream(pool)}
[upstreams.jds]
${irohUpstream(jds)}
[template_provider_type.Sv2Tp]
address = "${host}:${port}"
public_key = "${templateProvider.authority_public_key}"
`,
    );
  }

  /** The translator knows the pool by its endpoint id and UDP addresses; a jd-client is on its own machine. */
  async translator(upstream: { readonly pool: ServerDetails } | { readonly jdClient: ServerDetails }): Promise<string> {
    const server = "pool" in upstream ? upstream.pool : upstream.jdClient;
    const where = "pool" in upstream ? irohUpstream(server) : tcpUpstream(server);
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
${where}authority_pubkey = "${server.authority_public_key}"
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

  /** The embedded chain as a node: a server of a config's list of nodes. */
  #node(chain: ServerDetails, table: string): string {
    return `[[${table}]]
core_rpc_url = "http://${chain.rpc_address}"
core_rpc_cookie_path = ${JSON.stringify(join(this.#dir, "template-provider", "chain", ".cookie"))}
`;
  }

  #jds(chain: ServerDetails, dataPath: string): string {
    return `
[jds]
transport = "iroh"

[jds.bitcoin_node]
data_path = ${dataPath}
poll_interval_secs = 0.5

${this.#node(chain, "jds.bitcoin_node.nodes")}`;
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
  if (listener?.address == null) throw new Error("a role has no TCP listener; see the logs");
  return parseHostPort(listener.address);
}

function tcpUpstream(details: ServerDetails): string {
  const { host, port } = tcpAddress(details);
  return `address = "${host}"
port = ${port}
`;
}

function irohUpstream({ listeners }: Pick<ServerDetails, "listeners">): string {
  const listener = listeners.find(({ transport }) => transport === "iroh");
  if (listener?.ticket == null) throw new Error("the pool has no Iroh listener; see its log");
  return `transport = "iroh"
endpoint_id = "${listener.endpoint_id}"
direct_addresses = ${JSON.stringify(parseTicket(listener.ticket).addresses)}
`;
}
