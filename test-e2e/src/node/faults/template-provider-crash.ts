import { expect, test } from "vitest";
import { until } from "../../harness/until.ts";
import { tipOf } from "../chain-view.ts";
import { silent } from "../node-proxy.ts";
import type { FaultScene } from "./fault-scene.ts";

/** The template provider is killed. */
export function templateProviderCrashScenarios(scene: () => FaultScene): void {
  test("a block that no node has answered for when the process is killed is submitted by the next one, from its file", async () => {
    const { node, proxy, line } = scene();
    const { blocks } = line;
    proxy.treat("submitblock", silent);
    const before = await tipOf(node);
    const blockHash = await line.watch.mine(await scene().workOnTip());
    await until("the block is on disk", () => blocks.files().find(({ hash }) => hash === blockHash));
    await line.templateProvider.logged(new RegExp(`${blockHash}.*block submitted`));
    await line.crashTemplateProvider(() => proxy.relent());

    await line.templateProvider.logged(new RegExp(`${blockHash}.*block submitted again from its file`));
    await blocks.outcome(blockHash, "accepted");
    expect(await tipOf(node)).toMatchObject({ hash: blockHash, height: before.height + 1 });
    await scene().workOnTip();
    await line.goesOn();
  });

  test("a solution for a template of the process before is still a block", async () => {
    const { node, line } = scene();
    const former = await scene().workOnTip();
    await line.crashTemplateProvider();
    await scene().workOnTip();
    const blockHash = await line.watch.mine(former);
    await line.blocks.outcome(blockHash, "accepted");
    expect(await tipOf(node)).toMatchObject({ hash: blockHash });
    await line.goesOn();
  });
}
