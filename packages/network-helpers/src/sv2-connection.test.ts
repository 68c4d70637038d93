import { getEventListeners } from "node:events";
import {
  type CommonMessage,
  type DialectMessage,
  dialect,
  encodeHeader,
  type Frame,
  type SetupConnection,
  type SubmitSharesSuccess,
  workerIdentityTlv,
} from "@adit/codec";
import { describe, expect, test } from "vitest";
import { acceptSv2, type Sv2Server } from "./accept-sv2.ts";
import type { ByteStream } from "./byte-stream.ts";
import { type DialSv2Options, dialSv2, type Sv2Client } from "./dial-sv2.ts";
import { NetworkError } from "./errors.ts";
import type { FrameConnection } from "./frame-connection.ts";
import { secureInitiator, secureResponder } from "./secure.ts";
import type { Sv2Connection } from "./sv2-connection.ts";
import { noiseClient, noiseServer, streamPair, testClient, testServer, transports } from "./testing/parties.ts";

type Mining = DialectMessage<"mining">;

const { signal } = new AbortController();
const dialling: DialSv2Options = { security: "plain", signal, deadlineMs: 5000 };
const accepting = { security: "plain", signal, deadlineMs: 5000 } as const;
const success: SubmitSharesSuccess = {
  name: "SubmitSharesSuccess",
  channelId: 1,
  lastSequenceNumber: 2,
  newSubmitsAcceptedCount: 3,
  newSharesSum: 4n,
};
const update = { name: "UpdateChannel", channelId: 1, nominalHashRate: 1, maximumTarget: new Uint8Array(32) } as Mining;

describe.each(transports)("an SV2 connection over $name", ({ make, address }) => {
  test("is set up with noise, and carries messages both ways", async () => {
    const [a, b] = await streamPair(make(), address);
    const [client, server] = await Promise.all([
      dialSv2(a, { ...testClient, requestExtensions: [2, 9] }, { ...dialling, security: noiseClient() }),
      acceptSv2(b, testServer, { ...accepting, security: noiseServer() }).then(async (connection) => {
        expect(connection.extensions.size).toBe(0);
        const messages = connection.messages[Symbol.asyncIterator]();
        return { connection, messages, first: messages.next() };
      }),
    ]);
    expect(client.accepted).toEqual({ name: "SetupConnectionSuccess", usedVersion: 2, flags: 2 });
    expect([...client.extensions]).toEqual([2]);
    expect([...server.connection.extensions]).toEqual([2]);
    expect(server.connection.setup).toMatchObject({ vendor: "adit test", flags: 0b101, endpointPort: 3333 });
    await client.write(update, [workerIdentityTlv("alice")]);
    const { message, tlvs } = (await server.first).value!;
    expect(message.name).toBe("UpdateChannel");
    expect(tlvs).toHaveLength(1);
    await server.connection.write(success);
    const answers = client.messages[Symbol.asyncIterator]();
    expect((await answers.next()).value?.message).toEqual(success);
    expect(client.info()).toMatchObject({ encryption: "noise", framesOut: 3, framesIn: 3, id: client.id });
    expect(server.connection.id).not.toBe(client.id);
    const end = server.messages.next();
    await Promise.all([client[Symbol.asyncDispose](), end.then(() => server.connection[Symbol.asyncDispose]())]);
    expect((await end).done).toBe(true);
  });

  test.each([
    ["unsupported-protocol", { ...testClient, protocol: "job_declaration" }, 0],
    ["unsupported-feature-flags", { ...testClient, flags: 0xf000_0007 }, 0xf000_0002],
  ] as const)("is refused with %s", async (errorCode, client, flags) => {
    const [a, b] = await streamPair(make(), address);
    const server = acceptSv2(b, testServer, accepting).catch((error: unknown) => error);
    const error = await dialSv2(a, client as Sv2Client<"mining">, dialling).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "setup-refused", message: expect.stringContaining(`"${errorCode}"`) });
    if (flags !== 0) expect((error as Error).message).toContain("0xf0000002");
    expect(await server).toMatchObject({ code: "setup-refused" });
  });
});

