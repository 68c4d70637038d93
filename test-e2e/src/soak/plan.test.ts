import { expect, test } from "vitest";
import { plannedFaults, readPlan, seatsOf } from "./plan.ts";

const minutesOf = (minutes: number, fault: string): readonly number[] =>
  plannedFaults(readPlan(["--minutes", String(minutes)]))
    .filter((planned) => planned.fault.endsWith(fault))
    .map(({ at }) => Math.round(at / 6_000) / 10);

test("a long run loses the pool every ten minutes of its first half, and the template provider all along", () => {
  expect(minutesOf(120, "-pool")).toEqual([10, 20, 30, 40, 50, 60]);
  expect(minutesOf(120, "template-provider")).toEqual([14, 34, 54, 74, 94]);
});

test("the shortest run loses both once", () => {
  expect(minutesOf(0.25, "-pool")).toHaveLength(1);
  expect(minutesOf(0.25, "template-provider")).toHaveLength(1);
});

test.each([
  [["--minutes", "0"]],
  [["--minutes", "x"]],
  [["--minutes", "100000"]],
  [["--miners", "9"]],
  [["--miners", "1e6"]],
  [["--what"]],
])("%j is refused", (args) => {
  expect(() => readPlan(args)).toThrow();
});

test("a thousand miners are divided between both transports, both protocols and all kinds of channels", () => {
  const halves = [0, 1].map((worker) => seatsOf(readPlan([]), worker, 2));
  const seats = halves.flatMap((half) => half.seats);
  const count = (value: string): number =>
    seats.filter(({ group, channel }) => group === value || (group.startsWith("sv2") && channel === value)).length;
  expect(new Set(seats.map(({ identity }) => identity)).size).toBe(1_000);
  expect([count("sv1-via-tcp"), count("sv1-via-iroh"), count("sv2-tcp"), count("sv2-iroh")]).toEqual([
    300, 300, 200, 200,
  ]);
  for (const channel of ["extended", "standard", "group"]) expect(count(channel)).toBeGreaterThan(120);
  for (const { seats: own, nodes } of halves) {
    const used = own.filter(({ group }) => group === "sv2-iroh").map(({ node }) => node);
    expect(Math.max(...used)).toBe(nodes - 1);
    expect(used.filter((node) => node === 0).length).toBeLessThanOrEqual(5);
  }
});
