import { join } from "node:path";
import { decodeBlock, displayHash, txid } from "@adit/bitcoin";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jdClientToml, nodeTable, nodeTemplateProviderToml, poolToml, upstream } from "../../harness/configs.ts";
import { embeddedJds } from "../../harness/declaring-miner.ts";
import { dialPool } from "../../harness/dial.ts";
import { Sv2Miner } from "../../harness/sv2-miner.ts";
import type { TestRole } from "../../harness/test-role.ts";
import { until } from "../../harness/until.ts";
import { BlockFolder } from "../block-folder.ts";
import { blockAt, tipOf } from "../chain-view.ts";
import type { TestNode } from "../test-node.ts";
import { type MiningGround, MiningScene } from "./mining-scene.ts";
import { expectSound } from "./sound-blocks.ts";

const COINS = 60;
const SENT = 20;
/** Blocks that the miner is let find. */
const BLOCKS = 3;
/** Nonces that the miner tries fifty times a second. */
const TRIES_AT_ONCE = 100;
const USER = "farm";

/**
 * What job declaration promises on two nodes of which one, the pool's, knows nothing of the transactions that the other,
 * the miner's, fills its templates with.
 */
export function declarationSuite(name: string, ground: MiningGround): void {
  describe(`${name} behind a jd-client, and another one with an empty mempool behind the pool`, () => {
    let scene: MiningScene;
    let poolNode: TestNode;
    let pool: TestRole;
    let client: TestRole;
    let miner: Sv2Miner;

    beforeAll(async () => {
      scene = await MiningScene.open(ground, COINS);
      const folder = join(scene.stage.folder, "pool-node");
      const other = await ground.start({ folder, peer: scene.node.p2p, blocksOnly: true });
      poolNode = other;
      await until("both nodes have one chain", () => isOnOneTip());
      const templates = await scene.stage.start(
        "template-provider",
        (own) => nodeTemplateProviderToml(own, [other]),
        "pool-templates",
      );
      pool = await scene.stage.start("pool", (own) => poolToml(own, templates, { jds: jdsTable(own, other) }));
      const entry = { pool: upstream(pool, "tcp"), jds: upstream(embeddedJds(pool), "tcp") };
      client = await scene.stage.start("jd-client", (own) =>
        jdClientToml(own, scene.provider, { userIdentity: USER, upstreams: [entry] }),
      );
      const rate = { hashrate: 50 * TRIES_AT_ONCE, triesAtOnce: TRIES_AT_ONCE };
      miner = await Sv2Miner.open(await dialPool(client), "miner", rate);
    });

    afterAll(async () => {
      await miner?.[Symbol.asyncDispose]();
      await scene[Symbol.asyncDispose]();
      await poolNode?.[Symbol.asyncDispose]();
    });

    async function isOnOneTip(): Promise<boolean> {
      return (await tipOf(scene.node)).hash === (await tipOf(poolNode)).hash;
    }

    test("reveals the transactions that the pool's node lacks, and has blocks with them on both", async () => {
      const first = (await tipOf(scene.node)).height + 1;
      const sent = (await scene.wallet.sendMany(SENT)).map((spend) => displayHash(spend.txid));
      expect(await poolNode.rpc<readonly string[]>("getrawmempool")).toEqual([]);
      // btcd fills templates at a new tip and hardly else, so blocks are found all along.
      await until("blocks with all of them", async () => {
        const mined = await minedSince(poolNode, first);
        return mined.blocks >= BLOCKS && sent.every((id) => mined.ids.has(id));
      });
      miner.withholdsBlocks = true;
      await until("both nodes have one tip", () => isOnOneTip());
      expect(pool.log()).toContain("missing transactions asked for");
      const settled = async (): Promise<boolean> =>
        /blocks_settled_total\{result="accepted"\} [1-9]/.test(await pool.metrics());
      await until("the pool knows what became of its blocks", settled);
      expect((await pool.status()).last_block).toMatchObject({ user_identity: USER, declared_by: USER });
      expect(miner.isClosed).toBe(false);
      expect(client.log()).not.toContain('"msg":"upstream failed"');
    });

    test("was given blocks by the job-declarator server, too, that nothing is wrong with", async () => {
      const folder = new BlockFolder(join(scene.stage.folder, "pool", "node"));
      // For a moment the nodes may have had two blocks of one height.
      const ofServer = await expectSound(poolNode, folder, { mayFork: true });
      const accepted = ofServer.filter(({ outcome }) => outcome?.outcome === "accepted");
      expect(accepted.length).toBeGreaterThan(0);
      const ofProvider = await scene.expectSound({ mayFork: true });
      const filed = new Map(ofProvider.map((block) => [block.hash, block.hex]));
      // Each side has put the block together of its own.
      expect(accepted.filter(({ hash, hex }) => filed.get(hash) !== hex)).toEqual([]);
    });
  });
}

function jdsTable(folder: string, { rpcUrl, user, password }: TestNode): string {
  return `[jds.bitcoin_node]
data_path = "${folder}/node"
poll_interval_secs = 0.2
${nodeTable("jds.bitcoin_node.nodes", { rpcUrl, user, password })}`;
}

/** How many blocks of the best chain are at this height or above, and the ids of their transactions. */
async function minedSince(
  node: TestNode,
  first: number,
): Promise<{ readonly blocks: number; readonly ids: Set<string> }> {
  const ids = new Set<string>();
  const { height } = await tipOf(node);
  for (let at = first; at <= height; at += 1) {
    for (const transaction of decodeBlock(await blockAt(node, at)).transactions)
      ids.add(displayHash(txid(transaction)));
  }
  return { blocks: height - first + 1, ids };
}
