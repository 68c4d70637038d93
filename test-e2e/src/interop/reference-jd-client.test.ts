import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { embeddedNode, jdServerToml, poolToml, templateProviderToml } from "../harness/configs.ts";
import { embeddedJds } from "../harness/declaring-miner.ts";
import { dialPool } from "../harness/dial.ts";
import { Stage } from "../harness/stage.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { HASHRATE, type MiningJdClient, mineAtTheirs, type UpstreamPair, USER } from "./reference-jd-client.ts";

const WAIT_MS = 120_000;

let stage: Stage;
let provider: TestRole;

beforeEach(async () => {
  stage = await Stage.open();
  provider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: 8 * HASHRATE, rpc: true }),
  );
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
});

/** Our pool with a job-declarator server inside, which checks jobs with a node or for their form only. */
async function ownPool({ withNode = true, name = "pool" } = {}): Promise<UpstreamPair & { readonly pool: TestRole }> {
  const pool = await stage.start(
    "pool",
    (folder) => {
      const node = `[jds.bitcoin_node]\ndata_path = "${folder}/node"\npoll_interval_secs = 0.2\n${embeddedNode(provider, "jds.bitcoin_node.nodes")}`;
      return poolToml(folder, provider, { jds: withNode ? node : "" });
    },
    name,
  );
  return { pool, jds: embeddedJds(pool) };
}

/** Our job-declarator server in a process of its own, and a pool of the same authority, as their config wants it. */
async function poolApart({
  believes,
}: {
  readonly believes: boolean;
}): Promise<UpstreamPair & { readonly pool: TestRole }> {
  const jds = await stage.start("jd-server", (folder) => jdServerToml(folder, provider));
  const folder = join(stage.folder, "pool-apart");
  await mkdir(folder, { recursive: true });
  await cp(join(stage.folder, "jd-server", "authority.key"), join(folder, "authority.key"));
  const jdServers = believes ? [jds.details.authority_public_key] : [provider.details.authority_public_key];
  const pool = await stage.start("pool", (own) => poolToml(own, provider, { jdServers }), "pool-apart");
  return { pool, jds };
}

/** Resolves when a pool has credited so many shares of custom jobs. */
async function credited(pool: TestRole, count: number, scene: MiningJdClient): Promise<void> {
  const enough = async (): Promise<boolean> => (await pool.status()).custom_job_shares >= count;
  await until(`${count} shares of custom jobs`, enough, WAIT_MS).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${scene.client.output.slice(-6000)}\n${pool.log().slice(-3000)}`);
  });
}

/** Resolves when a block of their declaring is on the chain, and the pool knows. */
async function blockOf(pool: TestRole): Promise<void> {
  const known = async (): Promise<boolean> => {
    const { last_block: block } = await pool.status();
    return block?.declared_by === USER && block.user_identity === USER && block.result === "accepted";
  };
  await until("a block is on the chain, and the pool knows", known, WAIT_MS);
}

describe("their jd-client", () => {
  test.each([
    { mode: "FULLTEMPLATE", withNode: true },
    { mode: "FULLTEMPLATE", withNode: false },
    { mode: "COINBASEONLY", withNode: true },
  ] as const)("in %j brings shares and blocks", async ({ mode, withNode }) => {
    const upstream = await ownPool({ withNode });
    await using scene = await mineAtTheirs(stage, { mode, templateProvider: provider, upstreams: [upstream] });
    await credited(upstream.pool, 10, scene);
    await blockOf(upstream.pool);
    // With a node, too, what has left its mempool may be asked for.
    if (!withNode) expect(upstream.pool.log()).toContain("missing transactions asked for");
    expect((await provider.status()).blocks.accepted).toBeGreaterThan(0);
    expect(scene.miner.acceptedCount).toBeGreaterThan(0);
    expect(scene.client.isRunning).toBe(true);
  });

  test("declares at a job-declarator server in a process of its own, whose key the pool is told", async () => {
    const upstream = await poolApart({ believes: true });
    await using scene = await mineAtTheirs(stage, {
      mode: "FULLTEMPLATE",
      templateProvider: provider,
      upstreams: [upstream],
    });
    await credited(upstream.pool, 10, scene);
    await blockOf(upstream.pool);
  });

  test("mines on, tip after tip, while blocks are another's", async () => {
    const upstream = await ownPool();
    await using scene = await mineAtTheirs(stage, {
      mode: "FULLTEMPLATE",
      templateProvider: provider,
      upstreams: [upstream],
    });
    scene.miner.withholdsBlocks = true;
    await credited(upstream.pool, 5, scene);
    await using other = await Sv2Miner.open(await dialPool(upstream.pool), "other", 4 * HASHRATE);
    const { height } = (await provider.status()).chain;
    await until("five more blocks", async () => (await provider.status()).chain.height >= height + 5, WAIT_MS);
    await credited(upstream.pool, (await upstream.pool.status()).custom_job_shares + 5, scene);
    expect(other.acceptedCount).toBeGreaterThan(0);
    expect(scene.client.isRunning).toBe(true);
  });

  test("leaves a pool that refuses its jobs for the next", async () => {
    const [refusing, next] = [await poolApart({ believes: false }), await ownPool()];
    await using scene = await mineAtTheirs(stage, {
      mode: "FULLTEMPLATE",
      templateProvider: provider,
      upstreams: [refusing, next],
    });
    // It drops its miners whenever it changes its pool.
    await until("their jd-client has dropped its miner", () => scene.miner.isClosed, WAIT_MS);
    await using _again = await until("their jd-client takes miners again", () => scene.newMiner(), WAIT_MS);
    await credited(next.pool, 5, scene);
    expect((await refusing.pool.status()).custom_job_shares).toBe(0);
    expect(refusing.pool.log()).toContain('"errorCode":"invalid-mining-job-token"');
  });
});
