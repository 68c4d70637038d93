import { MAX_TARGET, targetFromBytes, targetToBytes } from "@adit/bitcoin";
import { type MiningMessage, type SetCustomMiningJob, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import type { ClientChannel } from "./client-channel.ts";
import type { ClientEvent } from "./client-event.ts";
import { defaultClientLimits } from "./client-limits.ts";
import { MiningClient } from "./mining-client.ts";
import { bytes32, say } from "./testing/server-messages.ts";

const CHANNEL = 7;
const GROUP = 100;

function jobOf(requestId: number): Omit<SetCustomMiningJob, "name" | "channelId"> {
  return {
    requestId,
    miningJobToken: Uint8Array.of(1),
    version: 0x20000000,
    prevHash: bytes32(1),
    minNtime: 5,
    nbits: 0x207fffff,
    coinbaseTxVersion: 2,
    coinbasePrefix: Uint8Array.of(0x51),
    coinbaseTxInputNSequence: 0xffffffff,
    coinbaseTxOutputs: Uint8Array.of(0),
    coinbaseTxLocktime: 0,
    merklePath: [],
  };
}

function opened(kind: "standard" | "extended" = "extended", maxPendingRequests = 2) {
  const client = new MiningClient({ limits: { ...defaultClientLimits, maxPendingRequests } });
  const request = {
    requestId: 1,
    userIdentity: "alice",
    nominalHashRate: 1,
    maxTarget: u256(targetToBytes(MAX_TARGET)),
  };
  if (kind === "standard") client.openStandard(request);
  else client.openExtended({ ...request, minExtranonceSize: 4 });
  client.handle(kind === "standard" ? say.openStandard(CHANNEL, GROUP, 1) : say.open(CHANNEL, GROUP, 1), 0);
  return { client, channel: client.channel(CHANNEL) as ClientChannel };
}

function hear(client: MiningClient, ...messages: readonly MiningMessage[]): readonly ClientEvent[] {
  return messages.flatMap((message) => client.handle(message, 0));
}

const accepted = (requestId: number, jobId: number, channelId = CHANNEL): MiningMessage => ({
  name: "SetCustomMiningJobSuccess",
  channelId,
  requestId,
  jobId,
});

const refused = (requestId: number, errorCode: string): MiningMessage => ({
  name: "SetCustomMiningJobError",
  channelId: CHANNEL,
  requestId,
  errorCode,
});

describe("a custom job", () => {
  test("is addressed to its channel, and its shares may be submitted under the id of the answer", () => {
    const { client, channel } = opened();
    expect(client.setCustomMiningJob(channel, jobOf(3))).toEqual({
      ...jobOf(3),
      name: "SetCustomMiningJob",
      channelId: CHANNEL,
    });
    expect(hear(client, accepted(3, 40))).toMatchObject([
      { type: "custom-job-accepted", requestId: 3, jobId: 40, channel },
    ]);
  });

  test("is judged by the target and prefix that the channel had when the server answered", () => {
    const { client, channel } = opened();
    client.setCustomMiningJob(channel, jobOf(3));
    const [, , answer] = hear(client, say.target(CHANNEL, 9), say.prefix(CHANNEL, 5), accepted(3, 40));
    hear(client, say.target(CHANNEL, 11), say.prefix(CHANNEL, 6));
    expect(answer).toMatchObject({
      target: targetFromBytes(bytes32(9)),
      extranoncePrefix: Uint8Array.of(CHANNEL, 5),
    });
  });

  test("may be refused, with the server's own code", () => {
    const { client, channel } = opened();
    client.setCustomMiningJob(channel, jobOf(3));
    expect(hear(client, refused(3, "stale-chain-tip"))).toEqual([
      { type: "custom-job-refused", channel, requestId: 3, errorCode: "stale-chain-tip" },
    ]);
  });

  test("is answered once, on its own channel, and only if it was asked", () => {
    const { client, channel } = opened();
    client.setCustomMiningJob(channel, jobOf(3));
    const codes = hear(client, accepted(4, 1), accepted(3, 1, 8), accepted(3, 1), accepted(3, 2), refused(3, "x")).map(
      (event) => (event.type === "protocol-fault" ? event.code : event.type),
    );
    expect(codes).toEqual([
      "unknown-request",
      "unknown-channel",
      "custom-job-accepted",
      "unknown-request",
      "unknown-request",
    ]);
  });

  test("of a closed channel is answered late, which is no fault", () => {
    const { client, channel } = opened();
    client.setCustomMiningJob(channel, jobOf(3));
    client.close(CHANNEL, "bye");
    expect(hear(client, accepted(3, 1))).toEqual([]);
    expect(() => client.setCustomMiningJob(channel, jobOf(4))).toThrow(
      expect.objectContaining({ code: "channel-closed" }),
    );
  });

  test("waits with no more than the limit of others, each under an id of its own, on an extended channel", () => {
    const { client, channel } = opened();
    client.setCustomMiningJob(channel, jobOf(3));
    expect(() => client.setCustomMiningJob(channel, jobOf(3))).toThrow(
      expect.objectContaining({ code: "request-id-in-use" }),
    );
    client.setCustomMiningJob(channel, jobOf(4));
    expect(() => client.setCustomMiningJob(channel, jobOf(5))).toThrow(
      expect.objectContaining({ code: "too-many-requests" }),
    );
    hear(client, refused(3, "x"));
    client.setCustomMiningJob(channel, jobOf(5));
    const standard = opened("standard");
    expect(() => standard.client.setCustomMiningJob(standard.channel, jobOf(3))).toThrow(
      expect.objectContaining({ code: "wrong-channel-kind" }),
    );
  });
});
