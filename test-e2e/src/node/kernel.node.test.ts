import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Stage } from "../harness/stage.ts";
import { startBcoin } from "./bcoin-node.ts";
import { chainOf } from "./chain-view.ts";
import { hasKernel, type KernelVerdict, kernelVerdicts } from "./kernel-replay.ts";
import { minePlain, planOfTemplate, reorganise } from "./mine-plain.ts";
import { spoiltBlocks } from "./spoilt-blocks.ts";
import type { TestNode } from "./test-node.ts";
import { Wallet } from "./wallet.ts";

/** The whole chain of a node. */
async function blocksOf(node: TestNode): Promise<readonly Uint8Array[]> {
  const blocks: Uint8Array[] = [];
  for await (const block of chainOf(node)) blocks.push(block);
  return blocks;
}

async function verdictsOn(blocks: Iterable<Uint8Array>): Promise<readonly KernelVerdict[]> {
  const verdicts: KernelVerdict[] = [];
  for await (const verdict of kernelVerdicts(blocks)) verdicts.push(verdict);
  return verdicts;
}

describe.skipIf(!hasKernel())("Where Rust is, Bitcoin Core's validation", () => {
  test("connects every block of a chain that bcoin has, those with transactions too", async () => {
    await using stage = await Stage.open();
    await using node = await startBcoin({ folder: join(stage.folder, "node") });
    const wallet = await Wallet.open(node);
    await wallet.provide(120);
    await wallet.sendMany(200);
    await wallet.sendChain(25);
    await wallet.sendWeight(1_000_000);
    await minePlain(node, 2);
    const verdicts = await verdictsOn(await blocksOf(node));
    expect(verdicts.filter(({ outcome }) => outcome !== "connected")).toEqual([]);
    expect(verdicts).toHaveLength(await node.rpc("getblockcount"));
  });

  test("follows a branch once it is longer", async () => {
    await using stage = await Stage.open();
    await using node = await startBcoin({ folder: join(stage.folder, "node") });
    await minePlain(node, 2);
    const replaced = await blocksOf(node);
    const branch = await reorganise(node, 2);
    const verdicts = await verdictsOn([...replaced, ...branch.map(({ bytes }) => bytes)]);
    expect(verdicts.slice(replaced.length).map(({ outcome }) => outcome)).toEqual(["aside", "aside", "connected"]);
  });

  test("names the same broken rule as our own check", async () => {
    await using stage = await Stage.open();
    await using node = await startBcoin({ folder: join(stage.folder, "node") });
    const wallet = await Wallet.open(node);
    await wallet.provide(5);
    const [, segwit] = await wallet.sendMany(10);
    const spoilt = spoiltBlocks(await planOfTemplate(node), segwit!.coins[0]!);
    const verdicts = await verdictsOn([...(await blocksOf(node)), ...spoilt.map(({ block }) => block.bytes)]);
    for (const [at, { faults, block }] of spoilt.entries()) {
      const verdict = verdicts.at(at - spoilt.length);
      expect(verdict).toMatchObject({ hash: block.hash, outcome: "refused" });
      expect(verdict?.why.join("\n")).toContain(faults[0]);
    }
  });
});
