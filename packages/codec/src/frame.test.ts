import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CodecError, decodeHeader, encodeHeader, HEADER_SIZE, MAX_PAYLOAD } from "./index.ts";

describe("a frame header", () => {
  test("is extension type, message type and length, little-endian, with the channel bit on top", () => {
    const header = { extensionType: 0x0102, channelMsg: true, messageType: 0x1b, length: 0x030405 };
    expect([...encodeHeader(header)]).toEqual([0x02, 0x81, 0x1b, 0x05, 0x04, 0x03]);
  });

  test("is read as SRI's own tests read it", () => {
    // stratum-mining/stratum at 26802203: sv2/framing-sv2/src/framing.rs, size_hint test, and header.rs test
    expect(decodeHeader(Uint8Array.of(0, 128, 30, 46, 0, 0))).toEqual({
      extensionType: 0,
      channelMsg: true,
      messageType: 30,
      length: 46,
    });
    expect(decodeHeader(Uint8Array.of(1, 2, 3, 4, 5, 6))).toEqual({
      extensionType: 0x0201,
      channelMsg: false,
      messageType: 3,
      length: 0x060504,
    });
  });

  test("survives encoding and decoding, whatever it says", () => {
    const header = fc.record({
      extensionType: fc.nat(0x7fff),
      channelMsg: fc.boolean(),
      messageType: fc.nat(0xff),
      length: fc.nat(MAX_PAYLOAD),
    });
    fc.assert(
      fc.property(header, (value) => {
        expect(decodeHeader(encodeHeader(value))).toEqual(value);
      }),
    );
  });

  test("survives decoding and encoding, whatever its six bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: HEADER_SIZE, maxLength: HEADER_SIZE }), (bytes) => {
        expect(encodeHeader(decodeHeader(bytes))).toEqual(bytes);
      }),
    );
  });

  test("is decoded from the front of longer bytes", () => {
    expect(decodeHeader(Uint8Array.of(0, 0, 1, 6, 0, 0, 0xff)).length).toBe(6);
  });

  test("needs six bytes", () => {
    expect(() => decodeHeader(new Uint8Array(5))).toThrow(new CodecError("short-read", "header"));
  });

  test.each([{ extensionType: 0x8000 }, { extensionType: -1 }, { messageType: 256 }, { length: MAX_PAYLOAD + 1 }])(
    "is not written with %o",
    (wrong) => {
      const header = { extensionType: 0, channelMsg: false, messageType: 0, length: 0, ...wrong };
      expect(() => encodeHeader(header)).toThrow(new CodecError("value-out-of-range", "header"));
    },
  );
});
