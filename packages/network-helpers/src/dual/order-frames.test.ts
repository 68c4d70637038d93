import { decodeHeader } from "@adit/codec";
import fc from "fast-check";
import { expect, test } from "vitest";
import { helloFrame, orderFrame, readOrderFrame } from "./order-frames.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("are the bytes that docs/dual-stream.md says", () => {
  expect(hex(helloFrame)).toBe("324d00000000");
  expect(hex(orderFrame(1))).toBe("324d010800000100000000000000");
  expect(hex(orderFrame(2 ** 40 + 7))).toBe("324d010800000700000000010000");
});

test("are read back", () => {
  const read = (frame: Uint8Array) => readOrderFrame({ ...decodeHeader(frame), payload: frame.subarray(6) });
  expect(read(helloFrame)).toEqual({ kind: "hello" });
  fc.assert(
    fc.property(fc.maxSafeNat(), (after) => {
      expect(read(orderFrame(after))).toEqual({ kind: "order", after });
    }),
  );
});
