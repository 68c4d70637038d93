import { join } from "node:path";
import { tcp } from "@adit/network-helpers/tcp";
import { describe, expect, test } from "vitest";
import { embeddedNode, poolToml, templateProviderToml } from "../harness/configs.ts";
import { embeddedJds } from "../harness/declaring-miner.ts";
import { setUpMining } from "../harness/dial.ts";
import { freePort } from "../harness/free-port.ts";
import { Stage } from "../harness/stage.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { newAuthority, ReferenceRole } from "./reference-role.ts";

const WAIT_MS = 120_000;
const HASHRATE = 20_000;
const USER = "reference";

/** Our template provider and pool, and their jd-client at both. */
async function mine(options: { readonly mode: "FULLTEMPLATE" | "COINBASEONLY"; readonly withNode: boolean }) {
  const stage = await Stage.open();
  try {
    const provider = await stage.start("template-provider", (folder) =>
      templateProviderToml(folder, { hashesPerBlock: 8 * HASHRATE, rpc: true }),
    );
    const pool = await stage.start("pool", (folder) => {
      const node = `[jds.bitcoin_node]\ndata_path = "${folder}/node"\npoll_interval_secs = 0.2\n${embeddedNode(provider, "jds.bitcoin_node.nodes")}`;
      return poolToml(folder, provider, { jds: options.withNode ? node : "" });
    });
    const authority = await newAuthority();
    const [port, monitoring] = [await freePort(), `127.0.0.1:${await freePort()}`];
    const toml = jdClientConfig({ ...options, provider, pool, authority, port, monitoring });
    const folder = join(stage.folder, "reference-jd-client");
    const client = await ReferenceRole.start("jd-client", { folder, monitoring, toml });
    const stream = await tcp().dial(`127.0.0.1:${port}`, { signal: AbortSignal.timeout(10_000) });
    const miner = await Sv2Miner.open(await setUpMining(stream, authority.public), "miner", HASHRATE);
    return {
      provider,
      pool,
      client,
      miner,
      [Symbol.asyncDispose]: async () => {
        for (const one of [miner, client, stage]) await one[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}

function jdClientConfig(parts: {
  readonly mode: string;
  readonly provider: TestRole;
  readonly pool: TestRole;
  readonly authority: { readonly public: string; readonly secret: string };
  readonly port: number;
  readonly monitoring: string;
}): string {
  const { mode, provider, pool, authority, port, monitoring } = parts;
  const [poolHost, poolPort] = pool.listener("tcp").address.split(":");
  const [jdsHost, jdsPort] = embeddedJds(pool).listener("tcp").address.split(":");
  return `
listening_address = "127.0.0.1:${port}"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "${authority.public}"
authority_secret_key = "${authority.secret}"
cert_validity_sec = 3600
shares_per_minute = 240.0
share_batch_size = 2
mode = "${mode}"
jdc_signature = "reference"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
supported_extensions = []
required_extensions = []
monitoring_address = "${monitoring}"
monitoring_cache_refresh_secs = 1

[[upstreams]]
authority_pubkey = "${pool.details.authority_public_key}"
pool_address = "${poolHost}"
pool_port = ${poolPort}
jds_address = "${jdsHost}"
jds_port = ${jdsPort}
user_identity = "${USER}"

[template_provider_type.Sv2Tp]
address = "${provider.listener("tcp").address}"
public_key = "${provider.details.authority_public_key}"
`;
}

describe("their jd-client", () => {
  test.each([
    { mode: "FULLTEMPLATE", withNode: true },
    { mode: "FULLTEMPLATE", withNode: false },
    { mode: "COINBASEONLY", withNode: true },
  ] as const)("in %j brings shares and blocks", async (options) => {
    await using scene = await mine(options);
    const { pool, provider, client, miner } = scene;
    const credited = async () => (await pool.status()).custom_job_shares >= 10;
    await until("shares of custom jobs", credited, WAIT_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${client.output.slice(-6000)}\n${pool.log().slice(-3000)}`);
    });
    const blocks = async () => (await provider.status()).blocks.accepted >= 2;
    await until("blocks on the chain", blocks, WAIT_MS);
    const known = async () => {
      const { last_block } = await pool.status();
      return last_block?.declared_by === USER && last_block.result === "accepted" && last_block;
    };
    expect(await until("the pool knows of one", known, WAIT_MS)).toMatchObject({ user_identity: USER });
    expect(miner.acceptedCount).toBeGreaterThan(0);
    expect(client.isRunning).toBe(true);
  });
});
