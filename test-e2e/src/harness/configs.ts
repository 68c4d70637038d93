import { dirname } from "node:path";
import { parseTicket } from "@adit/network-helpers/iroh";
import type { Reachable } from "./dial.ts";
import type { TestRole } from "./test-role.ts";

/** Where the blocks of a jd-client pay to that mines alone. */
export const SOLO_REWARD = "addr(bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202)";
/** Hashes a second of one mining device: next to nothing, so that several fit a busy machine. */
export const HASHRATE = 20_000;
/** Share rate of every channel and miner. */
const SHARES_PER_MINUTE = 240;

const anyPort = { tcp: "127.0.0.1:0", udp: ["127.0.0.1:0", "[::1]:0"] } as const;

/** Addresses a server listens on. A role that is started again is given those it had. */
export interface Listen {
  readonly tcp: string;
  readonly udp: readonly string[];
}

/** Where a ready role with both transports listens. */
export function listensOn(role: TestRole): Listen {
  return { tcp: role.listener("tcp").address, udp: parseTicket(role.listener("iroh").ticket ?? "").addresses };
}

const processKeys = `
monitoring_address = "127.0.0.1:0"
shutdown_timeout_secs = 10
`;

const server = (folder: string, { tcp }: Listen, logLevel: string): string => `${processKeys}
log_level = "${logLevel}"
transport = "dual"
listen_address = "${tcp}"
authority_key_path = "${folder}/authority.key"
`;

/** How the Iroh node of a role is found from elsewhere. Without it, only by its addresses on this machine. */
export interface Meeting {
  readonly relayUrl: string;
  /** Under which others see the node. */
  readonly externalAddresses: readonly string[];
}

interface IrohOptions {
  readonly meeting?: Meeting;
  /** Streams of the Iroh connections that the role dials. */
  readonly streams?: "single" | "dual";
}

const iroh = (
  folder: string,
  udp: readonly string[] = anyPort.udp,
  { meeting, streams = "single" }: IrohOptions = {},
): string => `
[iroh]
secret_key_path = "${folder}/iroh.key"
relay = ${meeting === undefined ? '"disabled"' : `[{ url = "${meeting.relayUrl}" }]`}
external_addresses = ${JSON.stringify(meeting?.externalAddresses ?? [])}
bind = ${JSON.stringify(udp)}
streams = "${streams}"
`;

const limits = (more: string): string => `
[limits]
new_connections_per_second = 1000
new_connections_burst = 1000
${more}
`;

interface ServerOptions extends IrohOptions {
  readonly listen?: Listen;
  readonly logLevel?: string;
  /** More lines for `[limits]`. */
  readonly limits?: string;
  /** More lines for its top. */
  readonly top?: string;
}

/** A template provider on both transports. */
export function templateProviderToml(
  folder: string,
  options: ServerOptions & {
    readonly hashesPerBlock?: number;
    readonly mempoolTransactions?: number;
    readonly rpc?: boolean;
  } = {},
): string {
  const { listen = anyPort, logLevel = "debug", hashesPerBlock = 100_000, rpc = false } = options;
  return `${server(folder, listen, logLevel)}
[embedded]
data_path = "${folder}/chain"
hashes_per_block = ${hashesPerBlock}
mempool_transactions = ${options.mempoolTransactions ?? 24}
template_interval_secs = 2
min_interval = 1
${rpc ? 'rpc_listen_address = "127.0.0.1:0"' : ""}
${iroh(folder, listen.udp)}${limits(options.limits ?? "")}`;
}

/** A Bitcoin node as a config names it, with a password or a cookie file. */
export type NodeAccess = { readonly rpcUrl: string } & (
  | { readonly user: string; readonly password: string }
  | { readonly cookiePath: string }
);

