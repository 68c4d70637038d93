import { initiator, pureCrypto, ResponderIdentity } from "@adit/noise";
import { describe, expect, test } from "vitest";
import type { ByteStream } from "./byte-stream.ts";
import { NetworkError } from "./errors.ts";
import { type FrameCipher, noiseCipher, plainCipher } from "./frame-cipher.ts";
import type { FrameConnection } from "./frame-connection.ts";
import { Inbox } from "./inbox.ts";
import { respondOver, secureInitiator, secureResponder, systemEntropy } from "./secure.ts";
import { frame, take } from "./testing/frames.ts";
import { authoritySecretKey, noiseClient, noiseServer, streamPair, transports } from "./testing/parties.ts";

const never = { signal: new AbortController().signal };

describe.each(transports)("secure framing over $name", ({ make, address }) => {
  const pair = (): Promise<[ByteStream, ByteStream]> => streamPair(make(), address);
  const failure = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => "no failure",
      (error: unknown) => error,
    );

  test.each(["noise", "plain"] as const)("carries frames both ways with %s", async (encryption) => {
    const [client, server] = await connected(await pair(), encryption);
    const sizes = [0, 1, 65_518, 65_519, 65_520, 200_000];
    server.reader.setMaxPayload(200_000);
    await Promise.all([
      client.writer.writeAll(sizes.map((size) => frame(size))),
      server.writer.write(frame(7)),
      (async () => {
        const frames = server.reader.frames[Symbol.asyncIterator]();
        for (const size of sizes) expect((await frames.next()).value?.payload).toEqual(frame(size).subarray(6));
      })(),
      (async () => expect(await take(client, 1)).toEqual([frame(7).subarray(6)]))(),
    ]);
    expect(client.info()).toMatchObject({ encryption, framesOut: sizes.length, framesIn: 1, awaitingFrameSince: null });
    await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
  });

  test("refuses a server of another authority, the same on every transport", async () => {
    const [a, b] = await pair();
    const serving = failure(secureResponder(b, noiseServer(), never).then((connection) => take(connection, 1)));
    const error = await failure(secureInitiator(a, noiseClient(new Uint8Array(32).fill(9)), never));
    expect(error).toBeInstanceOf(NetworkError);
    expect(error).toMatchObject({ code: "authority-mismatch", peer: a.peer, cause: { name: "NoiseError" } });
    expect(await serving).toMatchObject({ code: "closed" });
  });

  test("refuses an expired certificate and one from the future", async () => {
    const identity = new ResponderIdentity({
      crypto: pureCrypto,
      entropy: systemEntropy,
      authoritySecretKey,
      certValiditySec: 60,
    });
    for (const offset of [-3600_000, 3600_000]) {
      const [a, b] = await pair();
      const dialling = failure(secureInitiator(a, noiseClient(), never));
      const inbox = new Inbox(b.source);
      await inbox.fill(64);
      await b.write(identity.begin(Date.now() + offset).act1(inbox.take(64)).bytes);
      const error = await dialling;
      expect(error).toMatchObject({ code: "certificate-expired" });
      expect((error as Error).message).toMatch(/check the clocks/);
      b.abort(new Error("test over"));
    }
  });

  test("gives handshake-failed for an answer that is none, and for a peer that leaves", async () => {
    const [a, b] = await pair();
    const dialling = failure(secureInitiator(a, noiseClient(), never));
    await b.write(new Uint8Array(234).fill(1));
    expect(await dialling).toMatchObject({ code: "handshake-failed", peer: a.peer });
    b.abort(new Error("test over"));
    for (const leave of [
      (s: ByteStream) => s[Symbol.asyncDispose](),
      async (s: ByteStream) => s.abort(new Error("x")),
    ]) {
      const [client, server] = await pair();
      const waiting = failure(secureInitiator(client, noiseClient(), never));
      await new Inbox(server.source).fill(64);
      await leave(server);
      expect(await waiting).toMatchObject({ code: "handshake-failed" });
    }
  });

  test("gives up a handshake whose time is over, and breaks the stream", async () => {
    const [a, b] = await pair();
    const error = await failure(secureResponder(b, noiseServer(), { signal: AbortSignal.timeout(20) }));
    expect(error).toMatchObject({ code: "timed-out" });
    await expect(new Inbox(a.source).fill(1)).rejects.toBeInstanceOf(NetworkError);
  });

  test.each([
    ["HTTP", "GET / HTTP/1.1\r\nHost: pool.example:3333\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"],
    [
      "Stratum V1",
      '{"id": 1, "method": "mining.subscribe", "params": ["cgminer/4.12.1", "a rather long session id"]}\n',
    ],
    ["TLS", `\x16\x03\x01${"\x02".repeat(512)}`],
  ])("tells the log that a stranger speaks %s", async (protocol, text) => {
    for (const security of [noiseServer(), "plain"] as const) {
      const [a, b] = await pair();
      await a.write(new TextEncoder().encode(text));
      const opened = { stream: b, inbox: new Inbox(b.source) };
      await opened.inbox.fill(1);
      const connection = await respondOver(opened, security, never);
      const answering = failure(take(connection, 1));
      await a.write(new Uint8Array(64)).catch(() => undefined);
      const error = (await answering) as NetworkError;
      expect(["protocol-violation", "frame-too-large"]).toContain(error.code);
      expect(error.message).toContain(protocol);
      a.abort(new Error("test over"));
    }
  });

  test("refuses a header that announces 16 MiB at once, before a byte of the payload", async () => {
    for (const encryption of ["noise", "plain"] as const) {
      const [client, server] = await rawConnected(await pair(), encryption);
      await client.stream.write(client.cipher.seal(frame(0x100_000)).subarray(0, client.cipher.headerSize));
      await expect(take(server, 1)).rejects.toMatchObject({ code: "frame-too-large" });
      await expect(client.inbox.fill(1)).rejects.toBeInstanceOf(NetworkError);
    }
  });

  test("breaks the connection at the first altered byte, without waiting", async () => {
    const [client, server] = await rawConnected(await pair(), "noise");
    const sealed = [frame(10), frame(20)].map((plain) => client.cipher.seal(plain));
    sealed[1]![30]! ^= 1;
    for (const bytes of sealed) await client.stream.write(bytes);
    const frames = server.reader.frames[Symbol.asyncIterator]();
    expect((await frames.next()).value?.payload.length).toBe(10);
    await expect(frames.next()).rejects.toMatchObject({
      code: "protocol-violation",
      cause: { code: "decrypt-failed" },
    });
    await expect(server.writer.write(frame(1))).rejects.toMatchObject({ code: "protocol-violation" });
  });

  test("takes half a frame and then the end for an error, and the end between frames for the end", async () => {
    for (const cut of [1, 5, 6, 15]) {
      const [client, server] = await rawConnected(await pair(), "plain");
      const closing = client.stream.write(frame(10).subarray(0, cut)).then(() => client.stream[Symbol.asyncDispose]());
      await expect(take(server, 1)).rejects.toMatchObject({ code: "closed" });
      await closing;
    }
    const [client, server] = await rawConnected(await pair(), "plain");
    const closing = client.stream.write(frame(10)).then(() => client.stream[Symbol.asyncDispose]());
    expect((await take(server, 2)).length).toBe(1);
    await Promise.all([closing, server[Symbol.asyncDispose]()]);
  });

  test("delivers what was written before it is disposed", async () => {
    const [client, server] = await connected(await pair(), "noise");
    server.reader.setMaxPayload(10_000);
    const writes = Array.from({ length: 50 }, (_, index) => client.writer.write(frame(100 * index)));
    const closing = client[Symbol.asyncDispose]();
    expect((await take(server, 51)).map((payload) => payload.length)).toEqual(writes.map((_, index) => 100 * index));
    await Promise.all([...writes, closing, server[Symbol.asyncDispose]()]);
    await expect(client.writer.write(frame(1))).rejects.toMatchObject({ code: "closed" });
  });
});

