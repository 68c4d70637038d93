import { join } from "node:path";
import { tcp } from "@adit/network-helpers/tcp";
import { type Reachable, setUpMining } from "../harness/dial.ts";
import { freePort } from "../harness/free-port.ts";
import type { Stage } from "../harness/stage.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import { type AuthorityKeys, newAuthority, ReferenceRole } from "./reference-role.ts";

/** Who their jd-client mines for. */
export const USER = "reference";
/** Hashes a second of the miner at it. */
export const HASHRATE = 20_000;

/** A pool with its job-declarator server; their config has one authority for both. */
export interface UpstreamPair {
  readonly pool: Reachable;
  readonly jds: Reachable;
}

/** What their jd-client is started with. */
export interface JdClientOptions {
  readonly mode: "FULLTEMPLATE" | "COINBASEONLY";
  readonly templateProvider: Reachable;
  /** In order of preference. */
  readonly upstreams: readonly UpstreamPair[];
}

/** Their jd-client and a miner of ours at it. Disposing it ends both. */
export interface MiningJdClient extends AsyncDisposable {
  readonly client: ReferenceRole;
  readonly miner: Sv2Miner;
  /** Another miner, which is the caller's to dispose of. */
  readonly newMiner: () => Promise<Sv2Miner>;
}

/** Starts their jd-client, and a miner at it. Resolves when the miner has work. */
export async function mineAtTheirs(stage: Stage, options: JdClientOptions): Promise<MiningJdClient> {
  const authority = await newAuthority();
  const [port, monitoring] = [await freePort(), `127.0.0.1:${await freePort()}`];
  const toml = configOf(options, { authority, port, monitoring });
  const folder = join(stage.folder, "reference-jd-client");
  const client = await ReferenceRole.start("jd-client", { folder, monitoring, toml });
  const newMiner = async (): Promise<Sv2Miner> => {
    const stream = await tcp().dial(`127.0.0.1:${port}`, { signal: AbortSignal.timeout(10_000) });
    return await Sv2Miner.open(await setUpMining(stream, authority.public), "miner", HASHRATE);
  };
  try {
    const miner = await newMiner();
    return {
      client,
      miner,
      newMiner,
      [Symbol.asyncDispose]: async () => {
        await miner[Symbol.asyncDispose]();
        await client[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw new Error(`no miner at their jd-client: ${client.output.slice(-4000)}`, { cause: error });
  }
}

function configOf(
  { mode, templateProvider, upstreams }: JdClientOptions,
  own: { readonly authority: AuthorityKeys; readonly port: number; readonly monitoring: string },
): string {
  return `
listening_address = "127.0.0.1:${own.port}"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "${own.authority.public}"
authority_secret_key = "${own.authority.secret}"
cert_validity_sec = 3600
shares_per_minute = 240.0
share_batch_size = 2
mode = "${mode}"
jdc_signature = "reference"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
supported_extensions = []
required_extensions = []
monitoring_address = "${own.monitoring}"
monitoring_cache_refresh_secs = 1
${upstreams.map(upstreamTable).join("")}
[template_provider_type.Sv2Tp]
address = "${templateProvider.listener("tcp").address}"
public_key = "${templateProvider.details.authority_public_key}"
`;
}

function upstreamTable({ pool, jds }: UpstreamPair): string {
  const [poolHost, poolPort] = pool.listener("tcp").address.split(":");
  const [jdsHost, jdsPort] = jds.listener("tcp").address.split(":");
  return `
[[upstreams]]
authority_pubkey = "${pool.details.authority_public_key}"
pool_address = "${poolHost}"
pool_port = ${poolPort}
jds_address = "${jdsHost}"
jds_port = ${jdsPort}
user_identity = "${USER}"
`;
}
