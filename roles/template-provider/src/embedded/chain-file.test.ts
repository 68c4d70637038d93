import { appendFile, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MinedChain } from "../testing/mined-chain.ts";
import { ChainFile } from "./chain-file.ts";
import { genesisTip } from "./chain-tip.ts";

const BLOCKS = 4;
const { blocks, tips } = new MinedChain(BLOCKS);
let root = "";
/** A file with all blocks, where each of its records ends, and its path. */
let whole = new Uint8Array(0);
const ends: number[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adit-chain-"));
  await using file = await ChainFile.open(join(root, "whole"));
  ends.push((await stat(file.path)).size);
  for (const block of blocks) {
    await file.append(block);
    ends.push((await stat(file.path)).size);
  }
  whole = new Uint8Array(await readFile(file.path));
});

afterAll(() => rm(root, { recursive: true, force: true }));

let count = 0;
/** A folder whose chain file has these bytes. */
async function folderWith(bytes: Uint8Array): Promise<string> {
  const folder = join(root, `case-${++count}`);
  await using file = await ChainFile.open(folder);
  await writeFile(file.path, bytes);
  return folder;
}

const heightAt = (size: number): number => Math.max(0, ends.filter((end) => end <= size).length - 1);

describe("the chain on disk", () => {
  test("is begun with genesis in a folder that is not there yet", async () => {
    await using file = await ChainFile.open(join(root, "new", "deep"));
    expect(file).toMatchObject({ tip: genesisTip, last: undefined, droppedBytes: 0 });
  });

  test("comes back with its tip and its last block, and goes on from there", async () => {
    const folder = await folderWith(whole.subarray(0, ends[3]));
    {
      await using file = await ChainFile.open(folder);
      expect(file.tip).toEqual(tips[3]);
      expect(file.last).toEqual({ bytes: blocks[2]?.bytes, solvedBy: "elsewhere" });
      await file.append(blocks[3]!);
    }
    await using again = await ChainFile.open(folder);
    expect(again.tip).toEqual(tips[4]);
  });

  test("gives back each block by its height, those appended since among them, and every header at its start", async () => {
    const folder = await folderWith(whole.subarray(0, ends[3]));
    await using file = await ChainFile.open(folder);
    expect(file.headers).toEqual(blocks.slice(0, 3).map(({ header }) => header));
    await file.append(blocks[3]!);
    for (const [at, block] of blocks.entries()) expect(await file.read(at + 1)).toEqual(block.bytes);
    for (const height of [0, 5]) await expect(file.read(height)).rejects.toThrow(RangeError);
    const other = await open(file.path, "r+");
    await other.write(Uint8Array.of(0xff), 0, 1, ends[1]! + 60);
    await other.close();
    await expect(file.read(2)).rejects.toMatchObject({ code: "corrupt", at: expect.stringContaining(`${ends[1]}`) });
  });

  test("cut anywhere keeps every block that was whole and says how much it dropped", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (size) => {
        const folder = await folderWith(whole.subarray(0, size));
        const height = heightAt(size);
        {
          await using file = await ChainFile.open(folder);
          expect(file.tip).toEqual(tips[height]);
          expect(file.droppedBytes).toBe(Math.max(0, size - ends[height]!));
          if (height < BLOCKS) await file.append(blocks[height]!);
        }
        await using again = await ChainFile.open(folder);
        expect(again).toMatchObject({ tip: tips[Math.min(height + 1, BLOCKS)], droppedBytes: 0 });
      }),
      { numRuns: 60 },
    );
  });

  test("with a byte changed anywhere but in its last record does not open", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: ends[BLOCKS - 1]! - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const folder = await folderWith(whole.with(at, whole[at]! ^ flip));
          const code = at < ends[0]! ? "not-a-chain" : "corrupt";
          await expect(ChainFile.open(folder)).rejects.toMatchObject({ name: "ChainFileError", code });
        },
      ),
      { numRuns: 60 },
    );
  });

  test("drops a last record that was not filled before the power went", async () => {
    const zeros = whole.slice().fill(0, ends[3]);
    await using unfilled = await ChainFile.open(await folderWith(zeros));
    expect(unfilled.tip).toEqual(tips[3]);
    const half = whole.slice().fill(0, ends[3]! + 100);
    await using halfFilled = await ChainFile.open(await folderWith(half));
    expect(halfFilled.tip).toEqual(tips[3]);
  });

  test("does not take a block that does not build on the one before", async () => {
    const gap = Uint8Array.from([...whole.subarray(0, ends[1]), ...whole.subarray(ends[2])]);
    await expect(ChainFile.open(await folderWith(gap))).rejects.toMatchObject({ code: "corrupt" });
  });

  test("refuses a file that is something else, and leaves it as it is", async () => {
    const folder = await folderWith(new TextEncoder().encode("dear diary"));
    await expect(ChainFile.open(folder)).rejects.toMatchObject({ code: "not-a-chain" });
    expect(await readFile(join(folder, "blocks.dat"), "utf8")).toBe("dear diary");
  });

  test("is not written to when another process has written, or after a failed write", async () => {
    await using file = await ChainFile.open(join(root, "shared"));
    await appendFile(file.path, "x");
    await expect(file.append(blocks[0]!)).rejects.toMatchObject({ code: "changed" });
    await truncate(file.path, ends[0]);
    await expect(file.append(blocks[0]!)).rejects.toMatchObject({ code: "failed" });
    expect((await stat(file.path)).size).toBe(ends[0]);
  });

  test("has a block on disk when append resolves", async () => {
    await using file = await ChainFile.open(join(root, "durable"));
    await file.append(blocks[0]!);
    const other = await open(file.path, "r");
    const { size } = await other.stat();
    await other.close();
    expect(size).toBe(ends[1]);
  });
});
