import { hexToBytes } from "@noble/hashes/utils.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  authorityPublicKey,
  DEMO_AUTHORITY_PUBLIC_KEY,
  decodeAuthorityPublicKey,
  decodeAuthoritySecretKey,
  encodeAuthorityPublicKey,
  encodeAuthoritySecretKey,
  NoiseError,
} from "./index.ts";

const badKey = expect.objectContaining({ code: "bad-key" });

/** Spec 4.7.1, its decimal bytes in hexadecimal. */
const specKey = hexToBytes("76637000979c1c11af0c300bcd8c7fe48610fce9b9c11e3daee35ae0b08a7455");
const specText = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";

/** The secret half of the demo pair in the reference implementation's example configurations. */
const demoSecret = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";

describe("authority keys", () => {
  test("read and write the spec's vector", () => {
    expect(decodeAuthorityPublicKey(specText)).toEqual(specKey);
    expect(encodeAuthorityPublicKey(specKey)).toBe(specText);
  });

  test("read and write the reference implementation's demo pair, whose halves belong together", () => {
    const secret = decodeAuthoritySecretKey(demoSecret);
    expect(encodeAuthoritySecretKey(secret)).toBe(demoSecret);
    expect(encodeAuthorityPublicKey(authorityPublicKey(secret))).toBe(DEMO_AUTHORITY_PUBLIC_KEY);
  });

  test("survive the way to text and back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret) => {
        fc.pre(secret.some((byte) => byte !== 0) && secret[0] !== 0xff);
        expect(decodeAuthoritySecretKey(encodeAuthoritySecretKey(secret))).toEqual(secret);
        const publicKey = authorityPublicKey(secret);
        expect(decodeAuthorityPublicKey(encodeAuthorityPublicKey(publicKey))).toEqual(publicKey);
      }),
      { numRuns: 20 },
    );
  });

  test("refuse a wrong character, a missing one, a wrong prefix and a public key in place of a secret one", () => {
    for (let i = 0; i < specText.length; i++) {
      const wrong = specText.slice(0, i) + (specText[i] === "2" ? "3" : "2") + specText.slice(i + 1);
      expect(() => decodeAuthorityPublicKey(wrong)).toThrow(badKey);
    }
    expect(() => decodeAuthorityPublicKey(specText.slice(1))).toThrow(badKey);
    expect(() => decodeAuthorityPublicKey("")).toThrow(badKey);
    expect(() => decodeAuthorityPublicKey(demoSecret)).toThrow(badKey);
    expect(() => decodeAuthoritySecretKey(specText)).toThrow(badKey);
  });

  test("refuse numbers that are no keys", () => {
    const order = hexToBytes("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    for (const secret of [new Uint8Array(32), order, new Uint8Array(31).fill(1), new Uint8Array(33).fill(1)]) {
      expect(() => authorityPublicKey(secret)).toThrow(badKey);
      expect(() => encodeAuthoritySecretKey(secret)).toThrow(badKey);
    }
    // No point has X = 5.
    const five = new Uint8Array(32);
    five[31] = 5;
    for (const xOnly of [five, new Uint8Array(32), new Uint8Array(32).fill(255), specKey.subarray(1)]) {
      expect(() => encodeAuthorityPublicKey(xOnly)).toThrow(badKey);
    }
  });

  test("never show up in an error", () => {
    for (const text of [`${demoSecret}0`, demoSecret.slice(1), `0${demoSecret}`]) {
      const error = ((): unknown => {
        try {
          return decodeAuthoritySecretKey(text);
        } catch (error) {
          return error;
        }
      })();
      expect(error).toBeInstanceOf(NoiseError);
      expect((error as NoiseError).cause).toBeUndefined();
      expect((error as NoiseError).message).not.toMatch(/[1-9A-HJ-NP-Za-km-z]{12}/);
    }
  });
});
