import { dialect, encodeHeader, type Frame, type MiningMessage } from "@adit/codec";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { NetworkError } from "../errors.ts";
import type { FrameConnection } from "../frame-connection.ts";
import { Inbox } from "../inbox.ts";
import { secureInitiator, secureResponder } from "../secure.ts";
import { noiseClient, noiseServer } from "../testing/parties.ts";
import { helloFrame, orderFrame } from "./order-frames.ts";
import { type DualPair, dualPair, gated, withSecond } from "./testing/dual-pair.ts";

const never = { signal: new AbortController().signal };
const encode = (message: MiningMessage): Uint8Array => dialect("mining").encode(message);
const closeChannel = (channelId: number) => encode({ name: "CloseChannel", channelId, reasonCode: "" });
const setTarget = (channelId: number) =>
  encode({ name: "SetTarget", channelId, maximumTarget: new Uint8Array(32) as never });
const update = (channelId: number) =>
  encode({
    name: "UpdateChannel",
    channelId,
    nominalHashRate: 0,
    maximumTarget: new Uint8Array(32) as never,
  });

afterEach(() => {
  vi.useRealTimers();
});

describe.each(["noise", "plain"] as const)("two streams with %s", (encryption) => {
  test("are one connection to both sides, with one set of counters", async () => {
    const [client, server] = await connected(await dualPair(), encryption);
    await client.writer.writeAll([closeChannel(1), setTarget(2), setTarget(3), closeChannel(4)]);
    await server.writer.write(setTarget(5));
    expect(await channels(server, 4)).toEqual([1, 2, 3, 4]);
    expect(await channels(client, 1)).toEqual([5]);
    const info = client.info();
    expect(info).toMatchObject({ streams: 2, encryption, framesOut: 4, framesIn: 1, awaitingFrameSince: null });
    expect(server.info()).toMatchObject({ streams: 2, framesOut: 1, framesIn: 4, bytesIn: info.bytesOut });
    await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
  });

  test("deliver what was written to either before they are disposed", async () => {
    const [client, server] = await connected(await dualPair(), encryption);
    const sent = Array.from({ length: 300 }, (_, index) => index);
    const writes = sent.map((index) => client.writer.write(index % 7 === 0 ? closeChannel(index) : setTarget(index)));
    const closing = client[Symbol.asyncDispose]();
    expect(await channels(server, 301)).toEqual(sent);
    await Promise.all([...writes, closing, server[Symbol.asyncDispose]()]);
    await expect(client.writer.write(setTarget(1))).rejects.toMatchObject({ code: "closed" });
  });

  test("break together", async () => {
    const [client, server] = await connected(await dualPair(), encryption);
    const reason = new Error("enough");
    const [here, there] = [channels(client, 1), channels(server, 1)];
    client.abort(reason);
    await expect(here).rejects.toBe(reason);
    await expect(there).rejects.toMatchObject({ code: "closed" });
    await expect(client.writer.write(closeChannel(1))).rejects.toBe(reason);
    await expect(client.writer.write(setTarget(1))).rejects.toBe(reason);
  });

  test("hand out in order however late either of them is", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        fc.infiniteStream(fc.nat(6)),
        async (kinds, delays) => {
          const late = async (): Promise<void> => {
            for (let turns = delays.next().value ?? 0; turns > 0; turns--) await Promise.resolve();
          };
          const pair = await dualPair(64);
          const { control, data } = pair.accepted;
          const slow = withSecond(gated(control, late), gated(data, late));
          const [client, server] = await connected({ ...pair, accepted: { control: slow, data } }, encryption);
          // Each of the two waits for all of the other kind before it: nothing may move.
          const writing = Promise.all(
            kinds.map((isData, index) => client.writer.write(isData ? setTarget(index) : closeChannel(index))),
          );
          expect(await channels(server, kinds.length)).toEqual(kinds.map((_, index) => index));
          await writing;
          await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
        },
      ),
      { numRuns: 40 },
    ));
});