async function connected(
  [a, b]: [ByteStream, ByteStream],
  encryption: "noise" | "plain",
): Promise<[FrameConnection, FrameConnection]> {
  const plain = encryption === "plain";
  return Promise.all([
    secureInitiator(a, plain ? "plain" : noiseClient(), never),
    secureResponder(b, plain ? "plain" : noiseServer(), never),
  ]);
}

/** A server and, on the client's side, the bare stream with its bytes after the handshake and the session's cipher. */
async function rawConnected(
  [stream, accepted]: [ByteStream, ByteStream],
  encryption: "noise" | "plain",
): Promise<[{ readonly stream: ByteStream; readonly inbox: Inbox; readonly cipher: FrameCipher }, FrameConnection]> {
  const inbox = new Inbox(stream.source);
  if (encryption === "plain") {
    return [{ stream, inbox, cipher: plainCipher }, await secureResponder(accepted, "plain", never)];
  }
  const { bytes, next } = initiator({ crypto: pureCrypto, entropy: systemEntropy, authority: null }).act1();
  await stream.write(bytes);
  const server = await secureResponder(accepted, noiseServer(), never);
  await inbox.fill(234);
  return [{ stream, inbox, cipher: noiseCipher(next.act2(inbox.take(234), Date.now()).ciphers) }, server];
}
