import { fromHex, hex } from "@adit/bitcoin";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bytesOfHex, hexOf } from "./fast-hex.ts";

test("is what @adit/bitcoin makes of any bytes, of a part of a buffer too", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 9_000 }), (bytes) => {
      const part = bytes.subarray(1, bytes.length - 1);
      expect(hexOf(part)).toBe(hex(part));
      expect(bytesOfHex(hex(part))).toEqual(fromHex(hex(part)));
      expect(bytesOfHex(hex(part).toUpperCase())).toEqual(part);
    }),
  );
});

test("takes what @adit/bitcoin takes, and refuses what it refuses", () => {
  const taken = (decode: (text: string) => Uint8Array, text: string): boolean => {
    try {
      decode(text);
      return true;
    } catch {
      return false;
    }
  };
  const digit = fc.constantFrom("0", "9", "a", "f", "A", "F", "g", " ", "x", "-", "é", "\u0000", "\uff41", "\u{1f600}");
  fc.assert(
    fc.property(fc.string({ unit: digit, maxLength: 8 }), (text) => {
      expect(taken(bytesOfHex, text)).toBe(taken(fromHex, text));
    }),
    { numRuns: 2_000 },
  );
});

test("has memory of its own", () => {
  expect(bytesOfHex("0102").buffer.byteLength).toBe(2);
});
