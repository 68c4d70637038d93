import { getEventListeners } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashFromDisplay } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import type { BitcoinNode } from "./bitcoin-node.ts";
import type { NodeErrorCode } from "./errors.ts";
import { NodeServer, type ServerReply } from "./testing/node-server.ts";
import { displayed, rawChain } from "./testing/raw-template.ts";
import { never, nodeAt, nodeErrorOf } from "./testing/setup.ts";

const chainInfo = async (node: BitcoinNode): Promise<unknown> => await node.chainInfo({ signal: never });

function raw(status: number, body: string): ServerReply {
  return { raw: (response) => response.writeHead(status).end(body) };
}

function rpcError(code: number, message: string): ServerReply {
  return { error: { code, message } };
}

interface FaultCase {
  readonly name: string;
  readonly reply: ServerReply;
  readonly code: NodeErrorCode;
  readonly says: RegExp;
}

/** Rows B1 and B2 of the fault catalogue, as far as something answers. */
const faults: readonly FaultCase[] = [
  { name: "HTTP 403", reply: raw(403, ""), code: "auth-refused", says: /rpcallowip/ },
  {
    name: "HTTP 503",
    reply: raw(503, "Work queue depth exceeded"),
    code: "busy",
    says: /Work queue depth exceeded.*rpcworkqueue/,
  },
  {
    name: "HTTP 500 without JSON",
    reply: raw(500, "<h1>oops"),
    code: "bad-response",
    says: /HTTP 500.*8332 on mainnet/,
  },
  { name: "HTTP 404 of a web server", reply: raw(404, "not here"), code: "bad-response", says: /RPC port/ },
  { name: "an empty body", reply: raw(200, ""), code: "bad-response", says: /without JSON/ },
  { name: "invalid JSON", reply: raw(200, '{"result":'), code: "bad-response", says: /without JSON/ },
  { name: "JSON that is no JSON-RPC", reply: raw(200, '[{"a":1}]'), code: "bad-response", says: /JSON-RPC/ },
  {
    name: "an answer to another request",
    reply: raw(200, JSON.stringify({ result: rawChain(), error: null, id: 999 })),
    code: "bad-response",
    says: /another request/,
  },
  {
    name: "a body cut off halfway",
    reply: {
      raw: (response) => {
        response.writeHead(200, { "content-length": 1_000 });
        response.write('{"result":', () => response.destroy());
      },
    },
    code: "unreachable",
    says: /no connection/,
  },
  { name: "a body without end", reply: { raw: flood }, code: "bad-response", says: /maxBodyBytes/ },
  { name: "warm-up", reply: rpcError(-28, "Loading block index…"), code: "warming-up", says: /Loading block index\?/ },
  {
    name: "download",
    reply: rpcError(-10, "is downloading"),
    code: "initial-block-download",
    says: /downloaded the chain/,
  },
  { name: "no peers", reply: rpcError(-9, "is not connected!"), code: "not-connected", says: /peers/ },
  {
    name: "an unknown method",
    reply: rpcError(-32601, "Method not found"),
    code: "method-not-found",
    says: /rpcwhitelist/,
  },
  { name: "a pruned block", reply: rpcError(-1, "Block not available (pruned data)"), code: "pruned", says: /prune=0/ },
  {
    name: "a bad parameter",
    reply: rpcError(-8, "Invalid parameter"),
    code: "rpc-error",
    says: /"Invalid parameter" \(-8\)/,
  },
];

function flood(response: {
  write(chunk: Buffer): boolean;
  once(event: "drain" | "close", then: () => void): unknown;
}): void {
  const chunk = Buffer.alloc(65_536, " ");
  const more = (): void => {
    while (response.write(chunk));
    response.once("drain", more);
  };
  more();
}