test("a message that need not wait passes a data stream that stands still", async () => {
  const pair = await dualPair();
  let open = true;
  let release: () => void = () => undefined;
  const standing = gated(pair.accepted.data, () => (open ? Promise.resolve() : new Promise((go) => (release = go))));
  const [client, server] = await connected(
    { ...pair, accepted: { control: withSecond(pair.accepted.control, standing), data: standing } },
    "plain",
  );
  open = false;
  await client.writer.writeAll([setTarget(1), update(2)]);
  const frames = server.reader.frames[Symbol.asyncIterator]();
  expect(channelOf(await frames.next())).toBe(2);
  release();
  expect(channelOf(await frames.next())).toBe(1);
  client.abort(new Error("test over"));
});

test("refuses a second stream of another session, though both have the same authority", async () => {
  const [victim, other] = [await dualPair(), await dualPair()];
  const spliced = withSecond(victim.accepted.control, other.accepted.data);
  const serving = secureResponder(spliced, noiseServer(), never);
  const serving2 = secureResponder(withSecond(other.accepted.control, victim.accepted.data), noiseServer(), never);
  await Promise.all([
    secureInitiator(victim.dialled.control, noiseClient(), never),
    secureInitiator(other.dialled.control, noiseClient(), never),
  ]);
  await expect(serving).rejects.toMatchObject({ code: "protocol-violation", cause: { code: "decrypt-failed" } });
  await expect(serving2).rejects.toMatchObject({ code: "protocol-violation" });
});

test("sends nothing that looks like the order itself", async () => {
  const [client] = await connected(await dualPair(), "plain");
  await expect(client.writer.write(orderFrame(1))).rejects.toBeInstanceOf(RangeError);
  client.abort(new Error("test over"));
});

