import { expect, test } from "vitest";
import { type PoolCondition, ProvidersWork, Readiness } from "./readiness.ts";

function told(): { readonly readiness: Readiness; readonly said: string[] } {
  const said: string[] = [];
  const context = { ready: () => void said.push("ready"), notReady: (reason: string) => void said.push(reason) };
  return { readiness: new Readiness(context, () => ({})), said };
}

const serving: PoolCondition = { listening: true, working: true, away: null, durable: true };

test("a pool is ready while it listens and its template provider's work can be recorded, and says what is missing", () => {
  const { readiness, said } = told();
  const conditions: readonly Partial<PoolCondition>[] = [
    { listening: false, working: false },
    { listening: false },
    {},
    {},
    { working: false },
    { working: false, away: "connection refused" },
    {},
    { durable: false, away: "connection refused" },
  ];
  for (const condition of conditions) readiness.update({ ...serving, ...condition });
  expect(said).toEqual([
    expect.stringMatching(/given no work/),
    "about to listen",
    "ready",
    expect.stringMatching(/given no work/),
    "no template provider: connection refused",
    "ready",
    expect.stringMatching(/cannot record shares/),
  ]);
});

test("work counts as the template provider's when it came on the present connection", () => {
  const work = new ProvidersWork();
  expect(work.isThere(undefined)).toBe(false);
  work.connected(undefined);
  expect([work.isThere(undefined), work.isThere(1)]).toEqual([false, true]);
  work.lost();
  expect(work.isThere(1)).toBe(false);
  work.connected(1);
  expect([work.isThere(1), work.isThere(2), work.isThere(undefined)]).toEqual([false, true, false]);
});
