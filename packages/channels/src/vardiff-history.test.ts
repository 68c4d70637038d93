import { describe, expect, test } from "vitest";
import { ShareHistory } from "./vardiff-history.ts";

function windows(history: ShareHistory): { shares: number; exposure: number }[] {
  const seen: { shares: number; exposure: number }[] = [];
  history.scan((shares, exposure) => seen.push({ shares, exposure }));
  return seen;
}

describe("share history", () => {
  test("counts a share with the time it was worked for, also at the end of a stretch", () => {
    const history = new ShareHistory(1, 60);
    history.pass(1, 5);
    history.share();
    history.pass(1, 7);
    expect(windows(history)).toEqual([
      { shares: 0, exposure: 7 },
      { shares: 1, exposure: 12 },
    ]);
  });

  test("remembers an hour of a day in less than a hundred stretches and loses nothing of it", () => {
    const history = new ShareHistory(1, 3600);
    for (let second = 0; second < 86_400; second++) {
      history.pass(1, 1);
      history.share();
    }
    const seen = windows(history);
    expect(seen.length).toBeLessThan(100);
    expect(seen.at(-1)?.exposure).toBeGreaterThan(3000);
    expect(seen.at(-1)?.exposure).toBeLessThan(4500);
    expect(seen.every(({ shares, exposure }) => shares === exposure)).toBe(true);
  });
});
