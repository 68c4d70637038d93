import { dialect, type MiningMessage } from "@adit/codec";
import { acceptSv2, dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { memory } from "@adit/network-helpers/memory";
import { describe, expect, test } from "vitest";
import { MinerConnection } from "./miner-connection.ts";

const never = new AbortController().signal;
const mining = dialect("mining");

/** Both ends of a plain connection in memory, whose window is small. */
async function pair(): Promise<{ readonly pool: Sv2Connection<"mining">; readonly miner: Sv2Connection<"mining"> }> {
  const transport = memory({ windowBytes: 1024 });
  await using listener = await transport.listen("pool", { signal: never });
  const dialled = await transport.dial("pool", { signal: never });
  const streams = listener.streams[Symbol.asyncIterator]();
  const { value } = await streams.next();
  const options = { security: "plain", signal: never, deadlineMs: 5000 } as const;
  const texts = { endpointHost: "", vendor: "", hardwareVersion: "", firmware: "", deviceId: "" };
  const [pool, miner] = await Promise.all([
    acceptSv2(
      value,
      {
        protocol: "mining",
        supportedFlags: 0,
        successFlags: () => 0,
        supportedExtensions: [],
        requiredExtensions: [],
        maxPayload: () => 512,
      },
      options,
    ),
    dialSv2(dialled, { protocol: "mining", flags: 0, endpointPort: 0, requestExtensions: [], ...texts }, options),
  ]);
  return { pool, miner };
}

function refusal(sequenceNumber: number): MiningMessage {
  return { name: "SubmitSharesError", channelId: 2, sequenceNumber, errorCode: "stale-share" };
}

function push(connection: MinerConnection, sequenceNumber: number): "queued" | "overflow" {
  const message = refusal(sequenceNumber);
  return connection.push(message, mining.encode(message));
}

describe("a miner's connection", () => {
  test("delivers what was queued in order, then the farewell, then ends", async () => {
    const { pool, miner } = await pair();
    const connection = new MinerConnection(pool, { maxMessages: 100, maxBytes: 100_000 });
    const writing = connection.write();
    for (let count = 0; count < 50; count += 1) expect(push(connection, count)).toBe("queued");
    connection.end(mining.encode({ name: "Reconnect", newHost: "", newPort: 0 }));
    const received: unknown[] = [];
    for await (const { message } of miner.messages) received.push(message);
    await miner[Symbol.asyncDispose]();
    await writing;
    const farewell = { name: "Reconnect", newHost: "", newPort: 0 };
    expect(received).toEqual([...Array.from({ length: 50 }, (_, count) => refusal(count)), farewell]);
  });

  test("says when its miner is too slow to be served, and since when it takes nothing", async () => {
    const { pool, miner } = await pair();
    const connection = new MinerConnection(pool, { maxMessages: 10, maxBytes: 100_000 });
    const writing = connection.write();
    const reading = miner.messages[Symbol.asyncIterator]();
    let outcome: "queued" | "overflow" = "queued";
    for (let count = 0; outcome === "queued" && count < 100_000; count += 1) {
      outcome = push(connection, count);
      // Lets the writer hand over what the transport takes.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(outcome).toBe("overflow");
    expect(connection.writingSince).toBeLessThanOrEqual(performance.now());
    connection.abort("slow-consumer", "does not keep up");
    await writing;
    expect(connection.isClosing).toBe(true);
    await expect(
      (async () => {
        for (let done = false; !done; ) done = (await reading.next()).done === true;
      })(),
    ).rejects.toMatchObject({ name: "NetworkError" });
  });
});