/** A template provider on both transports, whose templates come from Bitcoin nodes, the first one preferred. */
export function nodeTemplateProviderToml(
  folder: string,
  nodes: readonly NodeAccess[],
  options: ServerOptions & {
    readonly extraSubmit?: readonly NodeAccess[];
    readonly minIntervalSecs?: number;
    /** More lines for `[bitcoin_node]`. */
    readonly bitcoinNode?: string;
  } = {},
): string {
  const { listen = anyPort, logLevel = "debug", extraSubmit = [], minIntervalSecs = 0, bitcoinNode = "" } = options;
  const tables = [
    ...nodes.map((node) => nodeTable("bitcoin_node.nodes", node)),
    ...extraSubmit.map((node) => nodeTable("bitcoin_node.extra_submit", node)),
  ];
  return `${server(folder, listen, logLevel)}${options.top ?? ""}
${iroh(folder, listen.udp)}${limits(options.limits ?? "")}
[bitcoin_node]
network = "regtest"
data_path = "${folder}/node"
poll_interval_secs = 0.2
template_interval_secs = 1
min_interval = ${minIntervalSecs}
fee_threshold = 1
${bitcoinNode}
${tables.join("")}`;
}

/** A node in a list of nodes of a config; `key`: where that list is. */
export function nodeTable(key: string, node: NodeAccess): string {
  const login =
    "cookiePath" in node
      ? `core_rpc_cookie_path = "${node.cookiePath}"`
      : `core_rpc_user = "${node.user}"\ncore_rpc_pass = "${node.password}"`;
  return `[[${key}]]
core_rpc_url = "${node.rpcUrl}"
${login}
`;
}

/** A pool on both transports, whose templates come over TCP unless told. */
export function poolToml(
  folder: string,
  templateProvider: Reachable,
  options: ServerOptions & {
    readonly sharesPerMinute?: number;
    readonly shareBatchSize?: number;
    readonly templatesOver?: "tcp" | "iroh";
    /** Authority public keys of jd-servers of their own. */
    readonly jdServers?: readonly string[];
    /** A job-declarator server inside: lines for its `[jds]`. */
    readonly jds?: string;
  } = {},
): string {
  const { listen = anyPort, logLevel = "debug", sharesPerMinute = SHARES_PER_MINUTE, shareBatchSize = 4 } = options;
  return `${server(folder, listen, logLevel)}${options.top ?? ""}
network = "regtest"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
pool_signature = "e2e"
shares_per_minute = ${sharesPerMinute}
share_batch_size = ${shareBatchSize}
ack_interval_secs = 1
min_hashrate = 1000
share_store_path = "${folder}/shares.db"
${iroh(folder, listen.udp, options)}${limits(options.limits ?? "")}
[job_declaration]
authority_pubkeys = ${JSON.stringify(options.jdServers ?? [])}
${options.jds === undefined ? "" : `[jds]\ntransport = "dual"\nlisten_address = "127.0.0.1:0"\n${options.jds}`}
[template_provider_type.Sv2Tp]
${upstream(templateProvider, options.templatesOver ?? "tcp")}`;
}

/** The embedded chain of a template provider as a node. */
export function embeddedAccess(templateProvider: TestRole): NodeAccess {
  return {
    rpcUrl: `http://${templateProvider.details.rpc_address}`,
    cookiePath: `${dirname(templateProvider.logFile)}/chain/.cookie`,
  };
}

/** {@link embeddedAccess} in the `nodes` of a jd-server (`table`: where they are listed). */
export function embeddedNode(templateProvider: TestRole, table: string): string {
  return nodeTable(table, embeddedAccess(templateProvider));
}

/** A jd-server on both transports, with the embedded chain as its node. */
export function jdServerToml(folder: string, templateProvider: TestRole, options: ServerOptions = {}): string {
  const { listen = anyPort, logLevel = "debug", top = "" } = options;
  return `${server(folder, listen, logLevel)}
network = "regtest"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
${top}
${iroh(folder, listen.udp)}${limits(options.limits ?? "")}
[bitcoin_node]
data_path = "${folder}/node"
poll_interval_secs = 0.2
${embeddedNode(templateProvider, "bitcoin_node.nodes")}`;
}

/** Where a jd-client's work goes: the bodies of its `[upstreams.pool]` and `[upstreams.jds]`, as {@link upstream} makes them. */
export interface JdClientUpstream {
  readonly pool: string;
  readonly jds: string;
  /** In place of the one that the jd-client has at every pool. */
  readonly userIdentity?: string;
  /** More lines for its top. */
  readonly top?: string;
}

