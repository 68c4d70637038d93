import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CodecError,
  decodeTlvs,
  encodeTlvs,
  MAX_TLVS,
  readWorkerIdentity,
  type Tlv,
  WORKER_HASHRATE_TRACKING,
  workerIdentityTlv,
} from "./index.ts";

/** Spec 3.4.3 and extension 0x0002 section 2. */
const example = hex("00 02 01 00 0A 57 6F 72 6B 65 72 5F 30 30 31");
/** What SRI's parsers_sv2 0.6.0 writes for the same name, see vectors/sri-frames.json. */
const fromSri = hex("02 00 01 0A 00 57 6F 72 6B 65 72 5F 30 30 31");

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.split(" "), (byte) => Number.parseInt(byte, 16));
}

const tlv: fc.Arbitrary<Tlv> = fc.record({
  extensionType: fc.nat(0xffff),
  fieldType: fc.nat(0xff),
  value: fc.uint8Array({ maxLength: 40 }),
});

describe("TLV fields", () => {
  test("are written as the specification's example", () => {
    expect(encodeTlvs([workerIdentityTlv("Worker_001")])).toEqual(example);
  });

  test("are written as SRI writes them when asked", () => {
    expect(encodeTlvs([workerIdentityTlv("Worker_001")], "little")).toEqual(fromSri);
  });

  test.each([
    ["the specification's example", example],
    ["SRI's bytes", fromSri],
  ])("are read from %s", (_, bytes) => {
    expect(readWorkerIdentity(decodeTlvs(bytes))).toBe("Worker_001");
  });

  test("that nobody knows are kept", () => {
    const bytes = hex("00 02 01 00 01 61 40 00 09 00 00 7F FF FF 00 02 01 02");
    expect(decodeTlvs(bytes)).toEqual([
      { extensionType: 2, fieldType: 1, value: Uint8Array.of(0x61) },
      { extensionType: 0x4000, fieldType: 9, value: new Uint8Array() },
      { extensionType: 0x7fff, fieldType: 0xff, value: Uint8Array.of(1, 2) },
    ]);
  });

  test("survive encoding and decoding", () => {
    fc.assert(
      fc.property(fc.array(tlv, { maxLength: 8 }), (tlvs) => {
        const ordered = tlvs.toSorted((a, b) => a.extensionType - b.extensionType);
        expect(decodeTlvs(encodeTlvs(tlvs))).toEqual(ordered);
      }),
    );
  });

  test("are written in order of extension, fields of one extension in the order given", () => {
    const field = (extensionType: number, fieldType: number): Tlv => ({
      extensionType,
      fieldType,
      value: new Uint8Array(),
    });
    const written = decodeTlvs(encodeTlvs([field(3, 1), field(2, 9), field(3, 0), field(2, 1)]));
    expect(written.map((each) => [each.extensionType, each.fieldType])).toEqual([
      [2, 9],
      [2, 1],
      [3, 1],
      [3, 0],
    ]);
  });

  test.each([
    ["a header is cut", "00 02 01 00"],
    ["a value is cut", "00 02 01 00 0A 57"],
    ["a length claims 65,535 bytes", "00 02 01 FF FF 57"],
    ["something follows the last", "00 02 01 00 01 61 00"],
  ])("are refused when %s", (_, bytes) => {
    expect(() => decodeTlvs(hex(bytes))).toThrow(new CodecError("bad-tlv", "tlv"));
  });

  test("decode from anything, or are refused as bad", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          const tlvs = decodeTlvs(bytes);
          expect(tlvs.reduce((sum, each) => sum + 5 + each.value.length, 0)).toBe(bytes.length);
        } catch (error) {
          expect(error).toMatchObject({ name: "CodecError", code: "bad-tlv" });
        }
      }),
    );
  });

  test("are at most 64 a message", () => {
    const empty = hex("00 03 01 00 00");
    const many = new Uint8Array(empty.length * (MAX_TLVS + 1));
    for (let index = 0; index <= MAX_TLVS; index += 1) many.set(empty, index * empty.length);
    expect(decodeTlvs(many.subarray(empty.length))).toHaveLength(64);
    expect(() => decodeTlvs(many)).toThrow(new CodecError("bad-tlv", "tlv"));
    const value = new Uint8Array();
    const tooMany = Array.from({ length: MAX_TLVS + 1 }, () => ({ extensionType: 3, fieldType: 1, value }));
    expect(() => encodeTlvs(tooMany)).toThrow(new CodecError("bad-tlv", "tlv"));
  });

  test("are not written when a part does not fit", () => {
    for (const wrong of [{ extensionType: 0x10000 }, { fieldType: 256 }, { value: new Uint8Array(0x10000) }]) {
      const field = { extensionType: 3, fieldType: 1, value: new Uint8Array(), ...wrong };
      expect(() => encodeTlvs([field])).toThrow(new CodecError("value-out-of-range", "tlv"));
    }
  });
});

describe("the worker identity of extension 0x0002", () => {
  const at = "SubmitSharesExtended.tlv.userIdentity";
  const field = (value: Uint8Array): Tlv => ({ extensionType: WORKER_HASHRATE_TRACKING, fieldType: 1, value });

  test("takes 32 bytes of UTF-8 and not 33", () => {
    const name = `${"é".repeat(15)}ab`;
    expect(readWorkerIdentity([workerIdentityTlv(name)])).toBe(name);
    expect(() => workerIdentityTlv(`${name}c`)).toThrow(RangeError);
  });

  test("is not written from a string that has no UTF-8 form", () => {
    expect(() => workerIdentityTlv("\udc00")).toThrow(RangeError);
  });

  test("is undefined when the message carries none", () => {
    expect(readWorkerIdentity([{ extensionType: 3, fieldType: 1, value: Uint8Array.of(0x61) }])).toBeUndefined();
    expect(readWorkerIdentity([{ extensionType: 2, fieldType: 2, value: Uint8Array.of(0x61) }])).toBeUndefined();
  });

  test("is refused when too long, repeated or not UTF-8", () => {
    expect(() => readWorkerIdentity([field(new Uint8Array(33).fill(0x61))])).toThrow(new CodecError("bad-tlv", at));
    expect(() => readWorkerIdentity([workerIdentityTlv("a"), workerIdentityTlv("a")])).toThrow(
      new CodecError("bad-tlv", at),
    );
    expect(() => readWorkerIdentity([field(Uint8Array.of(0xff))])).toThrow(new CodecError("not-utf8", at));
  });
});
