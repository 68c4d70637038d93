import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bitsFromTarget,
  DIFFICULTY_1,
  difficultyOf,
  hashrateFromTarget,
  MAX_TARGET,
  meetsTarget,
  target,
  targetFromBits,
  targetFromBytes,
  targetFromDifficulty,
  targetFromHashrate,
  targetToBytes,
  workOf,
} from "./index.ts";

const targets = fc
  .oneof(
    fc.bigInt(1n, MAX_TARGET),
    fc.nat(255).map((bit) => 1n << BigInt(bit)),
  )
  .map(target);

describe("compact targets", () => {
  // From arith_uint256_tests.cpp of Bitcoin Core.
  test.each([
    [0x01123456, 0x12n, 0x01120000],
    [0x02123456, 0x1234n, 0x02123400],
    [0x03123456, 0x123456n, 0x03123456],
    [0x04123456, 0x12345600n, 0x04123456],
    [0x05009234, 0x92340000n, 0x05009234],
    [0x20123456, 0x123456n << 232n, 0x20123456],
    [0x1d00ffff, 0xffffn << 208n, 0x1d00ffff],
    [0x207fffff, 0x7fffffn << 232n, 0x207fffff],
    [0x1b0404cb, 0x0404cbn << 192n, 0x1b0404cb],
  ])("%i is what Bitcoin Core makes of it", (nbits, value, again) => {
    expect(targetFromBits(nbits)).toBe(value);
    expect(bitsFromTarget(target(value))).toBe(again);
  });

  test("do not use the sign bit", () => {
    expect(bitsFromTarget(target(0x80n))).toBe(0x02008000);
    expect(bitsFromTarget(MAX_TARGET)).toBe(0x2100ffff);
  });

  test.each([
    0, 0x00123456, 0x01003456, 0x02000056, 0x03000000, 0x04000000, 0x20000000, 0x00923456, 0x01803456, 0x04800000,
  ])("%i is refused as zero", (nbits) => expect(() => targetFromBits(nbits)).toThrow(/zero/));

  test.each([0x01fedcba, 0x04923456])("%i is refused as negative", (nbits) => {
    expect(() => targetFromBits(nbits)).toThrow(/negative/);
  });

  test.each([0xff123456, 0x21010000, 0x22000100, 0x23000001])("%i is refused as too large", (nbits) => {
    expect(() => targetFromBits(nbits)).toThrow(/256 bits/);
  });

  test("cut low bits off and never make a target easier", () => {
    fc.assert(
      fc.property(targets, (value) => {
        const rounded = targetFromBits(bitsFromTarget(value));
        expect(rounded).toBeLessThanOrEqual(value);
        expect(value - rounded).toBeLessThanOrEqual(value >> 15n);
        expect(bitsFromTarget(rounded)).toBe(bitsFromTarget(value));
      }),
    );
  });
});

describe("targets as bytes", () => {
  test("survive both ways, little-endian", () => {
    fc.assert(
      fc.property(targets, (value) => {
        expect(targetFromBytes(targetToBytes(value))).toBe(value);
      }),
    );
    expect(targetToBytes(target(0x0102n)).subarray(0, 3)).toEqual(Uint8Array.of(2, 1, 0));
  });

  test("are 32 and not all zero", () => {
    expect(() => targetFromBytes(new Uint8Array(32))).toThrow(RangeError);
    expect(() => targetFromBytes(new Uint8Array(33).fill(1))).toThrow(RangeError);
    expect(() => target(1n << 256n)).toThrow(RangeError);
  });

  test("compare with a hash as the numbers do", () => {
    fc.assert(
      fc.property(targets, targets, (left, right) => {
        expect(meetsTarget(targetToBytes(left), targetToBytes(right))).toBe(left <= right);
        expect(meetsTarget(targetToBytes(left), targetToBytes(left))).toBe(true);
      }),
    );
    expect(() => meetsTarget(new Uint8Array(32), new Uint8Array(31))).toThrow(RangeError);
  });
});

