import { EventEmitter, once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../testing/running-role.ts";
import type { RpcMethod } from "./rpc-call.ts";
import { cookieLogin } from "./rpc-login.ts";
import { RpcServer } from "./rpc-server.ts";

/** A server, and events `begun` and `ended` of the calls of `wait`, which end when their signal aborts. */
function start(waits: EventEmitter = new EventEmitter()): Promise<RpcServer> {
  const wait: RpcMethod = async ({ signal }) => {
    waits.emit("begun");
    if (!signal.aborted) await once(signal, "abort");
    waits.emit("ended");
  };
  return RpcServer.start({
    listen: "127.0.0.1:0",
    login: "user:secret",
    methods: new Map<string, RpcMethod>([
      ["length", ({ params }) => String(params[0]).length],
      ["wait", wait],
    ]),
    onCall: () => {},
    onFault: () => {},
  });
}

const authorization = `Basic ${Buffer.from("user:secret").toString("base64")}`;

async function post(server: RpcServer, body: string, login = "user:secret"): Promise<Response> {
  const headers = { authorization: `Basic ${Buffer.from(login).toString("base64")}` };
  return await fetch(`http://${server.address}/`, { method: "POST", body, headers });
}

const call = (method: string, ...params: readonly unknown[]): string => JSON.stringify({ id: 1, method, params });

async function open(server: RpcServer): Promise<Socket> {
  const [host, port] = server.address.split(":");
  const socket = connect(Number(port), host);
  await once(socket, "connect");
  return socket;
}

describe("the RPC server", () => {
  test("answers who has the password, a block of four million bytes as well", async () => {
    await using server = await start();
    const response = await post(server, call("length", "00".repeat(4_000_000)));
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await response.json()).toEqual({ result: 8_000_000, error: null, id: 1 });
  });

  test.each(["user:guess", "user:", ":secret", ""])("refuses %j, and not at once", async (login) => {
    await using server = await start();
    const started = performance.now();
    const response = await post(server, call("length", ""), login);
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, 'Basic realm="jsonrpc"']);
    // A timer may fire a millisecond early.
    expect(performance.now() - started).toBeGreaterThan(248);
  });

  test("takes nothing but POST, and no body of more than 8 MiB, announced or not", async () => {
    await using server = await start();
    expect((await fetch(`http://${server.address}/`)).status).toBe(405);
    const large = call("length", "0".repeat(8 * 1024 * 1024));
    expect((await post(server, large)).status).toBe(413);
    const socket = await open(server);
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\ntransfer-encoding: chunked\r\n\r\n`);
    const chunk = `100000\r\n${"0".repeat(1024 * 1024)}\r\n`;
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    for (let count = 0; count < 9; count += 1) socket.write(chunk);
    await closed;
    expect((await post(server, call("length", "abc"))).status).toBe(200);
  });

  test("ends a call whose caller has gone, and one that waits when the server stops", async () => {
    const waits = new EventEmitter();
    const server = await start(waits);
    const first = [once(waits, "begun"), once(waits, "ended")];
    const gone = new AbortController();
    const asking = fetch(`http://${server.address}/`, {
      method: "POST",
      body: call("wait"),
      headers: { authorization },
      signal: gone.signal,
    });
    await first[0];
    gone.abort();
    await expect(asking).rejects.toThrow();
    await first[1];
    const second = once(waits, "begun");
    const waiting = post(server, call("wait"));
    await second;
    await server[Symbol.asyncDispose]();
    expect((await waiting).status).toBe(200);
  });

  test("does not wait for the rest of a request when it stops", async () => {
    const server = await start();
    const socket = await open(server);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\ncontent-length: 1000\r\n\r\n{`);
    // By its answer the server has read what the other socket sent before.
    await post(server, call("length", ""));
    await server[Symbol.asyncDispose]();
    await closed;
  });

  test("holds at most 64 connections", async () => {
    await using server = await start();
    const sockets: Socket[] = [];
    for (let count = 0; count < 64; count += 1) sockets.push(await open(server));
    const extra = await open(server);
    await once(extra, "close");
    expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([]);
    for (const socket of sockets) socket.destroy();
  });

  test("says so when its address is taken", async () => {
    await using server = await start();
    const again = RpcServer.start({
      listen: server.address,
      login: "",
      methods: new Map(),
      onCall: () => {},
      onFault: () => {},
    });
    await expect(again).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe("the cookie file", () => {
  test("is new at each start, for this user alone, and gone at the end", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, ".cookie");
    await writeFile(path, "what a crash left", { mode: 0o644 });
    const logins: string[] = [];
    for (let times = 0; times < 2; times += 1) {
      await using login = await cookieLogin(folder.path);
      expect(login.cookiePath).toBe(path);
      expect(await readFile(path, "utf8")).toBe(login.login);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      logins.push(login.login);
    }
    expect(logins[0]).not.toBe(logins[1]);
    expect(logins[0]).toMatch(/^__cookie__:[0-9a-f]{64}$/);
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });
});
