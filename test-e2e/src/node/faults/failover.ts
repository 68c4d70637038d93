import { join } from "node:path";
import { hex } from "@adit/bitcoin";
import { expect, test } from "vitest";
import { Stage } from "../../harness/stage.ts";
import { until } from "../../harness/until.ts";
import { blockAt, headerOf, tipOf } from "../chain-view.ts";
import { minePlain } from "../mine-plain.ts";
import { MiningLine } from "../mining-line.ts";
import { credentials } from "../node-process.ts";
import { late, NodeProxy, silent } from "../node-proxy.ts";
import { TcpRelay } from "../tcp-relay.ts";
import type { TestNode } from "../test-node.ts";
import type { StartNode } from "./fault-scene.ts";

/** Head start of the first node's first answer. */
const HEAD_START_MS = 500;
/** More blocks than the scenario has, by far. */
const MOST_MISSED = 50;

/** Three nodes in order of preference, which fail in every way. */
export function failoverScenarios(start: StartNode): void {
  test.concurrent("work comes from the first node that keeps up, and never builds on an older tip than the best known", async () => {
    await using stage = await Stage.open();
    await using third = await start({ folder: join(stage.folder, "third") });
    await using cable = await TcpRelay.start(third.p2p);
    await using first = await start({ folder: join(stage.folder, "first"), peer: cable.address });
    await using second = await start({ folder: join(stage.folder, "second"), peer: cable.address });
    await using firstProxy = await NodeProxy.start(first);
    await using secondProxy = await NodeProxy.start(second);
    await using thirdProxy = await NodeProxy.start(third);
    for (const node of [first, second]) {
      await until("the nodes have one chain", async () => (await tipOf(node)).hash === (await tipOf(third)).hash);
    }
    for (const proxy of [secondProxy, thirdProxy]) proxy.treat("getblockchaininfo", late(HEAD_START_MS));
    await using line = await MiningLine.open(stage, {
      nodes: [firstProxy, secondProxy, thirdProxy].map(({ rpcUrl }) => ({ rpcUrl, ...credentials })),
      bitcoinNode: "rpc_timeout_secs = 1",
    });
    for (const proxy of [secondProxy, thirdProxy]) proxy.relent();
    await nodesAre(line, "active", "standby", "standby");
    // From here on a node has the blocks of the line and no others, unless it is given them.
    cable.cut();

    // The first is gone.
    await first.kill();
    await nodesAre(line, "down", "active", "standby");
    await line.minesOn();

    // The second is stuck: it takes calls and answers none.
    secondProxy.treatAll(silent);
    await nodesAre(line, "down", "down", "active");
    await line.minesOn();

    // The first is back without a block that it never heard of: nobody goes back to that, not even for want of another.
    const [missed] = await minePlain(third, 1);
    await line.watch.given("work on the block", ({ parent }) => parent === missed?.hash);
    await first.restart();
    await nodesAre(line, "behind", "down", "active");
    await third.kill();
    await nodesAre(line, "behind", "down", "down");
    await line.goesOn();
    await third.restart();
    await nodesAre(line, "behind", "down", "active");
    await line.minesOn();

    // It gets what it missed, and is left behind again.
    await bringUp(first, third);
    await nodesAre(line, "active", "down", "standby");
    await line.minesOn();
    const [ahead] = await minePlain(third, 1);
    await line.watch.given("work on the block", ({ parent }) => parent === ahead?.hash);
    await nodesAre(line, "behind", "down", "active");
    await line.minesOn();

    await line.rest();
    const heights = await heightsOf(
      third,
      line.watch.work.map(({ parent }) => parent),
    );
    expect(heights).toEqual(heights.toSorted((one, other) => one - other));
    await line.expectNothingLost();
  });
}

/** Resolves when the nodes are in these states, in order of preference. */
async function nodesAre(line: MiningLine, ...states: readonly string[]): Promise<void> {
  await until(`the nodes are ${states.join(", ")}`, async () => {
    expect((await line.templateProvider.status()).nodes.map(({ state }) => state)).toEqual(states);
    return true;
  });
}

/** Gives a node the blocks that it has missed of another's. */
async function bringUp(node: TestNode, ahead: TestNode): Promise<void> {
  const { height } = await tipOf(ahead);
  // It knows some of them already: those of the line came to it, too.
  for (let at = height - MOST_MISSED + 1; at <= height; at += 1) {
    await node.rpc("submitblock", [hex(await blockAt(ahead, at))]);
  }
  await until("the node has caught up", async () => (await tipOf(node)).height >= height);
}

async function heightsOf(node: TestNode, blockHashes: readonly string[]): Promise<readonly number[]> {
  const heights: number[] = [];
  for (const blockHash of blockHashes) heights.push((await headerOf(node, blockHash)).height);
  return heights;
}
