import type { Listen } from "../harness/configs.ts";
import type { TestRole } from "../harness/test-role.ts";
import type { Plan } from "./plan.ts";

const SHARES_PER_MINUTE = 6;
const SECONDS_PER_BLOCK = 75;
const SECONDS_PER_BLOCK_ELSEWHERE = 150;
const anyPort: Listen = { tcp: "127.0.0.1:0", udp: ["127.0.0.1:0", "[::1]:0"] };

const processKeys = `
monitoring_address = "127.0.0.1:0"
shutdown_timeout_secs = 10
log_level = "info"
`;

const server = (folder: string, { tcp }: Listen): string => `${processKeys}
transport = "dual"
listen_address = "${tcp}"
authority_key_path = "${folder}/authority.key"
`;

const iroh = (folder: string, { udp }: Listen): string => `
[iroh]
secret_key_path = "${folder}/iroh.key"
relay = "disabled"
bind = ${JSON.stringify(udp)}
max_connections_per_peer = 64
`;

/** A chain with a block now and then, found by the miners or elsewhere, and new transactions all the time. */
export function templateProviderConfig(folder: string, plan: Plan, listen: Listen = anyPort): string {
  return `${server(folder, listen)}
[embedded]
data_path = "${folder}/chain"
hashes_per_block = ${plan.miners * plan.hashrate * SECONDS_PER_BLOCK}
template_interval_secs = 3
min_interval = 3
block_elsewhere_interval_secs = ${SECONDS_PER_BLOCK_ELSEWHERE}
${iroh(folder, listen)}`;
}

/** A pool that acknowledges each share by itself, so that the latency is that of shares and not of batches. */
export function poolConfig(
  folder: string,
  { plan, provider, listen = anyPort }: { plan: Plan; provider: TestRole; listen: Listen | undefined },
): string {
  return `${server(folder, listen)}
network = "regtest"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
pool_signature = "soak"
shares_per_minute = ${SHARES_PER_MINUTE}
share_batch_size = 1
min_hashrate = ${plan.hashrate / 4}
share_store_path = "${folder}/shares.db"
${iroh(folder, listen)}
[limits]
max_connections_per_source = 100000
max_pending_connections = 10000
max_pending_connections_per_source = 10000
new_connections_per_second = 10000
new_connections_burst = 10000
channel_opens_per_second = 1000
[template_provider_type.Sv2Tp]
address = "${provider.listener("tcp").address}"
public_key = "${provider.details.authority_public_key}"
`;
}

/** Over TCP all miners share one upstream channel, over Iroh each has its own. */
export function translatorConfig(
  folder: string,
  { plan, transport, entry }: { plan: Plan; transport: "tcp" | "iroh"; entry: string },
): string {
  return `${processKeys}
downstream_address = "127.0.0.1"
downstream_port = 0
aggregate_channels = ${transport === "tcp"}

[downstream_difficulty_config]
min_individual_miner_hashrate = ${plan.hashrate}.0
shares_per_minute = ${SHARES_PER_MINUTE}.0
${iroh(folder, anyPort)}
[limits]
max_miners_per_source = 100000
new_miners_per_second = 10000
new_miners_burst = 10000

[[upstreams]]
user_identity = "translator-${transport}"
${entry}`;
}
