import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BitcoinError, displayHash, fromHex, hash, hashFromDisplay, hex, sha256d } from "./index.ts";

describe("hexadecimal", () => {
  test("survives both ways, in either case", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(fromHex(hex(bytes))).toEqual(bytes);
        expect(fromHex(hex(bytes).toUpperCase())).toEqual(bytes);
      }),
    );
  });

  test.each(["abc", "0x12", "zz12", "12 4", "1\n", "é1"])("refuses %j instead of guessing", (text) => {
    expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: "bad-hex" }));
  });
});

describe("hashes", () => {
  test("SHA-256d of nothing is the known one, in internal order", () => {
    expect(hex(sha256d(new Uint8Array(0)))).toBe("5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456");
  });

  test("are shown reversed, and read back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const shown = displayHash(bytes);
        expect(shown.slice(0, 2)).toBe(hex(bytes.subarray(31)));
        expect(hashFromDisplay(shown)).toEqual(bytes);
      }),
    );
  });

  test("have 32 bytes or 64 digits, no more and no less", () => {
    expect(() => hash(new Uint8Array(31))).toThrow(RangeError);
    for (const text of ["", "00", "g".repeat(64), "0".repeat(66)]) {
      expect(() => hashFromDisplay(text)).toThrow(BitcoinError);
    }
  });
});
