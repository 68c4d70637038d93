import type { Reader } from "./reader.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";
import type { Writer } from "./writer.ts";

declare const brand: unique symbol;

/** A 256-bit unsigned integer: 32 bytes, little-endian as on the wire (spec 3.1). */
export type U256 = Uint8Array & { readonly [brand]: "U256" };

/** Takes 32 little-endian bytes as a {@link U256}, without copying. Throws a RangeError for any other length. */
export function u256(bytes: Uint8Array): U256 {
  if (bytes.length !== 32) throw new RangeError(`a U256 needs 32 bytes, got ${bytes.length}`);
  return bytes as U256;
}

/** One data type of spec 3.1: how a value of type `T` is laid out on the wire. */
export interface FieldType<T> {
  /** The specification's name of the type, e.g. `SEQ0_255[U256]`. */
  readonly spec: string;
  /** Fewest bytes a value takes. */
  readonly minSize: number;
  /** Most bytes a value can take. */
  readonly maxSize: number;
  /** Reads one value. Byte values are views into what is read. Throws CodecError. */
  read(reader: Reader): T;
  /** Writes one value. Throws CodecError when the value does not fit the type. */
  write(writer: Writer, value: T): void;
}

const prefixSizes = { uint8: 1, uint16: 2, uint24: 3 };

/** How a length or count is written in front of what it counts: the name of the reader's and writer's method. */
type Prefix = keyof typeof prefixSizes;

/** Bit 0 of one byte; the other bits are ignored when read and zero when written. */
export const BOOL: FieldType<boolean> = {
  spec: "BOOL",
  minSize: 1,
  maxSize: 1,
  read: (reader) => (reader.uint8() & 1) === 1,
  write: (writer, value) => writer.uint8(value ? 1 : 0),
};

/** Unsigned 8-bit integer. */
export const U8: FieldType<number> = {
  spec: "U8",
  minSize: 1,
  maxSize: 1,
  read: (reader) => reader.uint8(),
  write: (writer, value) => writer.uint8(value),
};

/** Unsigned 16-bit integer, little-endian. */
export const U16: FieldType<number> = {
  spec: "U16",
  minSize: 2,
  maxSize: 2,
  read: (reader) => reader.uint16(),
  write: (writer, value) => writer.uint16(value),
};

/** Unsigned 24-bit integer, little-endian. */
export const U24: FieldType<number> = {
  spec: "U24",
  minSize: 3,
  maxSize: 3,
  read: (reader) => reader.uint24(),
  write: (writer, value) => writer.uint24(value),
};

/** Unsigned 32-bit integer, little-endian. */
export const U32: FieldType<number> = {
  spec: "U32",
  minSize: 4,
  maxSize: 4,
  read: (reader) => reader.uint32(),
  write: (writer, value) => writer.uint32(value),
};

/** Unsigned 64-bit integer, little-endian. */
export const U64: FieldType<bigint> = {
  spec: "U64",
  minSize: 8,
  maxSize: 8,
  read: (reader) => reader.uint64(),
  write: (writer, value) => writer.uint64(value),
};

/** 32-bit IEEE 754 float, little-endian. Spec 3.1 forgets it, chapter 5 uses it. NaN and infinities pass both ways. */
export const F32: FieldType<number> = {
  spec: "F32",
  minSize: 4,
  maxSize: 4,
  read: (reader) => reader.float32(),
  write: (writer, value) => writer.float32(value),
};

/** A fixed number of bytes. */
export function BYTES(length: number): FieldType<Uint8Array> {
  return fixedBytes(`BYTES[${length}]`, length);
}

/** Unsigned 256-bit integer, 32 bytes little-endian. */
export const U256: FieldType<U256> = fixedBytes("U256", 32) as FieldType<U256>;

/** Message authentication code, 16 bytes. */
export const MAC: FieldType<Uint8Array> = fixedBytes("MAC", 16);

/** X coordinate of a secp256k1 public key, 32 bytes (BIP 340). */
export const PUBKEY: FieldType<Uint8Array> = fixedBytes("PUBKEY", 32);

/** Schnorr signature on secp256k1, 64 bytes (BIP 340). */
export const SIGNATURE: FieldType<Uint8Array> = fixedBytes("SIGNATURE", 64);

