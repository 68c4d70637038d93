import { fromHex, hex } from "@adit/bitcoin";
import { expect } from "vitest";
import { until } from "../../harness/until.ts";
import type { BlockFile, BlockFolder } from "../block-folder.ts";
import { faultsOf } from "../block-oracle.ts";
import { blockOf, headerOf } from "../chain-view.ts";
import type { TestNode } from "../test-node.ts";

/**
 * Checks every block that a template provider submitted: nothing is wrong with it; those of the node's best chain are there
 * as they were filed, and filed as accepted; no other counts as accepted, and none was rejected. A miner finds such another
 * one when it has not heard yet of the block before.
 *
 * `mayFork`: there is another node to whose branch this one may have gone over, and then one that it had accepted is in its
 * best chain no more, or one that was aside when it was judged is in it now.
 *
 * Waits for the outcomes of those in the best chain. Returns all of them, lowest first.
 */
export async function expectSound(
  node: TestNode,
  folder: BlockFolder,
  { mayFork = false } = {},
): Promise<readonly BlockFile[]> {
  const count = await node.rpc<number>("getblockcount");
  const isInChain = async ({ height, hash }: BlockFile): Promise<boolean> =>
    height <= count && (await node.rpc<string>("getblockhash", [height])) === hash;
  const files = await until("the blocks of the best chain are judged", async () => {
    const found = folder.files();
    for (const file of found) if (file.outcome === undefined && (await isInChain(file))) return false;
    return found;
  });
  const aside = ["side-branch", "superseded", undefined, ...(mayFork ? ["accepted"] : [])];
  for (const file of files) {
    const { height, hash, outcome } = file;
    expect(await faultsOf(node, fromHex(file.hex)), hash).toEqual([]);
    if (await isInChain(file)) {
      expect(outcome).toMatchObject({ height, hash });
      expect(mayFork ? ["accepted", "side-branch"] : ["accepted"], hash).toContain(outcome?.outcome);
      expect(hex(await blockOf(node, hash))).toBe(file.hex);
      expect(await headerOf(node, hash)).toMatchObject({ height });
    } else expect(aside, hash).toContain(outcome?.outcome);
  }
  return files;
}
