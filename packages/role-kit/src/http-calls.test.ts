import { request } from "node:http";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { checkRpc, rpcSettings } from "./config/rpc-settings.ts";
import type { HttpCall, HttpMethod, HttpMethods } from "./http-calls.ts";
import { metricsRegister } from "./metrics.ts";
import { type Monitoring, serveMonitoring } from "./monitoring.ts";

interface Scene extends AsyncDisposable {
  readonly calls: HttpCall[];
  post(
    path: string,
    init?: { readonly type?: string | null; readonly host?: string; readonly body?: string },
  ): Promise<Answer>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function fault(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

async function serve(): Promise<Scene> {
  const calls: HttpCall[] = [];
  const until = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  const methods: Record<string, HttpMethod> = {
    "test/echo": { kind: "call", run: async (input) => input },
    "test/refuse": { kind: "call", run: () => Promise.reject(fault("not-supported", "nothing behind it")) },
    "test/fail": { kind: "call", run: () => Promise.reject(new Error("a secret of the server")) },
    "test/hang": {
      kind: "call",
      run: async (_input, call) => {
        calls.push(call);
        await until(call.signal);
      },
    },
    "test/count": {
      kind: "stream",
      run: async function* () {
        yield 1;
        yield { two: 2 };
      },
    },
    "test/break": {
      kind: "stream",
      run: async function* () {
        yield 1;
        throw fault("going-away", "stop");
      },
    },
    "test/watch": {
      kind: "stream",
      run: async function* (_input, call) {
        calls.push(call);
        yield 1;
        await until(call.signal);
      },
    },
  };
  const served: HttpMethods = { find: (service, method) => methods[`${service}/${method}`] };
  const monitoring: Monitoring = await serveMonitoring("127.0.0.1:0", {
    role: "test",
    version: "0",
    metrics: metricsRegister(),
    notReadyReason: () => null,
    status: () => ({}),
    methods: () => served,
  });
  const [host, port] = monitoring.address.split(":");
  return {
    calls,
    post: (path, { type = "application/json", host: name, body = "{}" } = {}) =>
      new Promise((resolve, reject) => {
        const headers = {
          ...(type === null ? {} : { "content-type": type }),
          ...(name === undefined ? {} : { host: name }),
        };
        const sent = request(
          { host, port, method: "POST", path: `/rpc/v1/${path}`, headers, agent: false },
          (response) => {
            let text = "";
            response.setEncoding("utf8").on("data", (piece: string) => {
              text += piece;
            });
            const status = response.statusCode ?? 0;
            response.on("end", () => resolve({ status, type: String(response.headers["content-type"]), text }));
            response.on("error", reject);
          },
        );
        sent.on("error", reject);
        sent.end(body);
      }),
    [Symbol.asyncDispose]: () => monitoring[Symbol.asyncDispose](),
  };
}

const codeOf = ({ text }: Answer): unknown => (JSON.parse(text) as { error: { code: unknown } }).error.code;

describe("calls over HTTP", () => {
  test("are answered with JSON", async () => {
    await using scene = await serve();
    const answer = await scene.post("test/echo", { body: '{"a":[1]}' });
    expect(answer).toEqual({ status: 200, text: '{"a":[1]}', type: expect.stringMatching(/^application\/json/) });
    expect(await scene.post("test/echo", { type: "application/json; charset=utf-8" })).toMatchObject({ status: 200 });
  });

  test("say what went wrong, and keep the server's secrets", async () => {
    await using scene = await serve();
    const refused = await scene.post("test/refuse");
    expect([refused.status, refused.text]).toEqual([
      501,
      '{"error":{"code":"not-supported","message":"nothing behind it"}}',
    ]);
    const failed = await scene.post("test/fail");
    expect([failed.status, codeOf(failed)]).toEqual([500, "internal"]);
    expect(failed.text).not.toContain("secret");
    for (const path of ["test/none", "constructor/constructor", "test/__proto__"]) {
      const answer = await scene.post(path);
      expect([answer.status, codeOf(answer)]).toEqual([404, "not-found"]);
    }
  });

  test.each([
    ["no JSON", { body: "{" }, 400],
    ["more than a call needs", { body: JSON.stringify("x".repeat(20_000)) }, 413],
    ["a page's form", { type: "text/plain" }, 400],
    ["nothing that says what it is", { type: null }, 415],
  ])("with %s are refused", async (_what, init, status) => {
    await using scene = await serve();
    const answer = await scene.post("test/echo", init);
    expect([answer.status, codeOf(answer)]).toEqual([status, "invalid-input"]);
  });

  test("to a name that a page has made point here are refused", async () => {
    await using scene = await serve();
    const answer = await scene.post("test/echo", { host: "attacker.example:80" });
    expect([answer.status, codeOf(answer)]).toEqual([403, "not-allowed"]);
    for (const host of ["localhost", "localhost:9090", "127.0.0.2:1", "[::1]:9090"]) {
      expect(await scene.post("test/echo", { host }), host).toMatchObject({ status: 200 });
    }
    for (const host of ["127.0.0.1.attacker.example", "localhost.attacker.example", "[::2]", "evil:1@localhost"]) {
      expect(await scene.post("test/echo", { host }), host).not.toMatchObject({ status: 200 });
    }
  });

  test("stream one line an item and one for the end, good or bad", async () => {
    await using scene = await serve();
    const good = await scene.post("test/count");
    expect([good.type, good.text]).toEqual(["application/x-ndjson", '{"item":1}\n{"item":{"two":2}}\n{"end":true}\n']);
    const bad = await scene.post("test/break");
    expect(bad.text).toBe('{"item":1}\n{"error":{"code":"going-away","message":"stop"}}\n');
  });

  test("are sixteen at once, and one more is refused", async () => {
    await using scene = await serve();
    const hanging = Array.from({ length: 16 }, () => scene.post("test/hang").catch(() => undefined));
    await vi.waitFor(() => expect(scene.calls).toHaveLength(16));
    const answer = await scene.post("test/echo");
    expect([answer.status, codeOf(answer)]).toEqual([429, "too-many-calls"]);
    await scene[Symbol.asyncDispose]();
    await Promise.all(hanging);
    expect(scene.calls.every(({ signal }) => signal.aborted)).toBe(true);
  });

  test("end when the server does", async () => {
    const scene = await serve();
    const watching = scene.post("test/watch").catch(() => undefined);
    await vi.waitFor(() => expect(scene.calls).toHaveLength(1));
    await scene[Symbol.asyncDispose]();
    await watching;
    expect(scene.calls[0]?.signal.reason).toMatchObject({ code: "going-away" });
  });
});

describe("the [rpc] table", () => {
  const config = z.object({ monitoringAddress: z.exactOptional(z.string()), rpc: rpcSettings }).superRefine(checkRpc);
  const problems = (monitoringAddress: string, http: readonly string[]): readonly string[] =>
    config.safeParse({ monitoringAddress, rpc: { http } }).error?.issues.map(({ message }) => message) ?? [];

  test("has control over HTTP on loopback only", () => {
    expect(problems("127.0.0.1:1", ["control"])).toEqual([]);
    expect(problems("[::1]:1", ["control"])).toEqual([]);
    expect(problems("0.0.0.0:1", ["status"])).toEqual([]);
    expect(problems("0.0.0.0:1", ["status", "control"])).toEqual([expect.stringContaining("other machines")]);
  });

  test("lets nobody call over Iroh, and no control over HTTP, unless told", () => {
    expect(rpcSettings.parse({})).toMatchObject({ allowedPeers: [], http: ["health", "status", "metrics"] });
  });
});
