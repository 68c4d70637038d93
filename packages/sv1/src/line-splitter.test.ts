import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineSplitter } from "./line-splitter.ts";
import { Sv1Error } from "./sv1-error.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(Sv1Error);
    return (error as Sv1Error).code;
  }
  return "none";
}

describe("LineSplitter", () => {
  test("takes both line endings and skips empty lines", () => {
    expect(new LineSplitter(100).push(bytes("a\r\n\n\r\nb\nc"))).toEqual(["a", "b"]);
  });

  test("yields the same lines however the bytes are cut into packets", () => {
    const text = fc.array(fc.string({ unit: "grapheme", maxLength: 20 }), { maxLength: 20 });
    fc.assert(
      fc.property(text, fc.constantFrom("\n", "\r\n"), fc.array(fc.nat(12)), (parts, ending, cuts) => {
        const lines = parts.map((part) => part.replaceAll(/[\r\n]/g, ""));
        const all = bytes(lines.map((line) => line + ending).join(""));
        const splitter = new LineSplitter(1000);
        const seen: string[] = [];
        let at = 0;
        for (const cut of cuts) {
          seen.push(...splitter.push(all.subarray(at, at + cut)));
          at += cut;
        }
        seen.push(...splitter.push(all.subarray(at)));
        expect(seen).toEqual(lines.filter((line) => line !== ""));
      }),
    );
  });

  test("accepts a line of exactly the limit in one packet or byte by byte, with either ending", () => {
    for (const ending of ["\n", "\r\n"]) {
      expect(new LineSplitter(8).push(bytes(`12345678${ending}`))).toEqual(["12345678"]);
      const slow = new LineSplitter(8);
      const seen = [...bytes(`12345678${ending}`)].flatMap((byte) => slow.push(Uint8Array.of(byte)));
      expect(seen).toEqual(["12345678"]);
    }
  });

  test("refuses a longer line, ended or not, and stays broken", () => {
    for (const text of ["123456789\n", "123456789", "123456789\r\n"]) {
      const splitter = new LineSplitter(8);
      expect(codeOf(() => splitter.push(bytes(text)))).toBe("line-too-long");
      expect(codeOf(() => splitter.push(bytes("ok\n")))).toBe("line-too-long");
    }
    const slow = new LineSplitter(8);
    expect(codeOf(() => [...bytes("123456789\n")].forEach((byte) => slow.push(Uint8Array.of(byte))))).toBe(
      "line-too-long",
    );
  });

  test("refuses what is not UTF-8 with an error of its own", () => {
    for (const wrong of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
      expect(codeOf(() => new LineSplitter(100).push(Uint8Array.of(...wrong, 0x0a)))).toBe("not-utf8");
    }
  });

  test("gives up on an endless line at the limit, one byte at a time (J1)", () => {
    const splitter = new LineSplitter(4096);
    const byte = Uint8Array.of(0x61);
    let taken = 0;
    expect(
      codeOf(() => {
        for (; taken < 100_000; taken++) splitter.push(byte);
      }),
    ).toBe("line-too-long");
    expect(taken).toBe(4096);
  });

  test("never throws anything but Sv1Error", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
        const splitter = new LineSplitter(16);
        for (const chunk of chunks) codeOf(() => splitter.push(chunk));
      }),
    );
  });
});
