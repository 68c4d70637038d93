import { appendFile, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hash } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import type { SentTemplate } from "../template-client.ts";
import { seeded } from "../testing/random.ts";
import { temporaryFolder } from "../testing/running-role.ts";
import { assembleTemplate } from "./block-template.ts";
import { genesisTip } from "./chain-tip.ts";
import { SyntheticMempool } from "./synthetic-mempool.ts";
import { TemplateFile } from "./template-file.ts";

const bits = 0x200fffff;
const here = { tip: genesisTip, bits };
const room = { maxAdditionalSize: 100, maxAdditionalSigops: 2 };

function sample(seed: number): SentTemplate {
  const { transactions: waiting } = new SyntheticMempool({ size: 12, random: seeded(seed) });
  return { template: assembleTemplate({ ...here, waiting, room }), headerTimestamp: 1_700_000_000 + seed };
}

async function add(folder: string, ids: readonly number[], maxBytes?: number): Promise<void> {
  await using file = await TemplateFile.open(folder, here, maxBytes);
  for (const id of ids) await file.add(BigInt(id), sample(id));
}

async function former(folder: string, of: typeof here = here): Promise<TemplateFile["former"]> {
  await using file = await TemplateFile.open(folder, of);
  return file.former;
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

describe("the templates on disk", () => {
  test("come back as they were sent, in order, over several processes", async () => {
    await using folder = await temporaryFolder();
    expect(await former(folder.path)).toEqual({ firstId: undefined, sent: new Map() });
    await add(folder.path, [5, 6]);
    await add(folder.path, [9]);
    const { firstId, sent } = await former(folder.path);
    expect(firstId).toBe(5n);
    expect([...sent]).toEqual([5, 6, 9].map((id) => [BigInt(id), sample(id)]));
  });

  test("are forgotten with their tip, but for the first id", async () => {
    await using folder = await temporaryFolder();
    await add(folder.path, [5, 6]);
    const moved = { tip: { ...genesisTip, hash: hash(new Uint8Array(32).fill(3)) }, bits };
    expect(await former(folder.path, moved)).toEqual({ firstId: 5n, sent: new Map() });
    expect(await former(folder.path, { tip: genesisTip, bits: bits - 1 })).toEqual({ firstId: 5n, sent: new Map() });
    {
      await using file = await TemplateFile.open(folder.path, here);
      await file.clear();
      await file.add(7n, sample(7));
    }
    const { firstId, sent } = await former(folder.path);
    expect(firstId).toBe(5n);
    expect([...sent.keys()]).toEqual([7n]);
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
});
