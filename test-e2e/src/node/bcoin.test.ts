import { join } from "node:path";
import { bitsFromTarget, target } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { Stage } from "../harness/stage.ts";
import { PREMINED, startBcoin } from "./bcoin-node.ts";
import { faultsOf } from "./block-oracle.ts";
import { tipOf } from "./chain-view.ts";
import { minePlain, objectionTo, planOfTemplate } from "./mine-plain.ts";
import { nodeSuite } from "./node-suite.ts";
import { spoiltBlocks } from "./spoilt-blocks.ts";
import type { NodeOptions, TestNode } from "./test-node.ts";
import { Wallet } from "./wallet.ts";

const HASHES_PER_BLOCK = 6_000;

const startHard = async (options: NodeOptions): Promise<TestNode> =>
  await startBcoin({ ...options, hashesPerBlock: HASHES_PER_BLOCK });

nodeSuite("bcoin", startHard);

describe("bcoin", () => {
  test("is where it was after a stop and a restart", async () => {
    await using stage = await Stage.open();
    await using node = await startBcoin({ folder: join(stage.folder, "node") });
    const [block] = await minePlain(node, 1);
    await node.stop();
    expect(node.isRunning).toBe(false);
    await expect(node.rpc("getblockcount")).rejects.toThrow("fetch failed");
    await node.restart();
    expect(await tipOf(node)).toMatchObject({ hash: block?.hash });
  });

  test("stops though someone waits for a template", { timeout: 10_000 }, async () => {
    await using stage = await Stage.open();
    await using node = await startBcoin({ folder: join(stage.folder, "node") });
    const request = { rules: ["segwit"] };
    const { longpollid } = await node.rpc<{ readonly longpollid: string }>("getblocktemplate", [request]);
    const waiting = node.rpc("getblocktemplate", [{ ...request, longpollid }]);
    const end = expect(waiting).rejects.toThrow("fetch failed");
    await node.stop();
    await end;
  });

  test("is where it was after SIGKILL", async () => {
    await using stage = await Stage.open();
    await using node = await startHard({ folder: join(stage.folder, "node") });
    const [block] = await minePlain(node, 1);
    await node.kill();
    await node.restart();
    expect(await tipOf(node)).toMatchObject({ height: PREMINED + 1, hash: block?.hash });
  });

  test("has every block on the target of the hashes it is to take", async () => {
    await using stage = await Stage.open();
    await using node = await startHard({ folder: join(stage.folder, "node") });
    const bits = bitsFromTarget(target(2n ** 256n / BigInt(HASHES_PER_BLOCK)));
    expect(await tipOf(node)).toMatchObject({ height: PREMINED, bits });
    expect(await planOfTemplate(node)).toMatchObject({ bits });
    await minePlain(node, 1);
    expect(await planOfTemplate(node)).toMatchObject({ bits });
  });

  test("lets a template follow the mempool at once", async () => {
    await using stage = await Stage.open();
    await using node = await startBcoin({ folder: join(stage.folder, "node") });
    const wallet = await Wallet.open(node);
    for (let count = 1; count <= 3; count += 1) {
      await wallet.sendMany(1);
      expect((await planOfTemplate(node)).transactions).toHaveLength(count);
    }
  });
});

describe("the check of blocks behind bcoin", () => {
  test("sees each broken rule, those that bcoin passes over too", async () => {
    await using stage = await Stage.open();
    await using node = await startBcoin({ folder: join(stage.folder, "node") });
    const wallet = await Wallet.open(node);
    await wallet.provide(10);
    const [, segwit] = await wallet.sendMany(10);
    const plan = await planOfTemplate(node);
    const passed: string[] = [];
    for (const { faults, block } of spoiltBlocks(plan, segwit!.coins[0]!)) {
      expect(await faultsOf(node, block.bytes)).toEqual(faults);
      if ((await objectionTo(node, block)) === undefined) passed.push(...faults);
    }
    expect(passed).toEqual(["bad-cb-height", "bad-version"]);
  });
});
