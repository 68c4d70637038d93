import { displayHash } from "@adit/bitcoin";
import { expect, test } from "vitest";
import { headerOf } from "../chain-view.ts";
import { reorganise } from "../mine-plain.ts";
import type { TestNode } from "../test-node.ts";
import type { FaultScene } from "./fault-scene.ts";

/** Another branch becomes the best one. */
export function reorganisationScenarios(scene: () => FaultScene): void {
  test("two blocks that are reorganised away take all work with them, and a late block beside the new branch is submitted still", async () => {
    const { node, line } = scene();
    const { watch } = line;
    await watch.mine(await scene().workOnTip());
    await line.minesOn();
    const before = await scene().workOnTip();

    const tip = (await reorganise(node, 2)).at(-1)!;
    const first = await watch.given("work on the branch", ({ parent }) => parent === tip.hash);
    const late = await watch.mine(before);
    await line.blocks.outcome(late, "side-branch");
    expect((await headerOf(node, late)).previousblockhash).toBe(before.parent);
    await line.templateProvider.logged(
      new RegExp(`${late}.*"outcome":"side-branch","msg":"block not in the best chain"`),
    );

    await line.minesOn();
    await line.goesOn();
    const given = watch.work.slice(watch.work.indexOf(first)).map(({ parent }) => parent);
    const jobs = line.sv2.jobs.map(({ prevHash }) => displayHash(prevHash));
    expect(jobs).toContain(tip.hash);
    const later = new Set([...given, ...jobs.slice(jobs.indexOf(tip.hash))]);
    for (const parent of later) expect(await isOn(node, parent, tip)).toBe(true);
  });
}

/** Whether a block is another one or one of those built on it. */
async function isOn(
  node: TestNode,
  blockHash: string,
  base: { readonly hash: string; readonly height: number },
): Promise<boolean> {
  let header = await headerOf(node, blockHash);
  while (header.height > base.height) header = await headerOf(node, header.previousblockhash ?? "");
  return header.hash === base.hash;
}