describe("a server", () => {
  test("refuses a version it does not speak, and closes", async () => {
    const { frames, outcome } = await barelyClient(testServer);
    await frames.writer.write(encode({ ...setup, minVersion: 3, maxVersion: 4 }));
    const answers = frames.reader.frames[Symbol.asyncIterator]();
    const answer = dialect("mining").decode((await answers.next()).value as Frame);
    expect(answer).toMatchObject({ message: { flags: 0, errorCode: "protocol-version-mismatch" } });
    expect((await answers.next()).done).toBe(true);
    await frames[Symbol.asyncDispose]();
    expect(await outcome).toMatchObject({ code: "setup-refused" });
  });

  test("refuses whom it does not want to serve, with its own reason, once nothing else is wrong", async () => {
    const picky = { ...testServer, refuse: () => ({ errorCode: "not-you", flags: 0b100 }) };
    const answerTo = async (client: Partial<SetupConnection>): Promise<unknown> => {
      const { frames, outcome } = await barelyClient(picky);
      await frames.writer.write(encode({ ...setup, ...client }));
      const { value } = await frames.reader.frames[Symbol.asyncIterator]().next();
      await frames[Symbol.asyncDispose]();
      expect(await outcome).toMatchObject({ code: "setup-refused" });
      return dialect("mining").decode(value as Frame);
    };
    expect(await answerTo({})).toMatchObject({ message: { flags: 0b100, errorCode: "not-you" } });
    expect(await answerTo({ flags: 0b010 })).toMatchObject({ message: { errorCode: "unsupported-feature-flags" } });
  });

  test.each([
    ["a message before SetupConnection", () => encode(update)],
    ["a server's message", () => encode({ name: "SetupConnectionSuccess", usedVersion: 2, flags: 0 })],
    ["a frame nobody knows", () => frame({ messageType: 0xee })],
    ["a SetupConnection that is cut short", () => frame({ messageType: 0, payload: encode(setup).slice(6, 20) })],
    ["more bytes than SetupConnection can have", () => frame({ messageType: 0, payload: new Uint8Array(1292) })],
  ])("breaks off at %s", async (_what, bytes) => {
    const { frames, outcome } = await barelyClient(testServer);
    await frames.writer.write(bytes());
    expect(["protocol-violation", "frame-too-large"]).toContain(((await outcome) as NetworkError).code);
    await expect(frames.reader.frames[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(NetworkError);
  });

  test("takes the longest SetupConnection there is", async () => {
    const long = "x".repeat(255);
    const { frames, outcome } = await barelyClient(testServer);
    const texts = { endpointHost: long, vendor: long, hardwareVersion: long, firmware: long, deviceId: long };
    await frames.writer.write(encode({ ...setup, ...texts }));
    expect(await outcome).toHaveProperty("setup.deviceId", long);
  });

  test("gives up on a client that is silent or slow, by its one deadline", async () => {
    for (const start of [undefined, frame({ messageType: 0, payload: new Uint8Array(50) }).slice(0, 20)]) {
      const [a, b] = await streamPair();
      if (start !== undefined) await a.write(start);
      const outcome = acceptSv2(b, testServer, { ...accepting, deadlineMs: 30 });
      await expect(outcome).rejects.toMatchObject({ code: "timed-out" });
      await expect(a.source[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(NetworkError);
    }
  });

  test.each([
    ["a second SetupConnection", () => encode(setup), /second SetupConnection/],
    ["a message only servers send", () => encode(success), /not for it to send/],
    ["a message of another sub-protocol", () => frame({ messageType: 0x57 }), /wrong-protocol/],
    ["a message that is cut short", () => frame({ messageType: 0x16, payload: new Uint8Array(3) }), /short-read/],
    [
      "a frame above the cap of its state",
      () => frame({ messageType: 0x1b, payload: new Uint8Array(513) }),
      /at most 512/,
    ],
  ])("breaks off at %s after set-up", async (_what, bytes, message) => {
    const { frames, connection } = await barelySetUp(testServer);
    await frames.writer.write(bytes());
    await expect(pull(connection)).rejects.toThrow(message);
    await expect(connection.write(success)).rejects.toThrow(message);
  });

  test("ignores ten frames nobody knows, and breaks off after that", async () => {
    const { frames, connection } = await barelySetUp(testServer);
    const strangers = Array.from({ length: 10 }, (_, index) =>
      index % 2 === 0 ? frame({ messageType: 0xee }) : frame({ extensionType: 0x4001, messageType: 1 }),
    );
    await frames.writer.writeAll([...strangers, encode(update)]);
    const messages = connection.messages[Symbol.asyncIterator]();
    expect((await messages.next()).value?.message.name).toBe("UpdateChannel");
    await frames.writer.write(frame({ extensionType: 0x4001, messageType: 2 }));
    await expect(messages.next()).rejects.toMatchObject({ code: "protocol-violation" });
  });

  test.each([
    [[2, 7, 3, 2], { name: "RequestExtensionsSuccess", supportedExtensions: [2, 3] }],
    [[7], { name: "RequestExtensionsError", unsupportedExtensions: [7], requiredExtensions: [] }],
    [[], { name: "RequestExtensionsSuccess", supportedExtensions: [] }],
  ])("answers a request for the extensions %j with %j", async (requested, answer) => {
    const { frames, answers, connection } = await barelySetUp(testServer);
    await frames.writer.writeAll([requestExtensions(requested), encode(update)]);
    await pull(connection);
    expect(decoded(await answers.next())).toEqual({ ...answer, requestId: 77 });
    expect([...connection.extensions]).toEqual("supportedExtensions" in answer ? answer.supportedExtensions : []);
  });

  test("asks for an extension it requires, takes a second try, and disconnects who goes on without", async () => {
    const server = { ...testServer, requiredExtensions: [3] };
    const better = await barelySetUp(server);
    await better.frames.writer.writeAll([requestExtensions([2]), requestExtensions([2, 3]), encode(update)]);
    expect((await pull(better.connection)).message.name).toBe("UpdateChannel");
    expect(decoded(await better.answers.next())).toMatchObject({ requiredExtensions: [3] });
    expect(decoded(await better.answers.next())).toMatchObject({ supportedExtensions: [2, 3] });
    const worse = await barelySetUp(server);
    await worse.frames.writer.writeAll([requestExtensions([2]), encode(update)]);
    await expect(pull(worse.connection)).rejects.toThrow(/required extensions were not negotiated: 3/);
  });

  test("hides the fields of extensions that were not negotiated", async () => {
    const { frames, connection } = await barelySetUp(testServer);
    await frames.writer.write(dialect("mining").encode(update, [workerIdentityTlv("mallory")]));
    expect((await pull(connection)).tlvs).toEqual([]);
  });

  test("stops reading while nobody pulls messages", async () => {
    const { frames, connection } = await barelySetUp(testServer);
    let written = 0;
    const writing = (async () => {
      for (; written < 100_000; written++) await frames.writer.write(encode(update));
    })();
    const messages = connection.messages[Symbol.asyncIterator]();
    for (let pulled = 0; pulled < 3000; pulled++) await messages.next();
    expect(written).toBeLessThan(10_000);
    connection.abort(new Error("test over"));
    await expect(writing).rejects.toBeInstanceOf(NetworkError);
  });
});

describe("a client", () => {
  test.each([
    ["closes without an answer", async (server: FrameConnection) => server[Symbol.asyncDispose](), "setup-refused"],
    ["answers something else", async (s: FrameConnection) => s.writer.write(encode(success)), "protocol-violation"],
    ["answers with another version", async (s: FrameConnection) => s.writer.write(accepted(3)), "protocol-violation"],
    ["never answers", async () => undefined, "timed-out"],
  ] as const)("gives up on a server that %s", async (_what, answer, code) => {
    const { server, outcome } = await barelyServer(testClient, { ...dialling, deadlineMs: 100 });
    await answer(server);
    expect(await outcome).toMatchObject({ name: "NetworkError", code });
  });

  test("keeps control characters of a refusal out of its message", async () => {
    const { server, outcome } = await barelyServer(testClient, dialling);
    const errorCode = `\u001b[2Jrm -rf ${"x".repeat(200)}`;
    await server.writer.write(encode({ name: "SetupConnectionError", flags: 0, errorCode }));
    const { message } = (await outcome) as NetworkError;
    expect(message).toMatch(/^[\x20-\x7e]{1,250}$/);
  });

  test("goes on without extensions when the server ignores the request, and ignores an answer that comes late", async () => {
    const client = { ...testClient, requestExtensions: [2] };
    const { server, outcome } = await barelyServer(client, { ...dialling, deadlineMs: 200 });
    await server.writer.write(accepted(2));
    const connection = (await outcome) as Sv2Connection<"mining">;
    expect([...connection.extensions]).toEqual([]);
    const late = { name: "RequestExtensionsSuccess", requestId: 0, supportedExtensions: [2] } as const;
    await server.writer.writeAll([dialect("mining").encode(late), encode(success)]);
    expect((await pull(connection)).message).toEqual(success);
    expect([...connection.extensions]).toEqual([]);
  });

  test("keeps a message that comes instead of the answer for its reader", async () => {
    const { server, outcome } = await barelyServer({ ...testClient, requestExtensions: [2] }, dialling);
    await server.writer.writeAll([accepted(2), encode(success)]);
    expect((await pull((await outcome) as Sv2Connection<"mining">)).message).toEqual(success);
  });

  test.each([
    [
      "needs an extension the server lacks",
      { ...testClient, requestExtensions: [9], requiredExtensions: [9] },
      testServer,
    ],
    [
      "lacks an extension the server needs",
      { ...testClient, requestExtensions: [2] },
      { ...testServer, requiredExtensions: [3] },
    ],
  ])("is refused when it %s", async (_what, client, server) => {
    const [a, b] = await streamPair();
    const serving = acceptSv2(b, server, accepting)
      .then(pull)
      .catch(() => undefined);
    await expect(dialSv2(a, client, dialling)).rejects.toMatchObject({ code: "setup-refused" });
    await serving;
  });

  test("drops extensions it did not ask for", async () => {
    const { server, outcome } = await barelyServer({ ...testClient, requestExtensions: [2] }, dialling);
    const answer = { name: "RequestExtensionsSuccess", requestId: 0, supportedExtensions: [2, 5] } as const;
    await server.writer.writeAll([accepted(2), dialect("mining").encode(answer)]);
    expect([...((await outcome) as Sv2Connection<"mining">).extensions]).toEqual([2]);
  });
});

test("a set-up leaves nothing on its signal, done or failed", async () => {
  const controller = new AbortController();
  const options = { ...dialling, signal: controller.signal };
  for (const protocol of ["mining", "job_declaration"] as const) {
    const [a, b] = await streamPair();
    const server = { ...testServer, protocol } as Sv2Server<"mining">;
    const ends = await Promise.allSettled([
      dialSv2(a, { ...testClient, requestExtensions: [2] }, options).then((connection) =>
        connection.abort(new Error("done")),
      ),
      acceptSv2(b, server, { ...accepting, signal: controller.signal }).then((connection) =>
        connection.messages[Symbol.asyncIterator]().next(),
      ),
    ]);
    expect(ends[0].status).toBe(protocol === "mining" ? "fulfilled" : "rejected");
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  }
});

describe("the halves of a connection", () => {
  test("belong to two owners, and the connection ends with the second", async () => {
    const [client, server] = await setUpPair();
    const { reader, writer } = client.split();
    expect(() => client.split()).toThrow();
    await writer.write(update);
    await writer[Symbol.asyncDispose]();
    await expect(writer.write(update)).rejects.toMatchObject({ code: "closed" });
    await server.write(success);
    const messages = reader.messages[Symbol.asyncIterator]();
    expect((await messages.next()).value?.message).toEqual(success);
    const arriving = server.messages[Symbol.asyncIterator]();
    expect((await arriving.next()).value?.message.name).toBe("UpdateChannel");
    const end = arriving.next();
    const closing = reader[Symbol.asyncDispose]();
    expect((await end).done).toBe(true);
    await Promise.all([closing, server[Symbol.asyncDispose]()]);
  });

  test("end together when either is aborted by the connection", async () => {
    const [client, server] = await setUpPair();
    const reason = new Error("enough");
    const reading = pull(client);
    client.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(pull(server)).rejects.toMatchObject({ code: "closed" });
  });

  test("end the messages of a connection that is disposed while they are pulled", async () => {
    const [client, server] = await setUpPair();
    const pulling = client.messages[Symbol.asyncIterator]().next();
    await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    expect((await pulling).done).toBe(true);
  });
});

const setup: SetupConnection = {
  name: "SetupConnection",
  protocol: 0,
  minVersion: 2,
  maxVersion: 2,
  flags: 0,
  endpointHost: "",
  endpointPort: 0,
  vendor: "",
  hardwareVersion: "",
  firmware: "",
  deviceId: "",
};

function encode(message: Mining | CommonMessage): Uint8Array {
  return dialect("mining").encode(message);
}

function accepted(usedVersion: number): Uint8Array {
  return encode({ name: "SetupConnectionSuccess", usedVersion, flags: 0 });
}

function requestExtensions(requestedExtensions: readonly number[]): Uint8Array {
  return dialect("mining").encode({ name: "RequestExtensions", requestId: 77, requestedExtensions });
}

function frame(options: { extensionType?: number; messageType: number; payload?: Uint8Array }): Uint8Array {
  const payload = options.payload ?? new Uint8Array(0);
  const { extensionType = 0, messageType } = options;
  return Buffer.concat([
    encodeHeader({ extensionType, channelMsg: false, messageType, length: payload.length }),
    payload,
  ]);
}

function decoded(next: IteratorResult<Frame, undefined>): unknown {
  if (next.done === true) throw new Error("no answer came");
  const result = dialect("mining").decode(next.value);
  return result.kind === "message" ? result.message : result;
}

async function pull(connection: Sv2Connection<"mining">): Promise<{ message: Mining; tlvs: readonly unknown[] }> {
  const next = await connection.messages[Symbol.asyncIterator]().next();
  if (next.done === true) throw new Error("the messages ended");
  return next.value;
}

/** A client that has done nothing but connect, and what becomes of the server's set-up. */
async function barelyClient(
  server: Sv2Server<"mining">,
): Promise<{ frames: FrameConnection; outcome: Promise<unknown> }> {
  const [a, b] = await streamPair();
  const outcome = acceptSv2(b, server, accepting).catch((error: unknown) => error);
  return { frames: await secureInitiator(a, "plain", { signal }), outcome };
}

/** A client whose frames the test makes, set up. */
async function barelySetUp(server: Sv2Server<"mining">): Promise<{
  frames: FrameConnection;
  answers: AsyncIterator<Frame, undefined>;
  connection: Sv2Connection<"mining">;
}> {
  const { frames, outcome } = await barelyClient(server);
  const answers = frames.reader.frames[Symbol.asyncIterator]() as AsyncIterator<Frame, undefined>;
  await frames.writer.write(encode(setup));
  await answers.next();
  return { frames, answers, connection: (await outcome) as Sv2Connection<"mining"> };
}

/** A server whose frames the test makes, and what becomes of the client's set-up. */
async function barelyServer(
  client: Sv2Client<"mining">,
  options: DialSv2Options,
): Promise<{ server: FrameConnection; outcome: Promise<unknown> }> {
  const [a, b]: [ByteStream, ByteStream] = await streamPair();
  const outcome = dialSv2(a, client, options).catch((error: unknown) => error);
  const server = await secureResponder(b, "plain", { signal });
  await server.reader.frames[Symbol.asyncIterator]().next();
  return { server, outcome };
}

function setUpPair(): Promise<[Sv2Connection<"mining">, Sv2Connection<"mining">]> {
  return streamPair().then(([a, b]) =>
    Promise.all([dialSv2(a, testClient, dialling), acceptSv2(b, testServer, accepting)]),
  );
}
