import { expect, test } from "vitest";
import { UsedTokens } from "./used-tokens.ts";

const NOW = 1_800_000_000_000;
const token = (seed: number, notAfter = 1_800_000_600) => ({ id: new Uint8Array(16).fill(seed), notAfter });

test("a token is used once a job was taken for it, and not before", () => {
  const used = new UsedTokens();
  expect(used.has(token(1).id)).toBe(false);
  used.add(token(1), NOW);
  expect(used.has(token(1).id)).toBe(true);
  expect(used.has(token(2).id)).toBe(false);
});

test("a token whose time is over is forgotten when another comes", () => {
  const used = new UsedTokens();
  used.add(token(1, 1_800_000_000), NOW);
  used.add(token(2), NOW + 999);
  expect([used.has(token(1).id), used.size]).toEqual([true, 2]);
  used.add(token(3), NOW + 1_000);
  expect([used.has(token(1).id), used.size]).toEqual([false, 2]);
});

test("no more are remembered than there is room for, the newest", () => {
  const used = new UsedTokens(2);
  for (const seed of [1, 2, 3]) used.add(token(seed), NOW);
  expect([1, 2, 3].map((seed) => used.has(token(seed).id))).toEqual([false, true, true]);
  expect(used.size).toBe(2);
});
