import { describe, expect, test } from "vitest";
import {
  B0_16M,
  B0_32,
  B0_64K,
  B0_255,
  BOOL,
  BYTES,
  CodecError,
  type CodecErrorCode,
  F32,
  type FieldType,
  MAC,
  OPTION,
  PUBKEY,
  Reader,
  SEQ0_64K,
  SEQ0_255,
  SIGNATURE,
  STR0_255,
  U8,
  U16,
  U24,
  U32,
  U64,
  U256,
  u256,
  Writer,
} from "./index.ts";

const LIMIT = 0x1000010;

function encode<T>(field: FieldType<T>, value: T): Uint8Array {
  const writer = new Writer(LIMIT);
  writer.start("test");
  field.write(writer, value);
  return writer.finish();
}

function decode<T>(field: FieldType<T>, bytes: Uint8Array | readonly number[]): T {
  return field.read(new Reader(Uint8Array.from(bytes), "test"));
}

function faultOf(action: () => unknown): { code: CodecErrorCode; at: string } {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
    const { code, at } = error as CodecError;
    return { code, at };
  }
  throw new Error("nothing was thrown");
}

const outOfRange = { code: "value-out-of-range", at: "test" };
const shortRead = { code: "short-read", at: "test" };

describe("integers", () => {
  test.each([
    { field: U8, value: 0xfe, bytes: [0xfe] },
    { field: U16, value: 0x0102, bytes: [0x02, 0x01] },
    { field: U24, value: 0x810203, bytes: [0x03, 0x02, 0x81] },
    { field: U32, value: 0xf1020304, bytes: [0x04, 0x03, 0x02, 0xf1] },
  ])("$field.spec is little-endian", ({ field, value, bytes }) => {
    expect([...encode(field, value)]).toEqual(bytes);
    expect(decode(field, bytes)).toBe(value);
  });

  test("U64 is a little-endian bigint", () => {
    const bytes = [8, 7, 6, 5, 4, 3, 2, 0xf1];
    expect([...encode(U64, 0xf102030405060708n)]).toEqual(bytes);
    expect(decode(U64, bytes)).toBe(0xf102030405060708n);
  });

  test.each([
    { field: U8, bits: 8 },
    { field: U16, bits: 16 },
    { field: U24, bits: 24 },
    { field: U32, bits: 32 },
  ])("$field.spec takes 0 and 2^$bits - 1 and nothing around them", ({ field, bits }) => {
    for (const value of [0, 2 ** bits - 1]) expect(decode(field, encode(field, value))).toBe(value);
    for (const value of [-1, 2 ** bits, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(faultOf(() => encode(field, value))).toEqual(outOfRange);
    }
  });

  test("U64 takes 0 and 2^64 - 1 and nothing around them", () => {
    for (const value of [0n, 2n ** 64n - 1n]) expect(decode(U64, encode(U64, value))).toBe(value);
    for (const value of [-1n, 2n ** 64n]) expect(faultOf(() => encode(U64, value))).toEqual(outOfRange);
  });
});

describe("BOOL", () => {
  test("reads bit 0 and ignores the others", () => {
    expect([0, 1, 2, 3, 0xfe, 0xff].map((byte) => decode(BOOL, [byte]))).toEqual([
      false,
      true,
      false,
      true,
      false,
      true,
    ]);
  });

  test("writes the other bits as zero", () => {
    expect([...encode(BOOL, true), ...encode(BOOL, false)]).toEqual([1, 0]);
  });
});

describe("F32", () => {
  test("is little-endian IEEE 754", () => {
    expect([...encode(F32, 1.5)]).toEqual([0, 0, 0xc0, 0x3f]);
  });

  test("passes what is not a finite number both ways", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0]) {
      expect(decode(F32, encode(F32, value))).toBe(value);
    }
  });

  test("reads every NaN as NaN", () => {
    expect(decode(F32, [1, 0, 0x80, 0x7f])).toBeNaN();
    expect(decode(F32, [0xff, 0xff, 0xff, 0xff])).toBeNaN();
  });

  test("refuses a finite number that would become infinite", () => {
    expect(faultOf(() => encode(F32, 3.5e38))).toEqual(outOfRange);
  });
});

