import { hex } from "@adit/bitcoin";
import { expect, test } from "vitest";
import { dialPool } from "../harness/dial.ts";
import { HostileServer } from "../harness/hostile-server.ts";
import { MiningAttacker } from "../harness/mining-attacker.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { poolToml, setUp, type TemplateScript, template, tip } from "../harness/template-script.ts";
import { until } from "../harness/until.ts";

type Client = Parameters<TemplateScript>[0];

const PATIENCE_MS = 60_000;
/** How far the ntime of the shares is ahead, so that they outlive a later start of the same tip. */
const AHEAD_SEC = 60;

/** A pool on a template provider whose tips this test moves, and a miner at it. */
test("a share is credited once, though its tip goes, comes back, and starts later", async () => {
  let client: Client | undefined;
  await using provider = await HostileServer.start("template_distribution", "tcp", async (connected) => {
    await setUp(connected);
    client = connected;
    await connected.left();
  });
  await using pool = await RoleInProcess.start("pool", (folder) => poolToml(folder, provider));
  await until("the pool asks for templates", () => client, PATIENCE_MS);
  const [first, second] = [tip(1), tip(2)];
  /** Announces a template and the tip it starts on. The coinbase is the same on either, so that headers may be. */
  const announce = async (id: number, to: Parameters<typeof tip>[1]): Promise<void> => {
    await client?.say(template(id, { coinbasePrefix: template(1).coinbasePrefix }));
    await client?.say(tip(id, to));
  };
  await announce(1, first);
  await until("the pool serves", () => pool.isReady, PATIENCE_MS);
  await using miner = new MiningAttacker(await dialPool(pool));
  const channel = await miner.open({ nominalHashRate: 1e5 });
  const share = miner.findOne(channel, AHEAD_SEC);
  expect(await miner.submit(share)).toBe("accepted");
  const { jobId } = share;

  const onTip = async (prevHash: Uint8Array, not: number): Promise<number> => {
    await until("work on the tip", () => hex(miner.tip.prevHash) === hex(prevHash) && miner.tip.jobId !== not);
    return miner.tip.jobId;
  };
  await announce(2, { ...second, templateId: 2n });
  const elsewhere = await onTip(second.prevHash, jobId);
  expect(await miner.submitAgain(share)).toBe("stale-share");
  expect(await miner.submitAgain(share, { jobId: elsewhere })).toBe("difficulty-too-low");

  await announce(3, { ...first, templateId: 3n });
  const back = await onTip(first.prevHash, jobId);
  expect(await miner.submitAgain(share, { jobId: back })).toBe("duplicate-share");
  const later = miner.findOne(channel, AHEAD_SEC + 1);
  expect(await miner.submit(later)).toBe("accepted");

  await announce(4, { ...second, templateId: 4n });
  await onTip(second.prevHash, elsewhere);
  await announce(5, { ...first, templateId: 5n, headerTimestamp: first.headerTimestamp + 1 });
  const again = await onTip(first.prevHash, back);
  expect(await miner.submitAgain(share, { jobId: again })).toBe("duplicate-share");
  expect(await miner.submitAgain(later, { jobId: again })).toBe("duplicate-share");
  expect(provider.faults).toEqual([]);
});
