import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { difficultyText, readDifficulty, roundDifficultyDown } from "./difficulty.ts";

describe("a difficulty", () => {
  test.each([
    [2887.9, "2887"],
    [1, "1"],
    [1.999, "1"],
    [0.9999, "0.9"],
    [0.3, "0.3"],
    [0.1, "0.1"],
    [0.00015, "0.0001"],
    [7e-8, "0.00000007"],
    [1e-30, "0.000000001"],
    [1e300, "9007199254740991"],
  ])("of %d is told as %s", (difficulty, text) => {
    expect(difficultyText(roundDifficultyDown(difficulty))).toBe(text);
  });

  test("is never rounded up, rounds once only, and reads back as itself", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1e15, noNaN: true }), (difficulty) => {
        const told = roundDifficultyDown(difficulty);
        expect(told).toBeLessThanOrEqual(difficulty);
        expect(told).toBeGreaterThan(difficulty / 2);
        expect(roundDifficultyDown(told)).toBe(told);
        expect(Number(difficultyText(told))).toBe(told);
        expect(difficultyText(told)).toMatch(/^([1-9]\d*|0\.0*[1-9])$/);
      }),
    );
  });

  test("that is no positive number is a host's mistake", () => {
    for (const wrong of [0, -1, Number.NaN]) expect(() => roundDifficultyDown(wrong)).toThrow(RangeError);
  });

  test("is read from a number or its text, and from nothing else", () => {
    expect([5, 0.00015, "1024", "0.5"].map(readDifficulty)).toEqual([5, 0.00015, 1024, 0.5]);
    for (const wrong of [0, -1, 1e308, 1e-300, "", "x", "0x10", " 1", null, {}, [1], true]) {
      expect(readDifficulty(wrong)).toBeUndefined();
    }
  });
});