describe("work", () => {
  test("is the number of hashes a target takes", () => {
    expect(workOf(MAX_TARGET)).toBe(1n);
    expect(workOf(DIFFICULTY_1)).toBe(0x100010001n); // chain work of the genesis block
    expect(workOf(target(1n))).toBe(1n << 255n);
  });
});

describe("difficulty", () => {
  test("divides exactly for whole numbers and binary fractions", () => {
    expect(targetFromDifficulty(1)).toBe(DIFFICULTY_1);
    expect(targetFromDifficulty(3)).toBe(DIFFICULTY_1 / 3n);
    expect(targetFromDifficulty(0.5)).toBe(DIFFICULTY_1 * 2n);
    expect(targetFromDifficulty(2 ** 53 - 1)).toBe(DIFFICULTY_1 / (2n ** 53n - 1n));
    fc.assert(
      fc.property(fc.integer({ min: 1 }), fc.nat(20), (whole, bits) => {
        expect(targetFromDifficulty(whole / 2 ** bits)).toBe((DIFFICULTY_1 << BigInt(bits)) / BigInt(whole));
      }),
    );
  });

  test("stays within what a target can be", () => {
    expect(targetFromDifficulty(Number.MIN_VALUE)).toBe(MAX_TARGET);
    expect(targetFromDifficulty(Number.MAX_VALUE)).toBe(1n);
    for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => targetFromDifficulty(bad)).toThrow(RangeError);
    }
  });

  test("of a target is rounded down, so that nobody is asked for more than the target asks", () => {
    fc.assert(
      fc.property(targets, (value) => {
        const difficulty = difficultyOf(value);
        const again = targetFromDifficulty(difficulty);
        expect(again).toBeGreaterThanOrEqual(value);
        // All 53 bits of a double are used.
        expect(again - value).toBeLessThanOrEqual((value >> 52n) + 1n);
      }),
    );
  });

  test("of well-known targets is the well-known number", () => {
    expect(difficultyOf(targetFromBits(0x1d00ffff))).toBe(1);
    expect(difficultyOf(targetFromBits(0x1b0404cb))).toBeCloseTo(16307.420938523983, 9);
    expect(difficultyOf(targetFromDifficulty(4096))).toBe(4096);
  });
});

describe("hashrate", () => {
  test("of one hash a share needs a target that every second hash meets", () => {
    expect(targetFromHashrate(1, 60)).toBe(((1n << 256n) - 1n) / 2n);
  });

  test("gives the target of the spec's formula in whole numbers", () => {
    const hashes = 100_000_000_000_000n * 10n; // 100 TH/s at 6 shares a minute: ten seconds a share
    expect(targetFromHashrate(1e14, 6)).toBe(((1n << 256n) - hashes) / (hashes + 1n));
  });

  test("comes back from its target, from 1 H/s to 1e20 H/s", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 20, noNaN: true }),
        fc.double({ min: 0.01, max: 600, noNaN: true }),
        (exponent, spm) => {
          const hashrate = 10 ** exponent;
          const again = hashrateFromTarget(targetFromHashrate(hashrate, spm), spm);
          expect(Math.abs(again / hashrate - 1)).toBeLessThan(1e-9);
        },
      ),
    );
  });

  test("beyond all bounds gives the hardest and the easiest target", () => {
    expect(targetFromHashrate(1e300, 1e-3)).toBe(1n);
    expect(targetFromHashrate(Number.MIN_VALUE, 60)).toBe(MAX_TARGET);
    expect(hashrateFromTarget(MAX_TARGET, 6)).toBeGreaterThan(0);
  });

  test("must be finite and above zero", () => {
    for (const bad of [0, -5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => targetFromHashrate(bad, 6)).toThrow(RangeError);
      expect(() => targetFromHashrate(1e12, bad)).toThrow(RangeError);
      expect(() => hashrateFromTarget(DIFFICULTY_1, bad)).toThrow(RangeError);
    }
  });
});
