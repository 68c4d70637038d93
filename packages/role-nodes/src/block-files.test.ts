import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { displayHash, hex } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { BlockFiles } from "./block-files.ts";
import { filedBlock } from "./testing/filed-block.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const block = filedBlock(500);
const hash = displayHash(block.hash);
const rejected = { height: 500, hash, outcome: "rejected", nodes: { "a:8332": "rejected: bad-cb-amount" } };

describe("the file of a solved block", () => {
  test("is named by height and hash, and is what submitblock takes", async () => {
    await using folder = await temporaryFolder();
    const files = await BlockFiles.open(join(folder.path, "data", "blocks"));
    await files.add(block);
    expect(files.path(block)).toBe(join(folder.path, "data", "blocks", `500-${hash}.hex`));
    expect(await readFile(files.path(block), "utf8")).toBe(`${hex(block.bytes)}\n`);
    expect(await readdir(join(folder.path, "data", "blocks"))).toEqual([`500-${hash}.hex`]);
  });

  test("is made whole when a crash or a full disk left a part of it", async () => {
    await using folder = await temporaryFolder();
    const files = await BlockFiles.open(folder.path);
    await writeFile(files.path(block), hex(block.bytes).slice(0, 99));
    await writeFile(`${files.path(block)}.tmp`, "0123");
    await files.add(block);
    expect(await readFile(files.path(block), "utf8")).toBe(`${hex(block.bytes)}\n`);
  });

  test("is not there at all when it cannot be written", async () => {
    await using folder = await temporaryFolder();
    const files = await BlockFiles.open(folder.path);
    // What a block's file cannot replace: a folder of its name.
    await mkdir(files.path(block));
    await expect(files.add(block)).rejects.toMatchObject({ code: "EISDIR" });
    expect(await readdir(folder.path)).toEqual([basename(files.path(block))]);
  });

  test("is an error of the file system when the folder is gone", async () => {
    await using folder = await temporaryFolder();
    const files = await BlockFiles.open(join(folder.path, "blocks"));
    await rm(join(folder.path, "blocks"), { recursive: true });
    await expect(files.add(block)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("what is left for the next process", () => {
  test("are the blocks that no node has judged, lowest first", async () => {
    await using folder = await temporaryFolder();
    const files = await BlockFiles.open(folder.path);
    const [high, low] = [filedBlock(1_000), filedBlock(999)];
    for (const one of [high, low, block]) await files.add(one);
    await files.judge(block, rejected);
    expect(await files.unjudged()).toEqual({ blocks: [low, high], broken: [], left: 0 });
  });

  test("are not files that hold another thing than their block, which are named", async () => {
    await using folder = await temporaryFolder();
    const files = await BlockFiles.open(folder.path);
    const torn = filedBlock(501);
    for (const one of [block, torn]) await files.add(one);
    await truncate(files.path(torn), 300);
    const other = files.path(filedBlock(502));
    await writeFile(other, hex(block.bytes));
    await writeFile(join(folder.path, "README.md"), "notes of the operator");
    expect(await files.unjudged()).toEqual({ blocks: [block], broken: [files.path(torn), other], left: 0 });
  });

  test("are not more than 64, the newest", async () => {
    await using folder = await temporaryFolder();
    const files = await BlockFiles.open(folder.path);
    for (let height = 90; height < 160; height++) await files.add(filedBlock(height));
    const { blocks, left } = await files.unjudged();
    expect([blocks.length, blocks.at(0)?.height, blocks.at(-1)?.height, left]).toEqual([64, 96, 159, 6]);
  });
});

test("what came of a block stands beside it, the last word only", async () => {
  await using folder = await temporaryFolder();
  const files = await BlockFiles.open(folder.path);
  await files.add(block);
  await files.judge(block, { ...rejected, outcome: "side-branch" });
  await files.judge(block, rejected);
  const text = await readFile(files.path(block).replace(".hex", ".json"), "utf8");
  expect(JSON.parse(text)).toEqual(rejected);
  expect(await readdir(folder.path)).toEqual([`500-${hash}.hex`, `500-${hash}.json`]);
});