/** 0 to 32 bytes behind an 8-bit length. */
export const B0_32: FieldType<Uint8Array> = prefixedBytes("B0_32", "uint8", 32);

/** 0 to 255 bytes behind an 8-bit length. */
export const B0_255: FieldType<Uint8Array> = prefixedBytes("B0_255", "uint8", 255);

/** 0 to 65,535 bytes behind a 16-bit length. */
export const B0_64K: FieldType<Uint8Array> = prefixedBytes("B0_64K", "uint16", 0xffff);

/** 0 to 16,777,215 bytes behind a 24-bit length. */
export const B0_16M: FieldType<Uint8Array> = prefixedBytes("B0_16M", "uint24", 0xffffff);

/** 0 to 255 bytes of well-formed UTF-8 behind an 8-bit length. A byte order mark is kept. */
export const STR0_255: FieldType<string> = {
  spec: "STR0_255",
  minSize: 1,
  maxSize: 256,
  read: (reader) => {
    const bytes = B0_255.read(reader);
    try {
      return decodeUtf8(bytes);
    } catch (cause) {
      throw reader.fault("not-utf8", { cause });
    }
  },
  write: (writer, value) => {
    const bytes = encodeUtf8(value);
    if (bytes === undefined) throw writer.fault("not-utf8");
    B0_255.write(writer, bytes);
  },
};

/** Zero or one value behind an 8-bit count; null stands for none. */
export function OPTION<T>(element: FieldType<T>): FieldType<T | null> {
  const sequence = prefixedSequence(`OPTION[${element.spec}]`, "uint8", { element, maxCount: 1 });
  return {
    spec: sequence.spec,
    minSize: sequence.minSize,
    maxSize: sequence.maxSize,
    read: (reader) => {
      const [value = null] = sequence.read(reader);
      return value;
    },
    write: (writer, value) => sequence.write(writer, value === null ? [] : [value]),
  };
}

/** 0 to 255 values behind an 8-bit count. */
export function SEQ0_255<T>(element: FieldType<T>): FieldType<readonly T[]> {
  return prefixedSequence(`SEQ0_255[${element.spec}]`, "uint8", { element, maxCount: 255 });
}

/** 0 to 65,535 values behind a 16-bit count. */
export function SEQ0_64K<T>(element: FieldType<T>): FieldType<readonly T[]> {
  return prefixedSequence(`SEQ0_64K[${element.spec}]`, "uint16", { element, maxCount: 0xffff });
}

function fixedBytes(spec: string, length: number): FieldType<Uint8Array> {
  return {
    spec,
    minSize: length,
    maxSize: length,
    read: (reader) => reader.bytes(length),
    write: (writer, value) => {
      if (value.length !== length) throw writer.fault("value-out-of-range");
      writer.bytes(value);
    },
  };
}

function prefixedBytes(spec: string, prefix: Prefix, maxLength: number): FieldType<Uint8Array> {
  return {
    spec,
    minSize: prefixSizes[prefix],
    maxSize: prefixSizes[prefix] + maxLength,
    read: (reader) => {
      const length = reader[prefix]();
      if (length > maxLength) throw reader.fault("value-out-of-range");
      return reader.bytes(length);
    },
    write: (writer, value) => {
      if (value.length > maxLength) throw writer.fault("value-out-of-range");
      writer[prefix](value.length);
      writer.bytes(value);
    },
  };
}

function prefixedSequence<T>(
  spec: string,
  prefix: Prefix,
  { element, maxCount }: { readonly element: FieldType<T>; readonly maxCount: number },
): FieldType<readonly T[]> {
  return {
    spec,
    minSize: prefixSizes[prefix],
    maxSize: prefixSizes[prefix] + maxCount * element.maxSize,
    read: (reader) => {
      const count = reader[prefix]();
      if (count > maxCount) throw reader.fault("value-out-of-range");
      // A lie about the count must not cost memory: refuse it before the first element is read.
      if (count * element.minSize > reader.remaining) throw reader.fault("short-read");
      const values: T[] = [];
      for (let index = 0; index < count; index += 1) values.push(element.read(reader));
      return values;
    },
    write: (writer, values) => {
      if (values.length > maxCount) throw writer.fault("value-out-of-range");
      writer[prefix](values.length);
      for (const value of values) element.write(writer, value);
    },
  };
}
