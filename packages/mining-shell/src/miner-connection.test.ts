import { dialect, type MiningMessage } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { MinerConnection } from "./miner-connection.ts";
import { plainPair } from "./testing/plain-pair.ts";

const mining = dialect("mining");

function refusal(sequenceNumber: number): MiningMessage {
  return { name: "SubmitSharesError", channelId: 2, sequenceNumber, errorCode: "stale-share" };
}

function push(connection: MinerConnection, sequenceNumber: number): "queued" | "overflow" {
  const message = refusal(sequenceNumber);
  return connection.push(message, mining.encode(message));
}

describe("a miner's connection", () => {
  test("delivers what was queued in order, then the farewell, then ends", async () => {
    const { server, client } = await plainPair(1024);
    const connection = new MinerConnection(server, { maxMessages: 100, maxBytes: 100_000 });
    const writing = connection.write();
    for (let count = 0; count < 50; count += 1) expect(push(connection, count)).toBe("queued");
    connection.end(mining.encode({ name: "Reconnect", newHost: "", newPort: 0 }));
    const received: unknown[] = [];
    for await (const { message } of client.messages) received.push(message);
    await client[Symbol.asyncDispose]();
    await writing;
    const farewell = { name: "Reconnect", newHost: "", newPort: 0 };
    expect(received).toEqual([...Array.from({ length: 50 }, (_, count) => refusal(count)), farewell]);
  });

  test("says when its miner is too slow to be served, and since when it takes nothing", async () => {
    const { server, client } = await plainPair(1024);
    const connection = new MinerConnection(server, { maxMessages: 10, maxBytes: 100_000 });
    const writing = connection.write();
    const reading = client.messages[Symbol.asyncIterator]();
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
