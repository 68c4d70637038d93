import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorLine, minerMessageLimits, parseMessage, poolMessageLimits, resultLine } from "./message.ts";

const parse = (line: string) => parseMessage(line, minerMessageLimits);

describe("the id", () => {
  test.each([
    "1",
    "null",
    "true",
    '"auth"',
    '"txlist\\u0041\\""',
    "18446744073709551615",
    "1.0",
    "-0",
    "1e2",
    '""',
    '"}],{"',
  ])("%s is kept as it came", (id) => {
    for (const line of [
      `{"id":${id},"method":"m","params":[]}`,
      `{ "params" : [{"id":9}, ["id"]] , "method":"id", "id" : ${id} }`,
      `{"id":5,"method":"m","params":{"id":7},"id":${id}}`.replace('{"id":7}', '["id"]'),
    ]) {
      expect(parse(line)).toMatchObject({ kind: "request", id });
      expect(JSON.parse(resultLine(id, "true"))).toEqual({ id: JSON.parse(id), result: true, error: null });
    }
  });

  test("is null when it is missing, and refused when it is no scalar or too long", () => {
    expect(parse('{"method":"m"}')).toMatchObject({ kind: "request", id: "null", params: [] });
    expect(parse('{"id":[1],"method":"m"}')).toEqual({ kind: "fault", id: "null", code: "bad-id" });
    expect(parse('{"id":{"id":1},"method":"m"}')).toEqual({ kind: "fault", id: "null", code: "bad-id" });
    expect(parse(`{"id":${"9".repeat(64)},"method":"m"}`).kind).toBe("request");
    expect(parse(`{"id":${"9".repeat(65)},"method":"m"}`)).toMatchObject({ code: "bad-id" });
  });

  test("agrees with JSON.parse for any JSON object", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom("id", "a", "b"), fc.jsonValue({ maxDepth: 2 })),
        fc.nat(2),
        (value, indent) => {
          const line = JSON.stringify(value, null, indent);
          const message = parse(line);
          if (message.kind === "fault") return;
          expect(JSON.parse(message.id)).toEqual(
            Object.hasOwn(value, "id") ? JSON.parse(JSON.stringify(value["id"])) : null,
          );
        },
      ),
    );
  });
});

describe("a line that is no message", () => {
  test.each([
    ["not-json", "GET / HTTP/1.1"],
    ["not-json", '{"id":1,"method":"mining.subscribe","params":['],
    ["not-json", '{"id":1'],
    ["not-json", '"'],
    ["not-an-object", "[]"],
    ["not-an-object", "null"],
    ["not-an-object", "1e999"],
    ["bad-method", '{"id":1,"method":1}'],
    ["bad-method", '{"id":1,"method":{}}'],
    ["bad-params", '{"id":1,"method":"m","params":{}}'],
    ["bad-params", '{"id":1,"method":"m","params":"x"}'],
    ["bad-params", `{"id":1,"method":"m","params":[${"1,".repeat(16)}1]}`],
    ["too-deep", `{"id":1,"method":"m","params":${"[".repeat(6)}${"]".repeat(6)}}`],
    ["string-too-long", `{"id":1,"method":"m","params":["${"x".repeat(513)}"]}`],
    ["string-too-long", `{"id":1,"method":"m","params":["${"é".repeat(257)}"]}`],
    ["line-too-long", `{"id":1,"method":"m","params":[${" ".repeat(4096)}]}`],
  ])("is a %s fault", (code, line) => {
    expect(parse(line)).toMatchObject({ kind: "fault", code });
  });

  test("is answered with its id where it has one", () => {
    expect(parse('{"id":"x","method":1}')).toMatchObject({ id: '"x"' });
    expect(parse('{"id":7,"method":"m","params":3}')).toMatchObject({ id: "7" });
  });

  test.each([
    ["nested arrays", (size: number) => "[".repeat(size)],
    ["nested objects", (size: number) => '{"a":'.repeat(size / 5)],
    ["a string without end", (size: number) => `"${"x".repeat(size - 1)}`],
    ["backslashes", (size: number) => '"\\'.repeat(size / 2)],
    ["repeated ids", (size: number) => `{${'"id":1,'.repeat(size / 7)}`],
    ["a megabyte", () => "{".repeat(1_000_000)],
  ])("is found in under 50 ms when it is %s (J2)", (_name, build) => {
    for (const limits of [minerMessageLimits, poolMessageLimits]) {
      const line = build(limits.maxLine);
      const times = [0, 1, 2].map(() => {
        const start = performance.now();
        expect(parseMessage(line, limits).kind).toBe("fault");
        return performance.now() - start;
      });
      // The best of three, since the machine may have been busy elsewhere.
      expect(Math.min(...times)).toBeLessThan(50);
    }
  });
});

describe("names that are dangerous elsewhere (J3)", () => {
  test("are members like any other", () => {
    const before = Reflect.ownKeys(Object.prototype);
    expect(parse('{"__proto__":{"method":"m","id":1}}')).toEqual({
      kind: "response",
      id: "null",
      result: undefined,
      error: null,
    });
    expect(parse('{"id":1,"method":"__proto__","constructor":{"prototype":{}}}')).toMatchObject({
      method: "__proto__",
    });
    expect(parse('{"id":1,"__proto__":{"params":[1]},"method":"m"}')).toMatchObject({ params: [] });
    expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
  });
});

test("other members are ignored, and an empty or null method makes a reply", () => {
  expect(parse('{"jsonrpc":"2.0","worker":"w","id":1,"method":"m","params":null}')).toMatchObject({ kind: "request" });
  expect(parse('{"id":1,"method":"","params":null,"result":true,"error":null}')).toMatchObject({ kind: "response" });
  expect(parse('{"id":1,"method":null,"result":true}')).toMatchObject({ kind: "response", result: true, error: null });
});

test("an error reply has a boolean result and a triple, with its text escaped", () => {
  expect(JSON.parse(errorLine("1", 20, 'a"b'))).toEqual({ id: 1, result: false, error: [20, 'a"b', null] });
});
