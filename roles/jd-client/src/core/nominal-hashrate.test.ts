import { expect, test } from "vitest";
import { NominalHashrate } from "./nominal-hashrate.ts";

function told(hashrate: number): NominalHashrate {
  const nominal = new NominalHashrate();
  nominal.tell(hashrate);
  return nominal;
}

test("a small change of the hashrate is not worth a message", () => {
  const nominal = told(100);
  expect([nominal.isDue(105, 0), nominal.isDue(95, 10_000)]).toEqual([false, false]);
});

test("a change is told after a second, in which others may follow, and once", () => {
  const nominal = told(100);
  expect([nominal.isDue(120, 0), nominal.isDue(130, 999), nominal.isDue(140, 1000)]).toEqual([false, false, true]);
  expect(nominal.isDue(140, 5000)).toBe(false);
});

test("a change that goes away is not told", () => {
  const nominal = told(100);
  nominal.isDue(200, 0);
  nominal.isDue(100, 500);
  expect([nominal.isDue(200, 1100), nominal.isDue(200, 2100)]).toEqual([false, true]);
});

test("a hashrate of four times what was told is told at once", () => {
  expect(told(100).isDue(400, 0)).toBe(true);
});