describe("a call of a node that answers with", () => {
  test.each(faults)("$name fails as $code and says what to do", async ({ reply, code, says }) => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => reply);
    const outcomes: string[] = [];
    await using node = nodeAt(server.url, { maxBodyBytes: 1_000_000, onCall: ({ outcome }) => outcomes.push(outcome) });
    const error = await nodeErrorOf(chainInfo(node));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(says);
    expect(error.message).toContain(`127.0.0.1:${server.port} getblockchaininfo: `);
    expect(outcomes).toEqual([code]);
  });

  test("nothing for too long ends as timed-out", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ raw: () => {} }));
    await using node = nodeAt(server.url, { timeoutMs: 50 });
    expect(await nodeErrorOf(chainInfo(node))).toMatchObject({
      code: "timed-out",
      message: expect.stringMatching(/within 50 ms/),
    });
  });

  test("half a body and then nothing ends as timed-out", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ raw: (response) => response.write('{"result":') }));
    await using node = nodeAt(server.url, { timeoutMs: 50 });
    expect((await nodeErrorOf(chainInfo(node))).code).toBe("timed-out");
  });

  test("the number of its error gives that number", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => rpcError(-8, "no"));
    await using node = nodeAt(server.url);
    expect((await nodeErrorOf(chainInfo(node))).rpcCode).toBe(-8);
  });

  test("control characters puts none into the message", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => rpcError(-1, "\u001b[31mred\n"));
    await using node = nodeAt(server.url);
    expect((await nodeErrorOf(chainInfo(node))).message).toContain('"?[31mred?"');
  });
});

describe("a call of a node that is not there", () => {
  test("names the usual RPC ports when the connection is refused", async () => {
    const server = await NodeServer.start();
    const { url } = server;
    await server[Symbol.asyncDispose]();
    await using node = nodeAt(url);
    const error = await nodeErrorOf(chainInfo(node));
    expect(error.code).toBe("unreachable");
    expect(error.message).toMatch(/ECONNREFUSED.*18443 on regtest/);
  });

  test("names the RPC port when the port is the peer-to-peer port", async () => {
    await using node = nodeAt("http://127.0.0.1:8333");
    expect((await nodeErrorOf(chainInfo(node))).message).toMatch(/peer-to-peer port of mainnet, its RPC port is 8332/);
  });

  test("says so when the name does not resolve", async () => {
    await using node = nodeAt("http://node.invalid:8332");
    expect(await nodeErrorOf(chainInfo(node))).toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/does not resolve/),
    });
  });

  test("takes a peer that does not speak HTTP for no RPC port", async () => {
    await using peer = await listen((socket) => socket.on("data", () => socket.end("\xf9\xbe\xb4\xd9version\0")));
    await using node = nodeAt(`http://127.0.0.1:${peer.port}`);
    expect(await nodeErrorOf(chainInfo(node))).toMatchObject({
      code: "bad-response",
      message: expect.stringMatching(/did not answer in HTTP/),
    });
  });
});

test("a connection that is closed under a request is tried again, once", async () => {
  await using server = await NodeServer.start();
  let cuts = 1;
  server.on("getblockchaininfo", () => {
    cuts -= 1;
    return cuts < 0 ? { result: rawChain() } : { raw: (response) => response.destroy() };
  });
  await using node = nodeAt(server.url);
  await expect(chainInfo(node)).resolves.toMatchObject({ height: 101 });
  cuts = 2;
  expect((await nodeErrorOf(chainInfo(node))).code).toBe("unreachable");
  expect(server.calls).toHaveLength(4);
});

