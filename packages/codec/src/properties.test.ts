import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CodecError,
  type DialectMessage,
  decodeHeader,
  dialect,
  type Frame,
  HEADER_SIZE,
  type MessageProtocol,
  type MessageRow,
  messageSets,
  type Protocol,
  Writer,
} from "./index.ts";

/** A row, and a dialect that speaks it with the types taken off. */
interface Subject {
  readonly title: string;
  readonly row: MessageRow;
  readonly encode: (message: object) => Uint8Array;
  readonly decode: (payload: Uint8Array) => { readonly message: object; readonly tlvs: readonly unknown[] };
}

const subjects: readonly Subject[] = Object.entries(messageSets).flatMap(([protocol, { rows }]) =>
  Object.values(rows).map((row) => subject(protocol as MessageProtocol, row)),
);

function subject(protocol: MessageProtocol, row: MessageRow): Subject {
  const spoken: Protocol = protocol === "common" || protocol === "extensions_negotiation" ? "mining" : protocol;
  const codec = dialect<Protocol>(spoken);
  const { extensionType, channel: channelMsg, type: messageType } = row;
  return {
    title: `${protocol} ${row.specName}`,
    row,
    encode: (message) => codec.encode(message as DialectMessage<Protocol>),
    decode: (payload) => {
      const decoded = codec.decode({ extensionType, channelMsg, messageType, payload });
      if (decoded.kind !== "message") throw new Error(`${row.name} decoded as ${decoded.kind}`);
      return decoded;
    },
  };
}

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

/** Values of every type of spec 3.1, by its name. The largest arrays are in fields.test.ts. */
const scalars: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  BOOL: fc.boolean(),
  U8: fc.nat(0xff),
  U16: fc.nat(0xffff),
  U24: fc.nat(0xffffff),
  U32: fc.integer({ min: 0, max: 0xffffffff }),
  U64: fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
  U256: bytes(32, 32),
  F32: fc.float(),
  STR0_255: fc.oneof(fc.string({ unit: "binary", maxLength: 60 }), fc.constant("\ufeff"), fc.constant("z".repeat(255))),
  B0_32: bytes(0, 32),
  B0_255: bytes(0, 255),
  B0_64K: bytes(0, 600),
  B0_16M: bytes(0, 600),
};

function valueOf(spec: string): fc.Arbitrary<unknown> {
  const [, collection, element] = /^(OPTION|SEQ0_255|SEQ0_64K)\[(.+)\]$/.exec(spec) ?? [];
  if (collection !== undefined && element !== undefined) {
    if (collection === "OPTION") return fc.option(valueOf(element));
    return fc.array(valueOf(element), { maxLength: 6 });
  }
  const scalar = scalars[spec];
  if (scalar === undefined) throw new Error(`no values for ${spec}: add them to scalars`);
  return scalar;
}

function messageOf(row: MessageRow): fc.Arbitrary<object> {
  const fields = Object.entries(row.fields).map(([key, field]) => [key, valueOf(field.spec)]);
  return fc.record({ name: fc.constant(row.name), ...Object.fromEntries(fields) }, { noNullPrototype: true });
}

function frameOf(encoded: Uint8Array): Frame {
  return { ...decodeHeader(encoded), payload: encoded.subarray(HEADER_SIZE) };
}

/** Same message always, with every collection filled: a fixed object for tests that walk through its bytes. */
function sampleOf(row: MessageRow): object {
  const full = (spec: string): unknown => {
    const [, collection, element] = /^(OPTION|SEQ0_255|SEQ0_64K)\[(.+)\]$/.exec(spec) ?? [];
    if (element !== undefined) return collection === "OPTION" ? full(element) : [full(element), full(element)];
    const samples: Readonly<Record<string, unknown>> = {
      BOOL: true,
      U64: 0x0102030405060708n,
      F32: 1.5,
      STR0_255: "text",
      U256: new Uint8Array(32).fill(0x11),
    };
    return samples[spec] ?? (spec.startsWith("B0_") ? Uint8Array.of(1, 2, 3) : 4);
  };
  const fields = Object.entries(row.fields).map(([key, field]) => [key, full(field.spec)]);
  return { name: row.name, ...Object.fromEntries(fields) };
}

