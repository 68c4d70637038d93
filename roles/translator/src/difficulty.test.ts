import { MAX_TARGET, target, targetFromDifficulty, targetFromHashrate } from "@adit/bitcoin";
import { roundDifficultyDown } from "@adit/sv1";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { difficultyInPassword, hashrateOfDifficulty, sv1Difficulty } from "./difficulty.ts";

describe("a difficulty for a miner", () => {
  test("is the power of two at or below its target's, whatever comes near", () => {
    const told = [1, 1.99, 2, 2.01, 2887, 4096, 4096.5, 2 ** 52].map((value) =>
      sv1Difficulty(targetFromDifficulty(value)),
    );
    expect(told).toEqual([1, 1, 2, 2, 2048, 4096, 4096, 2 ** 52]);
  });

  test("below one is a single digit", () => {
    expect(sv1Difficulty(targetFromDifficulty(0.000_158))).toBe(0.0001);
    expect(sv1Difficulty(MAX_TARGET)).toBe(1e-9);
  });

  test("never asks for more than the target, so that no share the pool would credit is kept back", () => {
    const targets = fc.bigInt(1n, targetFromDifficulty(1e-9)).map(target);
    fc.assert(
      fc.property(targets, (wanted) => {
        const told = sv1Difficulty(wanted);
        expect(roundDifficultyDown(told)).toBe(told);
        if (told < 2 ** 52) expect(targetFromDifficulty(told)).toBeGreaterThanOrEqual(wanted);
      }),
    );
  });
});

test("a difficulty that a miner asks for is the one it gets, for every power of two", () => {
  for (let exponent = 0; exponent <= 40; exponent += 1) {
    const hashrate = hashrateOfDifficulty(2 ** exponent, 6);
    expect(sv1Difficulty(targetFromHashrate(hashrate, 6))).toBe(2 ** exponent);
  }
});

test("a difficulty in a password is found among other words", () => {
  expect(["x", "d=1024", "x,d=0.5", "diff=7;a=b", "old=5", "d=", "d=1e9", "d=0"].map(difficultyInPassword)).toEqual([
    undefined,
    1024,
    0.5,
    7,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
