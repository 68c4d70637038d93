import { appendFile, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { genesisTip } from "../embedded/chain-tip.ts";
import { embeddedTemplate } from "../embedded/embedded-chain.ts";
import { SyntheticMempool } from "../embedded/synthetic-mempool.ts";
import type { SentTemplate } from "../template-client.ts";
import { seeded } from "../testing/random.ts";
import { temporaryFolder } from "../testing/running-role.ts";
import { TemplateFile } from "./template-file.ts";

const bits = 0x200fffff;
const room = { maxAdditionalSize: 100, maxAdditionalSigops: 2 };

function sample(seed: number): SentTemplate {
  const { transactions: waiting } = new SyntheticMempool({ size: 12, random: seeded(seed) });
  return {
    template: embeddedTemplate({ tip: genesisTip, bits, waiting, room }),
    headerTimestamp: 1_700_000_000 + seed,
  };
}

async function add(folder: string, ids: readonly number[], maxBytes?: number): Promise<void> {
  await using file = await TemplateFile.open(folder, maxBytes);
  for (const id of ids) await file.add(BigInt(id), sample(id));
}

async function former(folder: string): Promise<TemplateFile["former"]> {
  await using file = await TemplateFile.open(folder);
  return file.former;
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

describe("the templates on disk", () => {
  test("come back as they were sent, in order, over several processes", async () => {
    await using folder = await temporaryFolder();
    expect(await former(folder.path)).toMatchObject({ firstId: undefined, sent: new Map() });
    await add(folder.path, [5, 6]);
    await add(folder.path, [9]);
    const { firstId, sent } = await former(folder.path);
    expect(firstId).toBe(5n);
    expect([...sent]).toEqual([5, 6, 9].map((id) => [BigInt(id), sample(id)]));
  });

  test("are forgotten with their tip once they take much space, but for the first id", async () => {
    await using folder = await temporaryFolder();
    const maxBytes = 40_000;
    {
      await using file = await TemplateFile.open(folder.path, maxBytes);
      await file.add(5n, sample(5));
      await file.leaveTip();
      for (const id of numbers(6, 10)) await file.add(BigInt(id), sample(id));
    }
    expect([...(await former(folder.path)).sent.keys()]).toEqual([5n, 6n, 7n, 8n, 9n]);
    {
      await using file = await TemplateFile.open(folder.path, maxBytes);
      await file.leaveTip();
      await file.add(10n, sample(10));
    }
    const { firstId, sent } = await former(folder.path);
    expect(firstId).toBe(5n);
    expect([...sent]).toEqual([[10n, sample(10)]]);
  });

  test("share what they have in common: a transaction is written once", async () => {
    await using folder = await temporaryFolder();
    const size = async (): Promise<number> => (await stat(join(folder.path, "templates.jsonl"))).size;
    await using file = await TemplateFile.open(folder.path);
    const { template, headerTimestamp } = sample(1);
    await file.add(1n, { template, headerTimestamp });
    const first = await size();
    const fewer = { ...template, transactions: template.transactions.slice(1) };
    await file.add(2n, { template: fewer, headerTimestamp });
    expect((await size()) - first).toBeLessThan(first / 2);
    const { sent } = await former(folder.path);
    expect(sent.get(2n)?.template.transactions).toEqual(fewer.transactions);
    expect(sent.get(2n)?.template.transactions[0]).toBe(sent.get(1n)?.template.transactions[1]);
  });

  test("but one that was written half are whole", async () => {
    await using folder = await temporaryFolder();
    await add(folder.path, [5, 6]);
    const path = join(folder.path, "templates.jsonl");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.slice(0, -200));
    await add(folder.path, [7]);
    await appendFile(path, '\u0000\u0000\n{"id":"8"}\nnull\n');
    expect([...(await former(folder.path)).sent.keys()]).toEqual([5n, 7n]);
  });

  test("take a bounded space, and the newest stay", async () => {
    await using folder = await temporaryFolder();
    const maxBytes = 40_000;
    await add(folder.path, numbers(1, 60), maxBytes);
    await add(folder.path, numbers(60, 90), maxBytes);
    const names = await readdir(folder.path);
    expect(names.toSorted()).toEqual(["templates.jsonl", "templates.jsonl.old"]);
    for (const name of names) expect((await stat(join(folder.path, name))).size).toBeLessThan(maxBytes * 1.5);
    const { firstId, sent } = await former(folder.path);
    const ids = [...sent.keys()].map(Number);
    expect(firstId).toBe(1n);
    expect(ids.length).toBeGreaterThan(4);
    expect(ids).toEqual(numbers(90 - ids.length, 90));
    expect(sent.get(89n)).toEqual(sample(89));
  });

  test("wait for the disk in order, and not too many of them", async () => {
    await using folder = await temporaryFolder();
    {
      await using file = await TemplateFile.open(folder.path);
      const calls = numbers(1, 20).map((id) => file.add(BigInt(id), sample(id)));
      const outcomes = await Promise.allSettled(calls);
      expect(outcomes.map(({ status }) => status)).toEqual([
        ...Array.from({ length: 16 }, () => "fulfilled"),
        ...Array.from({ length: 3 }, () => "rejected"),
      ]);
      await file.add(30n, sample(30));
    }
    expect([...(await former(folder.path)).sent.keys()].map(Number)).toEqual([...numbers(1, 17), 30]);
  });
});
