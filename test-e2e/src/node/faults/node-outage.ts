import { expect, test } from "vitest";
import { until } from "../../harness/until.ts";
import { headerOf, tipOf } from "../chain-view.ts";
import { ALARM_SECONDS, type FaultScene } from "./fault-scene.ts";

/** The node is gone for a while. */
export function nodeOutageScenarios(scene: () => FaultScene): void {
  test("while the node is down miners go on with the work they have, and the blocks they find are on disk at once and accepted once it is back", async () => {
    const { node, line } = scene();
    const { templateProvider, blocks } = line;
    await scene().workOnTip();
    const { height } = await tipOf(node);
    const from = templateProvider.log().length;
    const connections = (await line.pool.status()).connections.length;

    await node.kill();
    await templateProvider.logged(/"code":"unreachable".*check that the node runs.*node does not answer/, from);
    const isFound = ({ height: at }: { readonly height: number }): boolean => at === height + 1;
    const found = await line.findingBlocks(() => until("a block on disk", () => blocks.files().find(isFound)));
    expect(found.outcome).toBeUndefined();
    await templateProvider.logged(new RegExp(`${found.hash}.*it is tried again`), from);
    const submission = (await templateProvider.status()).submissions.find(({ hash }) => hash === found.hash);
    expect(submission).toMatchObject({ outcome: "pending" });
    await until("the role is not ready", async () => /no connection/.test((await templateProvider.trouble()) ?? ""));
    expect(await templateProvider.trouble()).toMatch(
      new RegExp(`^no template for more than ${ALARM_SECONDS} s: .*no connection`),
    );
    expect(await scene().metric("blocks_pending")).toBeGreaterThanOrEqual(1);
    expect(await scene().metric("node_up")).toBe(0);
    await line.goesOn();

    await node.restart();
    const judged = await until("every block is judged", () => {
      const files = blocks.files().filter(isFound);
      return files.every(({ outcome }) => outcome !== undefined) && files;
    });
    const others = judged.filter(({ outcome }) => outcome?.outcome !== "accepted");
    expect(others).toHaveLength(judged.length - 1);
    for (const { outcome } of others) expect(outcome?.outcome).toBe("side-branch");
    for (const { hash } of judged) expect(await headerOf(node, hash)).toMatchObject({ height: height + 1 });
    await templateProvider.logged(/"msg":"node answers"/, from);
    await until("the role is ready again", async () => (await templateProvider.trouble()) === null);
    // A reason that does not change is logged once: none may tell the seconds that have passed.
    const reasons = [
      ...templateProvider
        .log()
        .slice(from)
        .matchAll(/"reason":"([^":]*)[^"]*","msg":"not ready"/g),
    ];
    expect(new Set(reasons.map(([, reason]) => reason))).toEqual(
      new Set([`no template for more than ${ALARM_SECONDS} s`]),
    );
    expect((await line.pool.status()).connections).toHaveLength(connections);
    await scene().workOnTip();
    await line.minesOn();
  });
}