describe.each(subjects.map((each) => [each.title, each] as const))("%s", (_, { row, encode, decode }) => {
  test("survives encoding and decoding with any values", () => {
    fc.assert(
      fc.property(messageOf(row), (message) => {
        const encoded = encode(message);
        const frame = frameOf(encoded);
        expect([frame.extensionType, frame.channelMsg, frame.messageType]).toEqual([
          row.extensionType,
          row.channel,
          row.type,
        ]);
        expect(frame.payload.length).toBeGreaterThanOrEqual(row.minSize);
        expect(frame.payload.length).toBeLessThanOrEqual(row.maxSize);
        const { message: decoded, tlvs } = decode(frame.payload);
        expect(tlvs).toEqual([]);
        // Much faster than toEqual on byte arrays.
        expect(isDeepStrictEqual(decoded, message)).toBe(true);
        expect(Buffer.compare(encode(decoded), encoded)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("decodes from any bytes, or they are refused with a CodecError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 160 }), (payload) => {
        let decoded: object;
        try {
          decoded = decode(payload).message;
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError);
          return;
        }
        // NaN has many forms and BOOL ignores seven bits, so bytes are compared after one encoding.
        const again = encode(decoded);
        expect(Buffer.compare(encode(decode(again.subarray(HEADER_SIZE)).message), again)).toBe(0);
        const normalises = Object.values(row.fields).some(({ spec }) => spec === "BOOL" || spec === "F32");
        const read = payload.subarray(0, again.length - HEADER_SIZE);
        if (!normalises) expect(Buffer.compare(again.subarray(HEADER_SIZE), read)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("is refused when cut anywhere", () => {
    const { payload } = frameOf(encode(sampleOf(row)));
    for (let length = 0; length < payload.length; length += 1) {
      expect(() => decode(payload.subarray(0, length))).toThrow(expect.objectContaining({ code: "short-read" }));
    }
  });

  test("never reads past its payload into the bytes behind it", () => {
    const encoded = encode(sampleOf(row));
    const buffer = new Uint8Array(encoded.length + 70_000).fill(0xff);
    buffer.set(encoded);
    for (let end = HEADER_SIZE; end < encoded.length; end += 1) {
      expect(() => decode(buffer.subarray(HEADER_SIZE, end))).toThrow(expect.objectContaining({ code: "short-read" }));
    }
  });

  test("is refused, cheaply, when a length or count in it claims more than there is", () => {
    const { payload } = frameOf(encode(sampleOf(row)));
    for (const { offset, size } of prefixesOf(row)) {
      const lie = payload.slice().fill(0xff, offset, offset + size);
      expect(() => decode(lie)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^(short-read|value-out-of-range)$/) }),
      );
    }
  });

  test("throws nothing but CodecError when a length or count in it is changed at all", () => {
    const { payload } = frameOf(encode(sampleOf(row)));
    for (const { offset, size } of prefixesOf(row)) {
      for (let lie = 0; lie < 256; lie += 1) {
        const lying = payload.slice().fill(0, offset, offset + size);
        lying[offset] = lie;
        try {
          decode(lying);
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError);
        }
      }
    }
  });
});

/** Where the lengths and counts of a row's sample are, those of elements included. */
function prefixesOf(row: MessageRow): readonly { readonly offset: number; readonly size: number }[] {
  const sample = sampleOf(row) as Readonly<Record<string, unknown>>;
  const writer = new Writer(100_000);
  writer.start("prefixes");
  const found: { offset: number; size: number }[] = [];
  for (const [key, field] of Object.entries(row.fields)) {
    let offset = writer.length;
    const size = prefixSize(field.spec);
    if (size > 0) found.push({ offset, size });
    offset += size;
    const elementSize = prefixSize(/\[(.+)\]$/.exec(field.spec)?.[1] ?? "");
    for (const element of elementSize > 0 ? (sample[key] as readonly Uint8Array[]) : []) {
      found.push({ offset, size: elementSize });
      offset += elementSize + element.length;
    }
    field.write(writer, sample[key]);
  }
  return found;
}

function prefixSize(spec: string): number {
  if (/^(STR0_255|B0_32|B0_255|OPTION|SEQ0_255)/.test(spec)) return 1;
  if (/^(B0_64K|SEQ0_64K)/.test(spec)) return 2;
  return spec === "B0_16M" ? 3 : 0;
}

describe("memory", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const held = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };

  test("ten thousand frames that lie about a count leave nothing behind and cost little", () => {
    const liar = subjects.find(({ row }) => row.name === "DeclareMiningJob");
    if (liar === undefined) throw new Error("no DeclareMiningJob");
    // request_id, an empty token, version, no prefix, no suffix, and 65,535 hashes of which none follows
    const payload = Uint8Array.from([1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
    const before = held();
    for (let round = 0; round < 10_000; round += 1) {
      expect(() => liar.decode(payload)).toThrow(expect.objectContaining({ code: "short-read" }));
    }
    expect(held() - before).toBeLessThan(1_000_000);
  });

  test("what one decoded message holds is bounded by its payload", () => {
    const target = subjects.find(({ row }) => row.name === "ProvideMissingTransactionsSuccess");
    if (target === undefined) throw new Error("no ProvideMissingTransactionsSuccess");
    // The worst there is: 65,535 empty transactions of three bytes each.
    const payload = new Uint8Array(4 + 2 + 3 * 65_535);
    payload.fill(0xff, 4, 6);
    const before = held();
    const { message } = target.decode(payload);
    const cost = held() - before;
    expect(message).toMatchObject({ name: "ProvideMissingTransactionsSuccess" });
    expect(cost).toBeLessThan(50 * payload.length);
  });
});