describe("the login", () => {
  test("by password is refused for good", async () => {
    await using server = await NodeServer.start();
    server.login = "user:other";
    await using node = nodeAt(server.url);
    const error = await nodeErrorOf(chainInfo(node));
    expect(error).toMatchObject({ code: "auth-refused", message: expect.stringMatching(/user and password.*rpcauth/) });
    expect(error.message).not.toContain("secret");
  });

  test("by cookie outlives a restart of the node, with one more request", async () => {
    await using folder = await temporaryFolder();
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ result: rawChain() }));
    const cookiePath = join(folder.path, ".cookie");
    server.login = "__cookie__:first";
    await writeFile(cookiePath, "__cookie__:first\n");
    await using node = nodeAt(server.url, { auth: { cookiePath } });
    await chainInfo(node);
    server.login = "__cookie__:second";
    await writeFile(cookiePath, "__cookie__:second");
    await Promise.all([chainInfo(node), chainInfo(node), chainInfo(node)]);
    expect(server.calls).toHaveLength(4);
  });

  test("by a cookie of another node is refused", async () => {
    await using folder = await temporaryFolder();
    await using server = await NodeServer.start();
    const cookiePath = join(folder.path, ".cookie");
    await writeFile(cookiePath, "__cookie__:stale");
    await using node = nodeAt(server.url, { auth: { cookiePath } });
    const error = await nodeErrorOf(chainInfo(node));
    expect(error).toMatchObject({ code: "auth-refused" });
    expect(error.message).toContain(cookiePath);
    expect(error.message).not.toContain("stale");
  });

  test.each([
    ["is missing", ".none", /cannot be read \(ENOENT\).*server=1/],
    ["is a folder", ".", /cannot be read \(EISDIR\)/],
    ["is some other file", "readme", /is no cookie file/],
    ["is endless", "/dev/zero", /is no cookie file/],
  ])("by a cookie file that %s is refused before anything is sent", async (_name, name, says) => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, "readme"), "This is a text.\n");
    await using server = await NodeServer.start();
    const cookiePath = name.startsWith("/") ? name : join(folder.path, name);
    await using node = nodeAt(server.url, { auth: { cookiePath } });
    expect(await nodeErrorOf(chainInfo(node))).toMatchObject({
      code: "auth-refused",
      message: expect.stringMatching(says),
    });
    expect(server.mostOpen).toBe(0);
  });
});

describe("ending", () => {
  test("a call by its signal is an aborted call, and its place is free again", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ raw: () => {} }));
    await using node = nodeAt(server.url, { maxConcurrent: 1 });
    const stop = new AbortController();
    const call = nodeErrorOf(node.chainInfo({ signal: stop.signal }));
    await server.called("getblockchaininfo", 1);
    stop.abort();
    expect((await call).code).toBe("aborted");
    server.on("getblockchaininfo", () => ({ result: rawChain() }));
    await expect(chainInfo(node)).resolves.toBeDefined();
  });

  test("the node ends what runs and what waits", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ raw: () => {} }));
    const node = nodeAt(server.url, { maxConcurrent: 1 });
    const calls = [nodeErrorOf(chainInfo(node)), nodeErrorOf(chainInfo(node))];
    await server.called("getblockchaininfo", 1);
    await node[Symbol.asyncDispose]();
    expect((await Promise.all(calls)).map(({ code }) => code)).toEqual(["aborted", "aborted"]);
    expect((await nodeErrorOf(chainInfo(node))).code).toBe("aborted");
  });
});

test("calls leave nothing behind on the signal they were given", async () => {
  await using server = await NodeServer.start();
  server.on("getblockchaininfo", () => ({ result: rawChain() }));
  await using node = nodeAt(server.url, { maxConcurrent: 1, maxQueued: 9 });
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 10 }, () => node.chainInfo({ signal })));
  await nodeErrorOf(node.template({ signal }));
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