/** A jd-client on both transports, whose templates come over TCP unless told. */
export function jdClientToml(
  folder: string,
  templateProvider: Reachable,
  options: ServerOptions & {
    readonly mode?: "FULLTEMPLATE" | "COINBASEONLY" | "SOLOMINING";
    readonly sharesPerMinute?: number;
    readonly templatesOver?: "tcp" | "iroh";
    readonly upstreams: readonly JdClientUpstream[];
    readonly userIdentity?: string;
  },
): string {
  const { listen = anyPort, logLevel = "debug", mode = "FULLTEMPLATE", sharesPerMinute = SHARES_PER_MINUTE } = options;
  const { userIdentity = "e2e", top = "" } = options;
  const entries = options.upstreams.map(
    (entry) =>
      `[[upstreams]]\nuser_identity = "${entry.userIdentity ?? userIdentity}"\n${entry.top ?? ""}\n[upstreams.pool]\n${entry.pool}[upstreams.jds]\n${entry.jds}`,
  );
  return `${server(folder, listen, logLevel)}
network = "regtest"
mode = "${mode}"
coinbase_reward_script = "${SOLO_REWARD}"
jdc_signature = "e2e"
shares_per_minute = ${sharesPerMinute}
share_batch_size = 1
ack_interval_secs = 1
min_hashrate = 1000
${top}
${iroh(folder, listen.udp)}${limits(options.limits ?? "")}
${entries.join("\n")}
[template_provider_type.Sv2Tp]
${upstream(templateProvider, options.templatesOver ?? "tcp")}`;
}

/** A server over one transport, as client roles have it in their config: `[[upstreams]]`, the top of a mining device's. */
export function upstream(server: Reachable, transport: "tcp" | "iroh"): string {
  const { address, endpoint_id, ticket } = server.listener(transport);
  const where =
    transport === "tcp"
      ? hostAndPort(address)
      : `endpoint_id = "${endpoint_id}"
direct_addresses = ${JSON.stringify(parseTicket(ticket ?? "").addresses)}`;
  return `transport = "${transport}"
${where}
authority_pubkey = "${server.details.authority_public_key}"
`;
}

/** A translator. `upstreams` are the bodies of its `[[upstreams]]`. */
export function translatorToml(
  folder: string,
  upstreams: readonly string[],
  options: {
    readonly limits?: string;
    readonly logLevel?: string;
    readonly aggregateChannels?: boolean;
    readonly hashrate?: number;
    readonly udp?: readonly string[];
  } & IrohOptions = {},
): string {
  return `${processKeys}
log_level = "${options.logLevel ?? "debug"}"
aggregate_channels = ${options.aggregateChannels ?? true}
downstream_address = "127.0.0.1"
downstream_port = 0

[downstream_difficulty_config]
min_individual_miner_hashrate = ${options.hashrate ?? HASHRATE}.0
shares_per_minute = ${SHARES_PER_MINUTE}.0
${iroh(folder, options.udp, options)}
[limits]
new_miners_per_second = 1000
new_miners_burst = 1000
${options.limits ?? ""}
${upstreams.map((entry) => `[[upstreams]]\nuser_identity = "e2e"\n${entry}`).join("\n")}`;
}

/** A Stratum V1 mining device. */
export function sv1MinerToml(translator: TestRole): string {
  return `${processKeys}
protocol = "sv1"
${hostAndPort(translator.details.downstream_address)}
user_name = "e2e.device"
hashrate_limit = ${HASHRATE}
`;
}

/** A Stratum V2 mining device at a pool. */
export function sv2MinerToml(folder: string, entry: string, identity: string): string {
  return `${processKeys}
protocol = "sv2"
${entry}
user_identity = "${identity}"
hashrate_limit = ${HASHRATE}
nominal_hashrate = ${HASHRATE}
${iroh(folder)}`;
}

function hostAndPort(address: string): string {
  const colon = address.lastIndexOf(":");
  return `address = "${address.slice(0, colon)}"\nport = ${address.slice(colon + 1)}`;
}
