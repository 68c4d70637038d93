import { expect, test } from "vitest";
import { until } from "../../harness/until.ts";
import { late, onLongPolls, silent, type Treatment } from "../node-proxy.ts";
import type { GivenWork } from "../template-watch.ts";
import { Wallet } from "../wallet.ts";
import type { FaultScene } from "./fault-scene.ts";

/** Time that the slow node takes for a template. */
const SLOW_MS = 4_000;
/** Far more than a look at the tip takes on a busy machine, and far less than a long poll. */
const SOON_MS = 20_000;

const hasTransactions = ({ template }: GivenWork): boolean => template.merklePath.length > 0;

/** A node that takes its time, or does not tell of news. */
export function slowNodeScenarios(scene: () => FaultScene): void {
  test("a node that is slow to make a template leaves nobody on the old tip: an empty template comes first, the full one at once", async () => {
    const { node, proxy, line } = scene();
    await scene().workOnTip();
    await (await Wallet.open(node)).sendMany(5, { kinds: ["legacy"] });
    proxy.treat("getblocktemplate", late(SLOW_MS));
    // The long poll that waits already would not be late.
    proxy.hangUp();
    const stopgaps = await scene().metric("node_templates_total", 'stopgap="true"');

    const tip = await scene().foreignBlock();
    const seen = performance.now();
    const full = await line.watch.given("a full template", (work) => work.parent === tip.hash && hasTransactions(work));
    const [first, ...others] = line.watch.work.filter(({ parent }) => parent === tip.hash);
    expect(hasTransactions(first!)).toBe(false);
    expect(first!.at - seen).toBeLessThan(SLOW_MS);
    expect(others[0]).toBe(full);
    expect(full.at - seen).toBeGreaterThan(SLOW_MS / 2);
    expect(await scene().metric("node_templates_total", 'stopgap="true"')).toBe(stopgaps + 1);

    const blockHash = await line.watch.mine(full);
    await line.blocks.outcome(blockHash, "accepted");
    expect(await node.rpc("getrawmempool")).toEqual([]);
    await line.goesOn();
  });

  test("a node whose long polls are never answered gives new work all the same", async () => {
    const { proxy, line } = scene();
    let waiting = 0;
    const unanswered: Treatment = async (call, pass) => {
      waiting += 1;
      return await silent(call, pass);
    };
    proxy.treat("getblocktemplate", onLongPolls(unanswered));
    proxy.hangUp();
    await until("a long poll waits", () => waiting > 0);

    const tip = await scene().foreignBlock();
    const seen = performance.now();
    const work = await line.watch.given("work on the tip", ({ parent }) => parent === tip.hash);
    expect(work.at - seen).toBeLessThan(SOON_MS);
    await line.goesOn();
  });
}
