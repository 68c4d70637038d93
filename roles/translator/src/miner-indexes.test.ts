import { expect, test } from "vitest";
import { MinerIndexes } from "./miner-indexes.ts";

test("an index is never zero, never given twice, and comes back only when the jobs it was used with are dead", () => {
  const indexes = new MinerIndexes(65_000);
  const all = Array.from({ length: 65_535 }, () => indexes.take());
  expect(new Set(all).size).toBe(65_535);
  expect(all).not.toContain(undefined);
  expect(all).not.toContain(0);
  expect(indexes.take()).toBeUndefined();
  indexes.retire(5);
  expect(indexes.take()).toBeUndefined();
  indexes.releaseRetired();
  expect(indexes.take()).toBe(5);
});