describe("a receiver", () => {
  test("holds one frame back and stops that stream, which stops its sender, until the order lets it go", async () => {
    const pair = await dualPair(1_000);
    const server = await accepted(pair);
    const { control, data } = pair.dialled;
    await data.write(orderFrame(2));
    let written = 0;
    const writing = (async () => {
      for (; written < 100; written++) await data.write(setTarget(written));
    })();
    const receiving = channels(server, 102);
    await vi.waitFor(() => expect(server.info().holds).toMatchObject({ now: 1, total: 1 }), 10_000);
    await settled();
    expect(written).toBeLessThan(60);
    await control.write(update(1_000));
    await settled();
    expect(written).toBeLessThan(60);
    await control.write(update(1_001));
    await writing;
    expect(await receiving).toEqual([1_000, 1_001, ...Array.from({ length: 100 }, (_, index) => index)]);
    expect(server.info().holds).toMatchObject({ now: 0, total: 1 });
    expect(server.info().holds.longestMs).toBeGreaterThan(0);
    server.abort(new Error("test over"));
  });

  test.each([
    ["an order that goes back", [orderFrame(2), setTarget(1), orderFrame(1)]],
    ["two orders in a row", [orderFrame(1), orderFrame(2)]],
    ["an order beyond every count", [withPayload(1, new Uint8Array(8).fill(255))]],
    ["an order that is too short", [withPayload(1, new Uint8Array(4))]],
    ["an unknown kind of order", [withPayload(9, new Uint8Array(8))]],
    ["a second hello", [helloFrame]],
  ])("breaks off at %s", async (_, frames) => {
    const pair = await dualPair();
    const server = await accepted(pair);
    await pair.dialled.control.write(concat([update(1), update(2)]));
    for (const frame of frames) await pair.dialled.data.write(frame);
    await expect(channels(server, 9)).rejects.toMatchObject({ code: "protocol-violation" });
    await expect(new Inbox(pair.dialled.control.source).fill(1)).rejects.toMatchObject({ code: "closed" });
  });

  test("gives every frame or a NetworkError, whatever a peer says about the order, and never waits for ever", () => {
    const said = fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.constant("frame" as const) },
        { weight: 2, arbitrary: fc.nat(8) },
        { weight: 1, arbitrary: fc.constant("hello" as const) },
      ),
      { maxLength: 10 },
    );
    const encoded = (item: "frame" | "hello" | number, frame: Uint8Array): Uint8Array =>
      item === "frame" ? frame : item === "hello" ? helloFrame : orderFrame(item);
    return fc.assert(
      fc.asyncProperty(said, said, async (control, data) => {
        const pair = await dualPair();
        const server = await accepted(pair);
        const receiving = channels(server, 100).then(
          (ids) => ids.length,
          (error: unknown) => error,
        );
        const { dialled } = pair;
        // A receiver that has broken off takes no more.
        const send = async (): Promise<void> => {
          for (const item of control) await dialled.control.write(encoded(item, update(1)));
          for (const item of data) await dialled.data.write(encoded(item, setTarget(2)));
        };
        await send().catch(() => undefined);
        const over = receiving.then(() => server[Symbol.asyncDispose]());
        await Promise.all([dialled.control[Symbol.asyncDispose](), dialled.data[Symbol.asyncDispose](), over]);
        const frames = [...control, ...data].filter((item) => item === "frame").length;
        const outcome = await receiving;
        if (outcome instanceof NetworkError) expect(outcome.code).toBe("protocol-violation");
        else expect(outcome).toBe(frames);
      }),
    );
  });

  test("breaks off a peer whose streams wait for each other, or for one that has ended", async () => {
    const circle = await dualPair();
    const first = await accepted(circle);
    await circle.dialled.control.write(concat([orderFrame(1), update(1)]));
    await circle.dialled.data.write(concat([orderFrame(1), setTarget(1)]));
    await expect(channels(first, 1)).rejects.toMatchObject({ code: "protocol-violation" });
    const ended = await dualPair();
    const second = await accepted(ended);
    await ended.dialled.data.write(concat([orderFrame(1), setTarget(1)]));
    await Promise.all([
      ended.dialled.control[Symbol.asyncDispose](),
      expect(channels(second, 1)).rejects.toMatchObject({ code: "protocol-violation" }),
    ]);
  });

  test("breaks off when nothing comes for thirty seconds while a frame is held back", async () => {
    const pair = await dualPair();
    const server = await accepted(pair);
    vi.useFakeTimers();
    await pair.dialled.data.write(concat([orderFrame(1), setTarget(1)]));
    const receiving = channels(server, 1);
    receiving.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(29_999);
    expect(server.info().holds.now).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    await expect(receiving).rejects.toMatchObject({ code: "timed-out" });
    await expect(pair.dialled.data.write(setTarget(2))).rejects.toMatchObject({ code: "closed" });
  });

  test("refuses a data stream that does not begin with a hello", async () => {
    for (const first of [setTarget(1), orderFrame(1)]) {
      const pair = await dualPair();
      await pair.dialled.data.write(first);
      const serving = secureResponder(pair.accepted.control, "plain", never);
      await expect(serving).rejects.toMatchObject({ code: "protocol-violation" });
    }
  });
});

function withPayload(messageType: number, payload: Uint8Array): Uint8Array {
  const header = encodeHeader({ extensionType: 0x4d32, channelMsg: false, messageType, length: payload.length });
  return concat([header, payload]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The accepting side of a plain connection whose dialling side the test plays by hand, after its hello. */
async function accepted({ dialled, accepted: { control } }: DualPair): Promise<FrameConnection> {
  await dialled.data.write(helloFrame);
  return secureResponder(control, "plain", never);
}

async function connected(
  { dialled, accepted: { control } }: DualPair,
  encryption: "noise" | "plain",
): Promise<[FrameConnection, FrameConnection]> {
  const plain = encryption === "plain";
  return Promise.all([
    secureInitiator(dialled.control, plain ? "plain" : noiseClient(), never),
    secureResponder(control, plain ? "plain" : noiseServer(), never),
  ]);
}

/** Lets everything go on that can. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The channel ids of the next `count` frames, or of all until the end. */
async function channels({ reader }: FrameConnection, count: number): Promise<number[]> {
  const ids: number[] = [];
  const frames = reader.frames[Symbol.asyncIterator]();
  while (ids.length < count) {
    const next = await frames.next();
    if (next.done === true) break;
    ids.push(channelOf(next));
  }
  return ids;
}

function channelOf(result: IteratorResult<Frame, unknown>): number {
  if (result.done === true) throw new Error("the frames have ended");
  return Buffer.from(result.value.payload).readUInt32LE(0);
}
