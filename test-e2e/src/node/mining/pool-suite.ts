import {
  decodeBlock,
  displayHash,
  hex,
  parseBip34,
  scriptFromDescriptor,
  subsidy,
  txid,
  witnessCommitmentOutput,
  wtxid,
} from "@adit/bitcoin";
import type { MiningMessage } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { poolToml, sv1MinerToml, sv2MinerToml, translatorToml, upstream } from "../../harness/configs.ts";
import { dialPool } from "../../harness/dial.ts";
import type { TestRole } from "../../harness/test-role.ts";
import { until } from "../../harness/until.ts";
import { blockAt, tipOf } from "../chain-view.ts";
import type { Spend } from "../spend.ts";
import { ChannelMiner } from "./channel-miner.ts";
import { coinbaseOf } from "./coinbase-view.ts";
import { type MiningGround, MiningScene } from "./mining-scene.ts";

/** Blocks in a row that a Stratum V1 miner finds. */
const BLOCKS = 10;
const COINS = 300;
/** As the config of the pool says. */
const REWARD = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)";
const TAG = "e2e";

/** What a pool on a node promises: what its miners find is in the chain, and everybody tells the same of it. */
export function poolSuite(name: string, ground: MiningGround): void {
  describe(`${name} behind a pool`, () => {
    let scene: MiningScene;
    let pool: TestRole;
    /** Height of the first block that can be the pool's. */
    let first: number;
    let spends: readonly Spend[];

    beforeAll(async () => {
      scene = await MiningScene.open(ground, COINS);
      first = (await tipOf(scene.node)).height + 1;
      pool = await scene.stage.start("pool", (folder) => poolToml(folder, scene.provider));
      spends = await mineOverStratumV1(scene, { pool, last: first + BLOCKS - 1 });
    });

    afterAll(async () => {
      await scene[Symbol.asyncDispose]();
    });

    test("has ten blocks of a Stratum V1 miner in a row, which pay the pool all they may", async () => {
      const { node } = scene;
      const fees = new Map(spends.map((spend) => [displayHash(spend.txid), spend.fee]));
      let paying = 0;
      for (let height = first; height < first + BLOCKS; height += 1) {
        const { transactions } = decodeBlock(await blockAt(node, height));
        const others = transactions.slice(1);
        const total = others.reduce((sum, tx) => sum + fees.get(displayHash(txid(tx)))!, 0n);
        const { pushes, outputs } = await coinbaseOf(node, await node.rpc("getblockhash", [height]));
        expect(outputs).toEqual([
          { value: subsidy(height, "regtest") + total, script: hex(scriptFromDescriptor(REWARD, "regtest")) },
          { value: 0n, script: hex(witnessCommitmentOutput(others.map((tx) => wtxid(tx))).script) },
        ]);
        const [bip34, tag, extranonce, ...more] = pushes;
        expect(parseBip34(Uint8Array.of(bip34!.length, ...bip34!))).toBe(height);
        expect(Buffer.from(tag!).toString("latin1")).toBe(TAG);
        expect([extranonce!.length, more.length]).toEqual([20, 0]);
        paying += others.length;
      }
      expect(paying).toBeGreaterThan(BLOCKS);
    });

    test("counts the blocks that the roles count", async () => {
      const { node, provider } = scene;
      const { height, hash } = await until("all have heard of the last block", async () => {
        const tip = await tipOf(node);
        const known = [
          (await provider.status()).blocks.accepted,
          counted(await pool.metrics(), 'sv2_pool_blocks_settled_total{result="accepted"}'),
        ];
        return known.every((count) => count === tip.height - first + 1) && tip;
      });
      const status = await provider.status();
      expect(status.chain).toMatchObject({ height, tip_hash: hash });
      expect(status.blocks.rejected).toBe(0);
      expect(status.submissions.find((submission) => submission.hash === hash)).toMatchObject({
        height,
        outcome: "accepted",
        nodes: [{ name: new URL(node.rpcUrl).host, attempts: 1, answer: "accepted" }],
      });
      const page = await provider.metrics();
      const accepted = height - first + 1;
      expect(counted(page, 'sv2_template_provider_blocks_total{solved_by="client"}')).toBe(accepted);
      expect(counted(page, 'sv2_template_provider_block_outcomes_total{outcome="accepted"}')).toBe(accepted);
      expect(counted(page, "sv2_template_provider_chain_height")).toBe(height);
    });

    test("settles what the pool says of its blocks", async () => {
      const { node } = scene;
      const { blocks_found: found, last_block: last } = await pool.status();
      // More than there are in the chain when the miner had not heard yet of one.
      expect(found).toBeGreaterThanOrEqual((await tipOf(node)).height - first + 1);
      expect(counted(await pool.metrics(), "sv2_pool_blocks_found_total")).toBe(found);
      const isInChain = (await node.rpc("getblockhash", [last!.height])) === last!.hash;
      expect(last!.result === "accepted").toBe(isInChain);
    });

    test.each(["standard", "extended"])(
      "takes a block of a mining device on a channel of its own (%s)",
      async (kind) => {
        const entry = `${upstream(pool, "tcp")}channel = "${kind}"`;
        const device = await scene.stage.start("mining-device", (folder) => sv2MinerToml(folder, entry, kind), kind);
        const prefix = await until("its channel", async () => {
          const channel = (await pool.status()).channels.find((one) => one.user_identity === kind);
          return channel?.kind === kind && channel.extranonce_prefix_hex;
        });
        await until("a block of its channel", async () => {
          const { hash } = await tipOf(scene.node);
          return (await extranonceOf(scene, hash)).startsWith(prefix);
        });
        expect(await device.stop()).toBe(0);
      },
    );

    test("takes a block of each standard channel of a group", async () => {
      await using connection = await dialPool(pool);
      const miner = new ChannelMiner((message) => void connection.write(message).catch(() => {}));
      const reading = (async () => {
        for await (const { message } of connection.messages) miner.receive(message as MiningMessage);
      })().catch(() => {});
      const channels = [await miner.open("standard", "one"), await miner.open("standard", "other")];
      expect(new Set(channels.map(({ groupChannelId }) => groupChannelId)).size).toBe(1);
      for (const channel of channels) {
        const hash = await miner.mine(channel, (await tipOf(scene.node)).hash);
        await scene.takes(hash);
        expect(await extranonceOf(scene, hash)).toBe(hex(channel.extranoncePrefix));
      }
      expect(miner.complaints).toEqual([]);
      await connection[Symbol.asyncDispose]();
      await reading;
    });

    test("was given blocks that nothing is wrong with", async () => {
      const blocks = await scene.expectSound();
      const accepted = blocks.filter(({ outcome }) => outcome?.outcome === "accepted");
      const { height } = await tipOf(scene.node);
      // Nobody else mined.
      expect(accepted.map((block) => block.height)).toEqual(
        Array.from({ length: height - first + 1 }, (_, at) => first + at),
      );
    });
  });
}

/** Mines up to a height with all of the suite, while transactions come in. Returns these. */
async function mineOverStratumV1(
  { stage, node, wallet }: MiningScene,
  { pool, last }: { readonly pool: TestRole; readonly last: number },
): Promise<readonly Spend[]> {
  const spends = [...(await wallet.sendMany(50)), ...(await wallet.sendChain(20))];
  const translator = await stage.start("translator", (folder) => translatorToml(folder, [upstream(pool, "iroh")]));
  const device = await stage.start("mining-device", () => sv1MinerToml(translator));
  await until("ten blocks", async () => {
    if ((await tipOf(node)).height >= last) return true;
    if (wallet.count("segwit") > 0) spends.push(...(await wallet.sendMany(1, { kinds: ["segwit"] })));
    return false;
  });
  await device.stop();
  await translator.stop();
  return spends;
}

async function extranonceOf({ node }: MiningScene, hash: string): Promise<string> {
  const [, , extranonce] = (await coinbaseOf(node, hash)).pushes;
  return hex(extranonce ?? new Uint8Array(0));
}

/** Value of one series of a metrics page. */
function counted(page: string, series: string): number {
  const line = page.split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1));
}
