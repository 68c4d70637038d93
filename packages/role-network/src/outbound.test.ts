import { dialect, type MiningMessage } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { Outbound } from "./outbound.ts";

const close = (channelId: number): MiningMessage => ({ name: "CloseChannel", channelId, reasonCode: "" });
const mining = dialect("mining");

/** Lets what was resolved take its course. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A connection whose writes end when they are told to. */
function connection() {
  const written: Uint8Array[][] = [];
  const aborted: Error[] = [];
  let finish = (): void => {};
  return {
    written,
    aborted,
    finish: () => finish(),
    protocol: "mining" as const,
    writeFrames: async (frames: readonly Uint8Array[]) => {
      written.push([...frames]);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    },
    abort: (reason: Error) => void aborted.push(reason),
  };
}

describe("the sending half of a dialled connection", () => {
  test("keeps the order, and sends in one write what waited for the one before", async () => {
    const peer = connection();
    const outbound = new Outbound(peer, { maxWaitingBytes: 1000, tlvByteOrder: "little" });
    for (const id of [1, 2, 3]) outbound.send(close(id));
    peer.finish();
    await settled();
    expect(peer.written).toEqual([[mining.encode(close(1))], [mining.encode(close(2)), mining.encode(close(3))]]);
    const flushed = outbound.flushed();
    peer.finish();
    await flushed;
  });

  test("breaks off a peer that takes nothing", () => {
    const peer = connection();
    const outbound = new Outbound(peer, { maxWaitingBytes: 30, tlvByteOrder: "little" });
    for (const id of [1, 2, 3, 4]) outbound.send(close(id));
    expect(peer.aborted.map(({ message }) => message)).toEqual(["the peer takes no data; 33 bytes wait for it"]);
  });

  test("breaks off instead of sending what fits no frame", () => {
    const peer = connection();
    const outbound = new Outbound(peer, { maxWaitingBytes: 1000, tlvByteOrder: "little" });
    outbound.send({ name: "CloseChannel", channelId: 1, reasonCode: "x".repeat(256) });
    expect([peer.written, peer.aborted.map(({ name }) => name)]).toEqual([[], ["CodecError"]]);
  });
});
