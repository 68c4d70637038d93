import { join } from "node:path";
import { displayHash } from "@adit/bitcoin";
import { auditSqliteStore } from "@adit/share-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeTemplateProviderToml, poolToml } from "../harness/configs.ts";
import { dialPool } from "../harness/dial.ts";
import { Stage } from "../harness/stage.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { headerOf, tipOf } from "./chain-view.ts";
import { minePlain, reorganise } from "./mine-plain.ts";
import type { NodeOptions, TestNode } from "./test-node.ts";

const MATURITY = 6;

/** What a pool says of its blocks while a real node reorganises: what the node's chain says, in the end for good. */
export function outcomeSuite(name: string, start: (options: NodeOptions) => Promise<TestNode>): void {
  describe(`a pool whose blocks ${name} judges`, () => {
    let stage: Stage;
    let node: TestNode;
    let provider: TestRole;
    let pool: TestRole;

    const startPool = async (): Promise<TestRole> => {
      const options = { judges: [node], blockMaturity: MATURITY, shareBatchSize: 1 };
      return await stage.start("pool", (folder) => poolToml(folder, provider, options));
    };
    const blocks = async () => (await pool.status()).recent_blocks;
    const isAt = async (block: string, place: { readonly result: string; readonly confirmations?: number }) => {
      await until(`${block} is ${JSON.stringify(place)}`, async () => {
        const found = (await blocks()).find((one) => one.hash === block);
        expect(found).toMatchObject(place);
        return true;
      });
    };
    /** A miner's block on the tip. */
    const find = async (): Promise<string> => {
      await using miner = await Sv2Miner.open(await dialPool(pool), "finder", {
        hashrate: 5_000,
        triesAtOnce: 100,
        withholdsBlocks: true,
      });
      const before = new Set((await blocks()).map((block) => block.hash));
      const { hash: tip } = await tipOf(node);
      await until("it works on the tip", () => {
        const job = miner.jobs.at(-1);
        return job !== undefined && displayHash(job.prevHash) === tip;
      });
      miner.handInOneBlock();
      return await until(
        "a block of the miner's",
        async () => (await blocks()).find((one) => !before.has(one.hash))?.hash,
      );
    };

    beforeAll(async () => {
      stage = await Stage.open();
      node = await start({ folder: join(stage.folder, "node") });
      provider = await stage.start("template-provider", (folder) => nodeTemplateProviderToml(folder, [node]));
      pool = await startPool();
    });

    afterAll(async () => {
      await stage[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
    });

    test("follows one that goes aside and wins while the pool is dead, another that loses for good, until both are final", async () => {
      const winner = await find();
      await isAt(winner, { result: "accepted", confirmations: 1 });
      const header = await headerOf(node, winner);
      await reorganise(node, 1);
      await isAt(winner, { result: "side-branch", confirmations: 0 });

      await pool.crash();
      const won = (await minePlain(node, 2, { parent: header })).at(-1);
      expect((await tipOf(node)).hash).toBe(won?.hash);
      pool = await startPool();
      await isAt(winner, { result: "accepted", confirmations: 3 });

      const loser = await find();
      await isAt(loser, { result: "accepted", confirmations: 1 });
      await reorganise(node, 1);
      await isAt(loser, { result: "side-branch", confirmations: 0 });
      await isAt(winner, { result: "accepted", confirmations: 5 });
      await minePlain(node, 1);
      await isAt(winner, { result: "matured" });
      await minePlain(node, MATURITY - 3);
      await isAt(loser, { result: "orphaned" });

      expect((await pool.status()).block_judge).toMatchObject({ open: 0, trouble: null });
      expect(await pool.metrics()).toMatch(/sv2_pool_blocks_settled_total\{result="orphaned"\} 1/);
      expect(await pool.stop()).toBe(0);
      const { blocks: rows } = await auditSqliteStore(join(stage.folder, "pool", "shares.db"));
      const results = Object.fromEntries(rows.map((row) => [displayHash(row.hash), row.result]));
      expect(results).toEqual({ [winner]: "matured", [loser]: "orphaned" });
    });
  });
}