describe("calls at once", () => {
  test("are no more than allowed, those that may wait do, and one more is refused", async () => {
    await using server = await NodeServer.start();
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    server.on("getblockchaininfo", async () => {
      await opened;
      return { result: rawChain() };
    });
    await using node = nodeAt(server.url, { maxConcurrent: 3, maxQueued: 5 });
    const calls = Array.from({ length: 8 }, () => chainInfo(node));
    const refused = await nodeErrorOf(chainInfo(node));
    expect(refused).toMatchObject({ code: "overloaded", message: expect.stringMatching(/too many calls wait/) });
    await server.called("getblockchaininfo", 3);
    expect(server.calls).toHaveLength(3);
    open();
    await Promise.all(calls);
    expect(server.mostOpen).toBe(3);
  });

  test("never hold up a block, nor does a long poll", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ raw: () => {} }));
    server.on("getblocktemplate", () => ({ raw: () => {} }));
    server.on("submitblock", () => ({ result: null }));
    await using node = nodeAt(server.url, { maxConcurrent: 2, maxQueued: 2 });
    const stuck = [1, 2, 3, 4].map(() => nodeErrorOf(chainInfo(node)));
    const polling = nodeErrorOf(node.template({ signal: never, longPollId: "id" }));
    await server.called("getblocktemplate", 1);
    await server.called("getblockchaininfo", 2);
    const block = new Uint8Array(80);
    await expect(node.submitBlock(block, { signal: never })).resolves.toEqual({ kind: "accepted" });
    expect((await nodeErrorOf(node.template({ signal: never, longPollId: "id" }))).code).toBe("overloaded");
    await node[Symbol.asyncDispose]();
    await Promise.all([...stuck, polling]);
  });
});

describe("a batch", () => {
  const ids = Array.from({ length: 70 }, (_, at) => hashFromDisplay(displayed(at)));

  test("is one request for every 32 calls, and answers may come in any order", async () => {
    await using server = await NodeServer.start();
    server.on("getrawtransaction", ({ params }) => ({ result: String(params[0]).slice(-2) }));
    await using node = nodeAt(server.url);
    const found = await node.transactions(ids, { signal: never });
    expect(found.map((bytes) => bytes?.[0])).toEqual(ids.map((id) => id[0]));
    expect(server.requests).toEqual([32, 32, 6]);
  });

  test("has undefined for what the node does not have, and fails for any other error", async () => {
    await using server = await NodeServer.start();
    server.on("getrawtransaction", ({ params }) =>
      params[0] === displayed(1) ? rpcError(-5, "No such mempool transaction") : { result: "00" },
    );
    await using node = nodeAt(server.url);
    await expect(node.transactions(ids.slice(0, 2), { signal: never })).resolves.toEqual([Uint8Array.of(0), undefined]);
    server.on("getrawtransaction", () => rpcError(-28, "Loading"));
    expect((await nodeErrorOf(node.transactions(ids.slice(0, 2), { signal: never }))).code).toBe("warming-up");
  });

  test.each([
    ["an error for the whole", { result: null, error: { code: -28, message: "Loading" }, id: null }, "warming-up"],
    ["a single answer", { result: "00", error: null, id: 1 }, "bad-response"],
    ["an answer too few", [], "bad-response"],
    ["nonsense", [null, 7], "bad-response"],
  ])("that is answered with %s fails", async (_name, body, code) => {
    await using peer = await listenHttp(JSON.stringify(body));
    await using node = nodeAt(`http://127.0.0.1:${peer.port}`);
    expect((await nodeErrorOf(node.transactions(ids.slice(0, 2), { signal: never }))).code).toBe(code);
  });
});

test.each(["ftp://127.0.0.1:8332", "127.0.0.1:8332", "http://user:secret@127.0.0.1:8332", ""])(
  "a node at %j is refused when it is made",
  (url) => {
    expect(() => nodeAt(url)).toThrow(RangeError);
  },
);

test.each([
  "timeoutMs",
  "chainTimeoutMs",
  "blockTimeoutMs",
  "longPollMs",
  "maxConcurrent",
  "maxQueued",
  "maxBodyBytes",
])("a %s of 0 is refused when the node is made", (name) => {
  expect(() => nodeAt("http://127.0.0.1:8332", { [name]: 0 })).toThrow(name);
});

interface Listening extends AsyncDisposable {
  readonly port: number;
}

async function listen(onSocket: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function listenHttp(body: string): Promise<Listening> {
  const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  return await listen((socket) => socket.on("data", () => socket.write(answer)));
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "adit-node-"));
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true }) };
}
