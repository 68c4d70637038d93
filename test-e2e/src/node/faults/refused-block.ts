import { readFile } from "node:fs/promises";
import { displayHash, hash } from "@adit/bitcoin";
import { expect, test } from "vitest";
import { until } from "../../harness/until.ts";
import { tipOf } from "../chain-view.ts";
import { saying } from "../node-proxy.ts";
import type { FaultScene } from "./fault-scene.ts";

/** Nodes that say no to a block that is good. */
export function refusedBlockScenarios(scene: () => FaultScene): void {
  test("a block that its node refuses is taken by another, and what each of them said is in status, file and log", async () => {
    const { node, proxy, line } = scene();
    const { other, otherProxy } = await scene().startOther();
    await using _other = other;
    await using _otherProxy = otherProxy;
    proxy.treat("submitblock", saying("bad-cb-amount"));
    const rejections = await scene().metric("block_submissions_total", 'result="rejected"');

    const blockHash = await line.watch.mine(await scene().workOnTip());
    const { nodes } = await line.blocks.outcome(blockHash, "accepted");
    expect(nodes).toEqual({ [proxy.name]: "rejected: bad-cb-amount", [otherProxy.name]: "accepted" });
    await until("the first node has it of the other", async () => (await tipOf(node)).hash === blockHash);

    const submission = (await line.templateProvider.status()).submissions.find((one) => one.hash === blockHash);
    expect(submission).toMatchObject({ outcome: "accepted", nodes: toStatus(nodes) });
    await line.templateProvider.logged(new RegExp(`${blockHash}.*rejected: bad-cb-amount.*a node refused our block`));
    expect(await scene().metric("block_submissions_total", 'result="rejected"')).toBe(rejections + 1);
    proxy.relent();
    await scene().workOnTip();
    await line.goesOn();
  });

  test("a block that every node refuses stays in its file, from which it is submitted by hand", async () => {
    const { node, proxy, line } = scene();
    const { other, otherProxy } = await scene().startOther();
    await using _other = other;
    await using _otherProxy = otherProxy;
    proxy.treat("submitblock", saying("bad-cb-amount"));
    otherProxy.treat("submitblock", saying("rejected: bad-txnmrklroot"));
    const before = await tipOf(node);

    const blockHash = await line.watch.mine(await scene().workOnTip());
    const { nodes } = await line.blocks.outcome(blockHash, "rejected");
    expect(nodes).toEqual({
      [proxy.name]: "rejected: bad-cb-amount",
      [otherProxy.name]: "rejected: rejected: bad-txnmrklroot",
    });
    const told = await line.templateProvider.logged(new RegExp(`${blockHash}.*"outcome":"rejected"`));
    const { file } = JSON.parse(told) as { readonly file: string };
    expect(await scene().metric("block_outcomes_total", 'outcome="rejected"')).toBe(1);
    await line.goesOn();

    expect(await tipOf(node)).toEqual(before);
    const refusal = await node.rpc<string | null>("submitblock", [(await readFile(file, "utf8")).trim()]);
    expect(refusal).toBeNull();
    expect(await tipOf(node)).toMatchObject({ hash: blockHash, height: before.height + 1 });
    const job = async (): Promise<boolean> => {
      const { prevHash } = line.sv2.jobs.at(-1) ?? {};
      return prevHash !== undefined && displayHash(hash(prevHash)) === blockHash;
    };
    await until("the miners work on it", job);
  });
}

function toStatus(nodes: Readonly<Record<string, string>>): readonly unknown[] {
  return Object.entries(nodes).map(([name, answer]) => ({ name, answer, attempts: expect.any(Number) as number }));
}
