import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { httpCaller } from "./http-caller.ts";
import { defaultRpcLimits } from "./limits.ts";

const now = { signal: new AbortController().signal };
const name = { service: "test", method: "do" };

interface Scene extends AsyncDisposable {
  readonly base: URL;
  readonly seen: string[];
}

/** A server that answers every call in one way, whatever that leads to. */
async function serve(answer: (response: ServerResponse) => void): Promise<Scene> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (piece: string) => {
      body += piece;
    });
    request.on("end", () => {
      seen.push(`${request.method} ${request.url} ${request.headers["content-type"]} ${body}`);
      answer(response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    base: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    seen,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function all(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const item of items) taken.push(item);
  return taken;
}

describe("a call over HTTP", () => {
  test("is a POST of JSON, answered with JSON", async () => {
    await using scene = await serve((response) => response.end('{"a":"Ω"}'));
    expect(await httpCaller(scene.base).call(name, { x: 1 }, now)).toEqual({ a: "Ω" });
    expect(scene.seen).toEqual(['POST /rpc/v1/test/do application/json {"x":1}']);
  });

  test("fails with the server's own code and message", async () => {
    await using scene = await serve((response) => {
      response.writeHead(501).end('{"error":{"code":"not-supported","message":"nothing behind it"}}');
    });
    const call = httpCaller(scene.base).call(name, null, now);
    await expect(call).rejects.toMatchObject({ name: "RpcError", code: "not-supported", message: "nothing behind it" });
    await expect(all(httpCaller(scene.base).stream(name, null, now))).rejects.toMatchObject({ code: "not-supported" });
  });

  test.each([
    ["of another program", 404, '{"error":"Not Found","message":"Route not found"}', "internal"],
    ["that is no JSON", 200, "<html>", "invalid-answer"],
    ["that is an error and no JSON", 500, "<html>", "invalid-answer"],
    ["longer than a payload", 200, JSON.stringify("x".repeat(defaultRpcLimits.maxPayload)), "payload-too-large"],
  ])("says so of an answer %s", async (...[, status, text, code]) => {
    await using scene = await serve((response) => response.writeHead(status).end(text));
    await expect(httpCaller(scene.base).call(name, null, now)).rejects.toMatchObject({ code });
  });

  test("ends at its deadline, when it is cancelled, and when nobody is there", async () => {
    await using scene = await serve(() => undefined);
    const caller = httpCaller(scene.base);
    await expect(caller.call(name, null, { ...now, deadlineMs: 20 })).rejects.toMatchObject({
      code: "deadline-exceeded",
    });
    const stop = new AbortController();
    const call = caller.call(name, null, { signal: stop.signal });
    stop.abort();
    await expect(call).rejects.toMatchObject({ code: "cancelled" });
    await scene[Symbol.asyncDispose]();
    await expect(caller.call(name, null, now)).rejects.toMatchObject({
      code: "connection-lost",
      message: expect.stringContaining("cannot be reached") as string,
    });
  });
});

describe("a stream over HTTP", () => {
  test("gives its items however its lines are cut up", async () => {
    const text = '{"item":1}\n{"item":"Ω"}\n{"end":true}\n';
    const bytes = new TextEncoder().encode(text);
    await using scene = await serve((response) => {
      const writeFrom = (at: number): void => {
        if (at === bytes.length) response.end();
        else response.write(bytes.subarray(at, at + 1), () => setImmediate(writeFrom, at + 1));
      };
      writeFrom(0);
    });
    expect(await all(httpCaller(scene.base).stream(name, null, now))).toEqual([1, "Ω"]);
  });

  test.each([
    ["with an error as its last line", '{"item":1}\n{"error":{"code":"going-away","message":"stop"}}\n', "going-away"],
    ["without a last line", '{"item":1}\n', "connection-lost"],
    ["with a line that is no JSON", "{\n", "invalid-answer"],
    ["with a line without end", "x".repeat(defaultRpcLimits.maxPayload + 1), "payload-too-large"],
  ])("fails %s", async (_what, text, code) => {
    await using scene = await serve((response) => response.end(text));
    await expect(all(httpCaller(scene.base).stream(name, null, now))).rejects.toMatchObject({ code });
  });

  test("is let go when its reader has had enough", async () => {
    let gone: Promise<unknown> | undefined;
    await using scene = await serve((response) => {
      gone = once(response, "close");
      response.write('{"item":1}\n');
    });
    for await (const item of httpCaller(scene.base).stream(name, null, now)) {
      expect(item).toBe(1);
      break;
    }
    await gone;
  });
});
