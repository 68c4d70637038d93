import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect, Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, test, vi } from "vitest";
import type { ByteStream } from "../byte-stream.ts";
import { NetworkError } from "../errors.ts";
import { transportSuite } from "../testing/index.ts";
import { tcp } from "./index.ts";

const never = new AbortController().signal;

transportSuite("tcp", async () => ({
  kind: "tcp",
  dialer: tcp(),
  listener: tcp(),
  address: "127.0.0.1:0",
  nowhere: "127.0.0.1:1",
  blackHole: "192.0.2.1:9",
  [Symbol.asyncDispose]: async () => undefined,
}));

describe("the tcp transport", () => {
  test("carries bytes over IPv6 and by host name", async () => {
    for (const [listen, dial] of [
      ["[::1]:0", undefined],
      ["127.0.0.1:0", "localhost"],
    ] as const) {
      await using listener = await tcp().listen(listen, { signal: never });
      const address = dial === undefined ? listener.address : `${dial}:${listener.address.split(":").at(-1)}`;
      const accepting = listener.streams[Symbol.asyncIterator]().next();
      const stream = await tcp().dial(address, { signal: AbortSignal.timeout(5000) });
      const accepted = (await accepting).value;
      if (accepted === undefined) throw new Error("not accepted");
      expect(accepted.peer).toMatch(listen.startsWith("[") ? /^\[::1\]:\d+$/ : /^127\.0\.0\.1:\d+$/);
      await Promise.all([stream[Symbol.asyncDispose](), accepted[Symbol.asyncDispose]()]);
    }
  });

  test("dials connections that send at once and probe a silent peer", async () => {
    await using listener = await tcp().listen("127.0.0.1:0", { signal: never });
    const noDelay = vi.spyOn(Socket.prototype, "setNoDelay");
    const keepAlive = vi.spyOn(Socket.prototype, "setKeepAlive");
    await using stream = await tcp({ keepAliveMs: 5_000 }).dial(listener.address, { signal: never });
    expect(stream.peer).toBe(listener.address);
    expect(noDelay.mock.calls).toEqual([[true]]);
    expect(keepAlive.mock.calls).toEqual([[true, 5_000]]);
    vi.restoreAllMocks();
    stream.abort(new Error("test over"));
  });

  test.skipIf(!existsSync("/proc/net/tcp"))("has the kernel probe a silent peer from both ends", async () => {
    await using listener = await tcp().listen("127.0.0.1:0", { signal: never });
    const accepting = listener.streams[Symbol.asyncIterator]().next();
    await using stream = await tcp().dial(listener.address, { signal: never });
    await using accepted = (await accepting).value as ByteStream;
    const port = Number(stream.peer.split(":").at(-1)).toString(16).toUpperCase().padStart(4, "0");
    const rows = readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local, remote, state]) => state === "01" && `${local} ${remote}`.includes(`:${port}`));
    // The sixth column is which timer runs, 02 is the one for keep-alive.
    expect(rows.map(([, , , , , timer]) => timer?.slice(0, 2))).toEqual(["02", "02"]);
    for (const end of [stream, accepted]) end.abort(new Error("test over"));
  });

  test("says what to do about an address in use, a refused connection and an unknown name", async () => {
    await using listener = await tcp().listen("127.0.0.1:0", { signal: never });
    const busy = await tcp()
      .listen(listener.address, { signal: never })
      .catch((error: unknown) => error);
    expect(busy).toMatchObject({
      code: "node-initialisation",
      message: expect.stringMatching(/stop the other program or choose another port/),
    });
    const refused = await tcp()
      .dial("127.0.0.1:1", { signal: never })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "connection-failed", peer: "127.0.0.1:1" });
    expect(refused).toMatchObject({ message: expect.stringMatching(/start the peer/) });
    const unknown = await tcp()
      .dial("no-such-host.invalid:1", { signal: never })
      .catch((error: unknown) => error);
    expect(unknown).toMatchObject({ code: "peer-discovery-failed" });
  });

  test("frees the address as soon as the listener is disposed, while a stream lives on", async () => {
    const listener = await tcp().listen("127.0.0.1:0", { signal: never });
    const accepting = listener.streams[Symbol.asyncIterator]().next();
    const stream = await tcp().dial(listener.address, { signal: never });
    const accepted = (await accepting).value;
    await listener[Symbol.asyncDispose]();
    await using again = await tcp().listen(listener.address, { signal: never });
    expect(again.address).toBe(listener.address);
    await Promise.all([stream[Symbol.asyncDispose](), accepted?.[Symbol.asyncDispose]()]);
  });

  test("shows a reset by the peer as a closed NetworkError with its cause", async () => {
    await using listener = await tcp().listen("127.0.0.1:0", { signal: never });
    const accepting = listener.streams[Symbol.asyncIterator]().next();
    const port = Number(listener.address.split(":").at(-1));
    const raw = connect(port, "127.0.0.1");
    const accepted = (await accepting).value;
    if (accepted === undefined) throw new Error("not accepted");
    raw.resetAndDestroy();
    const error = await accepted.source[Symbol.asyncIterator]()
      .next()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(NetworkError);
    expect(error).toMatchObject({ code: "closed", cause: { code: "ECONNRESET" } });
  });

  test("goes on accepting after it has run out of file descriptors", { timeout: 60_000 }, async () => {
    const script = fileURLToPath(new URL("../testing/echo-server.ts", import.meta.url));
    const command = `ulimit -n 64 && exec "$0" --import tsx --conditions=@adit/source "$1"`;
    const child = spawn("bash", ["-c", command, process.execPath, script], { stdio: ["pipe", "pipe", "inherit"] });
    try {
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const port = Number(line.toString().trim().split(":").at(-1));
      const flood = await Promise.all(Array.from({ length: 200 }, () => rawConnection(port)));
      for (const socket of flood) socket.destroy();
      await vi.waitFor(async () => expect(await echoes(port)).toBe(true), { timeout: 10_000, interval: 50 });
      expect(child.exitCode).toBeNull();
    } finally {
      child.kill();
    }
  });
});

/** A connection, or one the server closed at once. */
async function rawConnection(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  return socket;
}

async function echoes(port: number): Promise<boolean> {
  const socket = await rawConnection(port);
  const answered = once(socket, "data").then(() => true);
  const closed = once(socket, "close").then(() => false);
  socket.write("x");
  const answer = await Promise.race([answered.catch(() => false), closed]);
  socket.destroy();
  return answer;
}
