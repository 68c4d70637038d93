import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import type { BlockRow } from "@adit/share-store";
import { describe, expect, test } from "vitest";
import { BlockJournal } from "./block-journal.ts";
import { temporaryFolder } from "./testing/running-pool.ts";

function row(seed: number, coinbaseLength = 200): BlockRow {
  return {
    hash: new Uint8Array(32).fill(seed),
    height: seed % 2 === 0 ? seed : null,
    header: new Uint8Array(80).fill(seed),
    coinbase: new Uint8Array(coinbaseLength).fill(seed),
    prevHash: new Uint8Array(32).fill(seed + 1),
    templateId: seed % 2 === 0 ? 2n ** 64n - 1n : null,
    declaredBy: seed % 2 === 0 ? null : "alice",
    userIdentity: 'a "name"\n',
    worker: "",
    foundAt: 1_700_000_000_000 + seed,
    result: "pending",
    resultAt: null,
  };
}

async function withJournal(check: (path: string) => void): Promise<void> {
  await using folder = await temporaryFolder();
  check(`${folder.path}/shares.db-blocks`);
}

describe("the journal of blocks", () => {
  test("gives the next process every row that was added, in order, and nothing once it was cleared", async () => {
    await withJournal((path) => {
      const journal = new BlockJournal(path);
      expect(journal.read()).toEqual([]);
      expect(existsSync(path)).toBe(false);
      for (const seed of [1, 2]) journal.add(row(seed));
      const next = new BlockJournal(path);
      expect(next.read()).toEqual([row(1), row(2)]);
      next.add(row(3));
      expect(new BlockJournal(path).read()).toEqual([row(1), row(2), row(3)]);
      next.clear();
      expect(new BlockJournal(path).read()).toEqual([]);
      expect(existsSync(path)).toBe(false);
    });
  });

  test("skips a line that was cut short, and keeps what comes after it", async () => {
    await withJournal((path) => {
      new BlockJournal(path).add(row(1));
      const whole = readFileSync(path, "utf8");
      writeFileSync(path, whole.slice(0, -60));
      const next = new BlockJournal(path);
      expect(next.read()).toEqual([]);
      next.add(row(2));
      appendFileSync(path, "\u0000\u0000\n{}\n[1]\n");
      expect(new BlockJournal(path).read()).toEqual([row(2)]);
    });
  });

  test("refuses to grow for ever", async () => {
    await withJournal((path) => {
      const journal = new BlockJournal(path);
      for (let seed = 0; seed < 5; seed += 1) journal.add(row(seed, 100_000));
      expect(() => journal.add(row(5, 100_000))).toThrow(RangeError);
      expect(new BlockJournal(path).read()).toHaveLength(5);
    });
  });
});
