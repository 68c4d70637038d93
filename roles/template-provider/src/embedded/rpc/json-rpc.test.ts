import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answerRpc, type RpcCall } from "./json-rpc.ts";
import type { RpcMethod } from "./rpc-call.ts";
import { RpcError } from "./rpc-error.ts";

const methods = new Map<string, RpcMethod>([
  ["echo", ({ params }) => params],
  ["later", async () => await Promise.resolve("done")],
  [
    "refuse",
    () => {
      throw new RpcError("notFound", "Block not found");
    },
  ],
  [
    "break",
    () => {
      throw new TypeError("a secret of ours");
    },
  ],
  ["large", () => "x".repeat(20 * 1024 * 1024)],
]);

/** What comes back, with the calls and faults that were told. */
async function ask(body: unknown): Promise<{
  readonly status: number;
  readonly body: unknown;
  readonly calls: readonly RpcCall[];
  readonly faults: readonly unknown[];
}> {
  const calls: RpcCall[] = [];
  const faults: unknown[] = [];
  const { status, text } = await answerRpc(typeof body === "string" ? body : JSON.stringify(body), {
    methods,
    signal: new AbortController().signal,
    onCall: (call) => calls.push(call),
    onFault: (error) => faults.push(error),
  });
  return { status, body: text === "" ? undefined : (JSON.parse(text) as unknown), calls, faults };
}

function toJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner)) ?? "";
}

describe("JSON-RPC", () => {
  test("answers version 1 with result, error and id, whatever the id", async () => {
    for (const id of [7, "seven", null]) {
      const { status, body } = await ask({ jsonrpc: "1.0", id, method: "echo", params: [1, "a"] });
      expect([status, body]).toEqual([200, { result: [1, "a"], error: null, id }]);
    }
    expect((await ask({ method: "echo" })).body).toEqual({ result: [], error: null, id: null });
  });

  test("answers version 2 with either result or error, and HTTP 200", async () => {
    const asked = async (method: string): Promise<readonly unknown[]> => {
      const { status, body } = await ask({ jsonrpc: "2.0", id: 1, method });
      return [status, body];
    };
    expect(await asked("later")).toEqual([200, { jsonrpc: "2.0", result: "done", id: 1 }]);
    const error = { code: -5, message: "Block not found" };
    expect(await asked("refuse")).toEqual([200, { jsonrpc: "2.0", error, id: 1 }]);
  });

  test("does not answer a notification of version 2", async () => {
    expect(await ask({ jsonrpc: "2.0", method: "echo" })).toMatchObject({ status: 204, body: undefined });
    expect(await ask([{ jsonrpc: "2.0", method: "echo" }])).toMatchObject({ status: 204, body: undefined });
  });

  test.each([
    [{ id: 1, method: "refuse" }, 500, -5],
    [{ id: 1, method: "nothing" }, 404, -32601],
    [{ id: 1 }, 400, -32600],
    [{ id: 1, method: "echo", params: { name: 1 } }, 400, -32600],
    ["{", 500, -32700],
    ["3", 500, -32700],
  ])("answers %j of version 1 with HTTP %i and %i", async (request, status, code) => {
    expect(await ask(request)).toMatchObject({ status, body: { result: null, error: { code } } });
  });

  test("answers a batch in its order, each call by itself", async () => {
    const { status, body, calls } = await ask([
      { id: 1, method: "echo", params: [1] },
      { jsonrpc: "2.0", method: "echo" },
      { id: 2, method: "refuse" },
      3,
    ]);
    expect(status).toBe(200);
    expect(body).toMatchObject([
      { id: 1, result: [1] },
      { id: 2, error: { code: -5 } },
      { id: null, error: { code: -32700 } },
    ]);
    expect(calls.map(({ method, outcome }) => `${method} ${outcome}`)).toEqual(["echo ok", "echo ok", "refuse error"]);
    expect((await ask([])).body).toEqual([]);
  });

  test("bounds a batch by its calls, and by the size of its answers", async () => {
    const many = Array.from({ length: 1001 }, (_, id) => ({ id, method: "echo" }));
    expect(await ask(many)).toMatchObject({ status: 400, body: { error: { code: -32600 } } });
    const { body, calls } = await ask([1, 2, 3, 4].map((id) => ({ id, method: "large" })));
    const codes = (body as readonly { readonly error: { readonly code: number } | null }[]).map(
      ({ error }) => error?.code,
    );
    expect(codes).toEqual([undefined, undefined, -32603, -32603]);
    expect(calls.length).toBe(2);
  });

  test("answers anything at all", async () => {
    const request = fc.record(
      {
        jsonrpc: fc.oneof(fc.constantFrom("1.0", "2.0"), fc.anything()),
        id: fc.anything(),
        method: fc.oneof(fc.constantFrom("echo", "refuse", "toString"), fc.anything()),
        params: fc.oneof(fc.array(fc.jsonValue()), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const body = fc.oneof(fc.string(), fc.json(), fc.oneof(request, fc.array(request)).map(toJson));
    await fc.assert(
      fc.asyncProperty(body, async (text) => {
        const { status, faults } = await ask(text);
        expect([200, 204, 400, 404, 500]).toContain(status);
        expect(faults).toEqual([]);
      }),
    );
  });

  test("keeps the words of a fault of ours to itself, and has it logged", async () => {
    const { status, body, faults } = await ask({ id: 1, method: "break" });
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain("secret");
    expect(faults).toEqual([expect.any(TypeError)]);
  });
});