describe("STR0_255", () => {
  test("counts bytes, not characters", () => {
    expect([...encode(STR0_255, "é🔥")]).toEqual([6, 0xc3, 0xa9, 0xf0, 0x9f, 0x94, 0xa5]);
  });

  test("keeps a byte order mark and control characters", () => {
    for (const text of ["\ufeffminer", "\u0000\n", ""]) expect(decode(STR0_255, encode(STR0_255, text))).toBe(text);
  });

  test.each([
    ["a stray continuation byte", [0x80]],
    ["an overlong form", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a code point past 10FFFF", [0xf4, 0x90, 0x80, 0x80]],
    ["a cut sequence", [0xe2, 0x82]],
  ])("refuses %s", (_, bytes) => {
    expect(faultOf(() => decode(STR0_255, [bytes.length, ...bytes]))).toEqual({ code: "not-utf8", at: "test" });
  });

  test("refuses a lone surrogate, which has no UTF-8 form", () => {
    expect(faultOf(() => encode(STR0_255, "a\ud800"))).toEqual({ code: "not-utf8", at: "test" });
  });

  test("takes 255 bytes and not 256", () => {
    expect(encode(STR0_255, "a".repeat(255)).length).toBe(256);
    expect(faultOf(() => encode(STR0_255, "é".repeat(128)))).toEqual(outOfRange);
  });
});

describe("byte arrays", () => {
  test.each([
    { field: B0_32, prefix: 1, most: 32 },
    { field: B0_255, prefix: 1, most: 255 },
    { field: B0_64K, prefix: 2, most: 65_535 },
    { field: B0_16M, prefix: 3, most: 16_777_215 },
  ])("$field.spec takes $most bytes and not one more", ({ field, prefix, most }) => {
    const bytes = new Uint8Array(most).fill(7);
    const encoded = encode(field, bytes);
    expect(encoded.length).toBe(prefix + most);
    expect(Buffer.compare(decode(field, encoded), bytes)).toBe(0);
    expect(faultOf(() => encode(field, new Uint8Array(most + 1)))).toEqual(outOfRange);
  });

  test("the length in front is little-endian", () => {
    expect([...encode(B0_64K, new Uint8Array(0x0102)).subarray(0, 2)]).toEqual([0x02, 0x01]);
    expect([...encode(B0_16M, new Uint8Array(0x010203)).subarray(0, 3)]).toEqual([0x03, 0x02, 0x01]);
  });

  test("B0_32 refuses a length of 33 even when the bytes are there", () => {
    expect(faultOf(() => decode(B0_32, new Uint8Array(80).fill(33)))).toEqual(outOfRange);
  });

  test.each([
    { field: U256 as FieldType<Uint8Array>, size: 32 },
    { field: PUBKEY, size: 32 },
    { field: MAC, size: 16 },
    { field: SIGNATURE, size: 64 },
    { field: BYTES(5), size: 5 },
  ])("$field.spec is exactly $size bytes", ({ field, size }) => {
    const value = new Uint8Array(size).fill(9);
    expect(encode(field, value)).toEqual(value);
    expect(decode(field, value)).toEqual(value);
    for (const wrong of [size - 1, size + 1]) {
      expect(faultOf(() => encode(field, new Uint8Array(wrong)))).toEqual(outOfRange);
    }
    expect(faultOf(() => decode(field, new Uint8Array(size - 1)))).toEqual(shortRead);
  });

  test("a decoded value is a view into what was read", () => {
    const bytes = Uint8Array.of(2, 10, 11);
    const value = B0_255.read(new Reader(bytes, "test"));
    bytes[2] = 12;
    expect([...value]).toEqual([10, 12]);
  });

  test("a value decoded from a Buffer is not a Buffer, so that slice copies it", () => {
    const value = B0_255.read(new Reader(Buffer.from([2, 10, 11]), "test"));
    expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
  });

  test("u256 takes 32 bytes only", () => {
    expect(u256(new Uint8Array(32)).length).toBe(32);
    expect(() => u256(new Uint8Array(31))).toThrow(RangeError);
  });
});

describe("sequences", () => {
  test("are a count and the elements", () => {
    expect([...encode(SEQ0_255(U16), [1, 2])]).toEqual([2, 1, 0, 2, 0]);
    expect([...encode(SEQ0_64K(U8), [7, 8])]).toEqual([2, 0, 7, 8]);
    expect(decode(SEQ0_64K(B0_255), [2, 0, 1, 9, 0])).toEqual([Uint8Array.of(9), new Uint8Array()]);
  });

  test.each([
    { field: SEQ0_255(U8), most: 255 },
    { field: SEQ0_64K(U8), most: 65_535 },
  ])("$field.spec takes $most elements and not one more", ({ field, most }) => {
    const values = Array.from({ length: most }, () => 3);
    expect(decode(field, encode(field, values))).toEqual(values);
    expect(faultOf(() => encode(field, [...values, 3]))).toEqual(outOfRange);
  });

  test("OPTION is a sequence of none or one", () => {
    expect([...encode(OPTION(U16), null)]).toEqual([0]);
    expect([...encode(OPTION(U16), 0)]).toEqual([1, 0, 0]);
    expect(decode(OPTION(U16), [0])).toBeNull();
    expect(decode(OPTION(U16), [1, 0, 0])).toBe(0);
  });

  test("OPTION refuses two elements", () => {
    expect(faultOf(() => decode(OPTION(U8), [2, 0, 0]))).toEqual(outOfRange);
  });

  test("a count that cannot fit is refused before the first element is read", () => {
    let reads = 0;
    const counting: FieldType<number> = {
      ...U32,
      read: (reader) => {
        reads += 1;
        return reader.uint32();
      },
    };
    expect(faultOf(() => decode(SEQ0_64K(counting), [0xff, 0xff, 1, 0, 0, 0]))).toEqual(shortRead);
    expect(reads).toBe(0);
  });
});

test("sizes follow from the types", () => {
  const sizes = [BOOL, U24, STR0_255, B0_16M, OPTION(U32), SEQ0_255(U256), SEQ0_64K(B0_255)].map(
    ({ spec, minSize, maxSize }) => [spec, minSize, maxSize],
  );
  expect(sizes).toEqual([
    ["BOOL", 1, 1],
    ["U24", 3, 3],
    ["STR0_255", 1, 256],
    ["B0_16M", 3, 16_777_218],
    ["OPTION[U32]", 1, 5],
    ["SEQ0_255[U256]", 1, 8_161],
    ["SEQ0_64K[B0_255]", 2, 16_776_962],
  ]);
});

test("a writer refuses more than its limit and is usable again", () => {
  const writer = new Writer(10);
  writer.start("test");
  expect(faultOf(() => writer.bytes(new Uint8Array(11)))).toEqual({ code: "frame-too-large", at: "test" });
  writer.start("test");
  writer.bytes(Uint8Array.of(1, 2));
  expect([...writer.finish()]).toEqual([1, 2]);
});
