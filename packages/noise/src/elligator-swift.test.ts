import { readFileSync } from "node:fs";
import { sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { describe, expect, test } from "vitest";
import { decodeEllSwift, encodeEllSwift } from "./elligator-swift.ts";
import { pureCrypto } from "./index.ts";

const rows = (file: string): string[][] =>
  readFileSync(new URL(`./vectors/${file}`, import.meta.url), "utf8")
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(","));

function fail(message: string): never {
  throw new Error(message);
}

describe("ElligatorSwift", () => {
  test("decodes every BIP324 vector", () => {
    const vectors = rows("bip324-ellswift_decode_test_vectors.csv");
    expect(vectors.length).toBe(76);
    for (const [ellswift = "", x] of vectors) expect(bytesToHex(decodeEllSwift(hexToBytes(ellswift)))).toBe(x);
  });

  test("chooses t as every BIP324 vector does, for each u and case that the entropy picks", () => {
    const vectors = rows("bip324-xswiftec_inv_test_vectors.csv");
    expect(vectors.length).toBe(32);
    for (const [u = "", x = "", ...cases] of vectors) {
      for (let ellCase = 0; ellCase < 8; ellCase++) {
        const draws = [hexToBytes(`${u}0${ellCase}`)];
        const entropy = () => draws.pop() ?? fail("it drew again");
        const t = cases[ellCase];
        if (t) expect(bytesToHex(encodeEllSwift(hexToBytes(x), entropy))).toBe(u + t);
        else expect(() => encodeEllSwift(hexToBytes(x), entropy)).toThrow("it drew again");
      }
    }
  });

  test("encodes a key so that it decodes to the same key, differently each time, from the entropy alone", () => {
    let counter = 0;
    const entropy = (length: number) => {
      counter++;
      return sha512(Uint8Array.of(counter >> 8, counter & 0xff)).slice(0, length);
    };
    const keys = Array.from({ length: 20 }, () => pureCrypto.generateKeypair(entropy));
    for (const key of keys) {
      expect(decodeEllSwift(key.publicKey)).toEqual(key.xOnly);
      const again = encodeEllSwift(key.xOnly, entropy);
      expect(again).not.toEqual(key.publicKey);
      expect(decodeEllSwift(again)).toEqual(key.xOnly);
    }
    counter = 0;
    expect(pureCrypto.generateKeypair(entropy)).toEqual(keys[0]);
  });

  test("gives up on entropy that never yields a key, or too few bytes", () => {
    const zeros = (length: number) => new Uint8Array(length);
    expect(() => pureCrypto.generateKeypair(zeros)).toThrow(expect.objectContaining({ code: "bad-key" }));
    expect(() => pureCrypto.generateKeypair(() => new Uint8Array(31).fill(7))).toThrow(
      expect.objectContaining({ code: "bad-key" }),
    );
  });

  test("skips a draw that is no secret key", () => {
    const draws = [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(32).fill(1)];
    let n = 0;
    const entropy = (length: number) => draws[n++] ?? new Uint8Array(length).fill(n);
    expect(pureCrypto.generateKeypair(entropy).secretKey).toEqual(new Uint8Array(32).fill(1));
  });
});
