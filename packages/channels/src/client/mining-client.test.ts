import { MAX_TARGET, pureHashing, targetFromBytes, targetToBytes } from "@adit/bitcoin";
import { type CommonMessage, type MiningMessage, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import type { ClientChannel } from "./client-channel.ts";
import type { MiningClientErrorCode } from "./client-error.ts";
import type { ClientEvent } from "./client-event.ts";
import { defaultClientLimits } from "./client-limits.ts";
import { MiningClient } from "./mining-client.ts";
import { bytes32, say } from "./testing/server-messages.ts";

const GROUP = 100;
const OTHER_GROUP = 101;
const request = { userIdentity: "alice", nominalHashRate: 1, maxTarget: u256(targetToBytes(MAX_TARGET)) };

function ask(client: MiningClient, requestId: number, kind: "standard" | "extended" = "extended"): MiningMessage {
  return kind === "standard"
    ? client.openStandard({ ...request, requestId })
    : client.openExtended({ ...request, requestId, minExtranonceSize: 4 });
}

function open(client: MiningClient, channelId: number, options: Opening = {}): ClientChannel {
  const { kind = "extended", group = GROUP } = options;
  ask(client, channelId, kind);
  hear(client, kind === "standard" ? say.openStandard(channelId, group) : say.open(channelId, group));
  return client.channel(channelId)!;
}

interface Opening {
  readonly kind?: "standard" | "extended";
  readonly group?: number;
}

function hear(client: MiningClient, ...messages: readonly (MiningMessage | CommonMessage)[]): ClientEvent[] {
  return messages.flatMap((message) => client.handle(message, 0));
}

/** What happened, short enough for a table. */
function brief(events: readonly ClientEvent[]): string[] {
  return events.map((event) => {
    if (event.type === "protocol-fault") return event.code;
    if (event.type === "job")
      return `${event.clean ? "clean " : ""}job ${event.job.jobId} on ${event.channel.channelId}`;
    if (event.type === "future-job") return `future ${event.job.jobId} on ${event.channel.channelId}`;
    return "channel" in event ? `${event.type} on ${event.channel.channelId}` : event.type;
  });
}

function mined(client: MiningClient): Record<number, number | undefined> {
  return Object.fromEntries([...client.channels].map(([id, channel]) => [id, channel.activeJob?.jobId]));
}

function codeOf(step: () => unknown): MiningClientErrorCode | "nothing thrown" {
  try {
    step();
    return "nothing thrown";
  } catch (error) {
    return (error as { code: MiningClientErrorCode }).code;
  }
}

describe("opening a channel", () => {
  test("makes the request's message and then a channel of what the server granted", () => {
    const client = new MiningClient();
    expect(ask(client, 7)).toEqual({
      name: "OpenExtendedMiningChannel",
      requestId: 7,
      minExtranonceSize: 4,
      ...request,
    });
    const [event] = hear(client, say.open(3, GROUP, 7));
    const channel = client.channel(3)!;
    expect(event).toEqual({ type: "opened", requestId: 7, channel });
    expect(channel).toMatchObject({
      channelId: 3,
      kind: "extended",
      groupChannelId: GROUP,
      userIdentity: "alice",
      extranoncePrefix: Uint8Array.of(3),
      extranonceSize: 8,
      target: 1n,
      activeJob: undefined,
      open: true,
      pendingSubmits: 0,
    });
  });

  test("of the standard kind leaves no extranonce to choose", () => {
    expect(open(new MiningClient(), 3, { kind: "standard" })).toMatchObject({ kind: "standard", extranonceSize: 0 });
  });

  test("that the server refuses says why, and frees the request id", () => {
    const client = new MiningClient();
    ask(client, 7);
    expect(hear(client, { name: "OpenMiningChannelError", requestId: 7, errorCode: "no" })).toEqual([
      { type: "open-refused", requestId: 7, errorCode: "no" },
    ]);
    expect(codeOf(() => ask(client, 7))).toBe("nothing thrown");
  });

  test("keeps its own copy of the bytes in the receive buffer", () => {
    const client = new MiningClient();
    ask(client, 3);
    const opened = say.open(3, GROUP);
    hear(client, opened);
    if (opened.name === "OpenExtendedMiningChannelSuccess") opened.extranoncePrefix.fill(9);
    expect(client.channel(3)?.extranoncePrefix).toEqual(Uint8Array.of(3));
  });

  test.each<[string, MiningMessage]>([
    ["the target is zero", { ...say.open(9, GROUP, 8), target: bytes32(0) } as MiningMessage],
    ["the id is a channel's", say.open(3, GROUP, 8)],
    ["the id is a group's", say.open(GROUP, OTHER_GROUP, 8)],
    ["the group's id is a channel's", say.open(9, 3, 8)],
    ["the channel is of the other kind", say.openStandard(9, GROUP, 8)],
    ["the extranonce is smaller than asked for", { ...say.open(9, GROUP, 8), extranonceSize: 3 } as MiningMessage],
    ["the extranonce does not fit a submit", { ...say.open(9, GROUP, 8), extranonceSize: 33 } as MiningMessage],
  ])("is refused by the client when %s", (_problem, message) => {
    const client = new MiningClient();
    const before = open(client, 3);
    ask(client, 8);
    expect(brief(hear(client, message))).toEqual(["bad-open", "open-refused"]);
    expect([...client.channels.values()]).toEqual([before]);
  });

  test("is refused by the client when more channels are open than it may hold", () => {
    const client = new MiningClient({ limits: { ...defaultClientLimits, maxChannels: 1 } });
    open(client, 1);
    ask(client, 2);
    expect(brief(hear(client, say.open(2, GROUP)))).toEqual(["bad-open", "open-refused"]);
  });

  test("that nobody asked for opens nothing", () => {
    const client = new MiningClient();
    expect(brief(hear(client, say.open(1, GROUP), say.openStandard(2, GROUP)))).toEqual(
      Array.from({ length: 2 }, () => "unknown-request"),
    );
    expect(client.channels.size).toBe(0);
  });

  test("throws for a request id that still waits, and for more requests than may wait", () => {
    const client = new MiningClient({ limits: { ...defaultClientLimits, maxPendingRequests: 2 } });
    ask(client, 1);
    expect(codeOf(() => ask(client, 1, "standard"))).toBe("request-id-in-use");
    ask(client, 2);
    expect(codeOf(() => ask(client, 3))).toBe("too-many-requests");
    hear(client, say.open(1, GROUP));
    expect(codeOf(() => ask(client, 3))).toBe("nothing thrown");
  });
});

describe("a job", () => {
  test("that is future waits for its prevhash, which makes it the one to mine", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    expect(brief(hear(client, say.job(1, 5, null)))).toEqual(["future 5 on 1"]);
    expect(channel.activeJob).toBeUndefined();
    const job = channel.job(5)!;
    expect(job).toMatchObject({ state: "future", prevHash: bytes32(0), nbits: 0, minNtime: 0 });
    expect(brief(hear(client, say.prevHash(1, 5, 9)))).toEqual(["clean job 5 on 1"]);
    expect(channel.activeJob).toBe(job);
    expect(job).toMatchObject({ state: "active", prevHash: bytes32(9), nbits: 0x207fffff, minNtime: 9 });
  });

  test("with an ntime is mined at once on the last prevhash, and the one before it is past", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(1, 5, null), say.prevHash(1, 5, 9));
    expect(brief(hear(client, say.job(1, 6, 12)))).toEqual(["job 6 on 1"]);
    expect(channel.activeJob).toMatchObject({ jobId: 6, prevHash: bytes32(9), nbits: 0x207fffff, minNtime: 12 });
    expect(channel.job(5)?.state).toBe("past");
  });

  test("with an ntime before any prevhash cannot be mined", () => {
    const client = new MiningClient();
    open(client, 1);
    expect(brief(hear(client, say.job(1, 6, 12)))).toEqual(["job-without-prev-hash"]);
    expect(mined(client)).toEqual({ 1: undefined });
  });

  test("of a dead tip is stale, is forgotten with the next tip, and a future one not named is gone at once", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    const unnamed = say.job(1, 7, null);
    hear(client, say.job(1, 5, null), say.prevHash(1, 5, 9), say.job(1, 6, 12), say.job(1, 8, null), unnamed);
    hear(client, say.prevHash(1, 8, 20));
    expect([5, 6, 7, 8].map((jobId) => channel.job(jobId)?.state)).toEqual(["stale", "stale", undefined, "active"]);
    hear(client, say.job(1, 9, null), say.prevHash(1, 9, 21));
    expect([5, 6, 8, 9].map((jobId) => channel.job(jobId)?.state)).toEqual([undefined, undefined, "stale", "active"]);
  });

  test("stops when a prevhash names a job that the client does not have, and mining goes on with the next job", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(1, 5, null), say.prevHash(1, 5, 9));
    expect(brief(hear(client, say.prevHash(1, 77, 10)))).toEqual(["unknown-job"]);
    expect(channel.activeJob).toBeUndefined();
    expect(channel.job(5)?.state).toBe("stale");
    expect(brief(hear(client, say.job(1, 6, 11)))).toEqual(["job 6 on 1"]);
    expect(channel.activeJob?.prevHash).toEqual(bytes32(10));
  });

  test("takes the place of any older one with its id", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(1, 5, null), say.prevHash(1, 5, 9), say.job(1, 6, 10), say.job(1, 7, null));
    hear(client, say.job(1, 5, 11), say.job(1, 7, 12));
    expect(channel.activeJob).toMatchObject({ jobId: 7, minNtime: 12 });
    expect(channel.job(5)).toMatchObject({ state: "past", minNtime: 11 });
    expect(brief(hear(client, say.prevHash(1, 7, 20)))).toEqual(["unknown-job"]);
  });

  test("keeps its own copy of the bytes in the receive buffer", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    const message = say.job(1, 5, null);
    const tip = say.prevHash(1, 5, 9);
    hear(client, message, tip);
    if (message.name === "NewExtendedMiningJob" && tip.name === "SetNewPrevHash") {
      for (const bytes of [message.coinbaseTxPrefix, message.coinbaseTxSuffix, ...message.merklePath, tip.prevHash]) {
        bytes.fill(0xee);
      }
    }
    expect(channel.activeJob).toMatchObject({
      coinbaseTxPrefix: Uint8Array.of(1),
      coinbaseTxSuffix: Uint8Array.of(2),
      merklePath: [bytes32(5)],
      prevHash: bytes32(9),
    });
  });

  test("for a standard channel carries its merkle root, and lets version bits roll", () => {
    const client = new MiningClient();
    const channel = open(client, 1, { kind: "standard" });
    hear(client, say.standardJob(1, 5, null), say.prevHash(1, 5, 9));
    expect(channel.activeJob).toMatchObject({
      merkleRoot: bytes32(5),
      versionRollingAllowed: true,
      coinbaseTxPrefix: undefined,
      merklePath: undefined,
    });
  });

  test("of the standard kind is not for an extended channel", () => {
    const client = new MiningClient();
    open(client, 1);
    expect(brief(hear(client, say.standardJob(1, 5, null)))).toEqual(["wrong-job-kind"]);
  });
});

describe("of the jobs kept for a channel", () => {
  const { maxFutureJobs, maxPastJobs } = defaultClientLimits;

  test("16 are future, and the oldest goes first", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    for (let jobId = 1; jobId <= 20; jobId++) hear(client, say.job(1, jobId, null));
    const kept = Array.from({ length: 20 }, (_, at) => at + 1).filter((jobId) => channel.job(jobId) !== undefined);
    expect(maxFutureJobs).toBe(16);
    expect(kept).toEqual(Array.from({ length: 16 }, (_, at) => at + 5));
    expect(brief(hear(client, say.prevHash(1, 4, 9)))).toEqual(["unknown-job"]);
  });

  test("50 are past, and the oldest goes first", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(1, 1, null), say.prevHash(1, 1, 9));
    for (let jobId = 2; jobId <= 60; jobId++) hear(client, say.job(1, jobId, jobId));
    expect(maxPastJobs).toBe(50);
    expect([9, 10, 59, 60].map((jobId) => channel.job(jobId)?.state)).toEqual([undefined, "past", "past", "active"]);
    hear(client, say.job(1, 61, null), say.prevHash(1, 61, 70));
    expect([10, 11, 60, 61].map((jobId) => channel.job(jobId)?.state)).toEqual([undefined, "stale", "stale", "active"]);
  });
});

describe("the target of a job", () => {
  test("is the channel's when it becomes active, and stays", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.target(1, 2), say.job(1, 5, null), say.target(1, 3));
    const future = channel.job(5)!;
    expect(future.target).toBe(3n);
    hear(client, say.target(1, 4), say.prevHash(1, 5, 9), say.target(1, 5));
    expect(future).toMatchObject({ state: "active", target: 4n, targetBytes: bytes32(4) });
    hear(client, say.job(1, 6, 10));
    expect(channel.activeJob?.target).toBe(5n);
    expect(future).toMatchObject({ state: "past", target: 4n });
  });

  test("cannot become zero", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    expect(brief(hear(client, say.target(1, 0)))).toEqual(["bad-target"]);
    expect(channel.target).toBe(1n);
  });

  test("can be every other 256-bit number", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    const most = u256(new Uint8Array(32).fill(0xff));
    hear(client, { name: "SetTarget", channelId: 1, maximumTarget: most });
    expect(channel.target).toBe(targetFromBytes(most));
  });
});

describe("an extranonce prefix", () => {
  test("is for jobs received after it: neither the active nor a waiting future one changes", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(1, 5, null), say.prevHash(1, 5, 9), say.job(1, 6, null));
    expect(brief(hear(client, say.prefix(1, 7)))).toEqual(["prefix on 1"]);
    hear(client, say.job(1, 7, 10), say.prevHash(1, 6, 11), say.job(1, 8, 12));
    expect(channel.extranoncePrefix).toEqual(Uint8Array.of(1, 7));
    expect(channel.job(6)?.extranoncePrefix).toEqual(Uint8Array.of(1));
    expect([5, 7].map((jobId) => channel.job(jobId)?.extranoncePrefix)).toEqual([
      Uint8Array.of(1),
      Uint8Array.of(1, 7),
    ]);
    expect(channel.activeJob?.extranoncePrefix).toEqual(Uint8Array.of(1, 7));
  });

  test("cannot be set for a group", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    expect(brief(hear(client, say.prefix(GROUP, 7)))).toEqual(["unknown-channel"]);
    expect(channel.extranoncePrefix).toEqual(Uint8Array.of(1));
  });
});

describe("a group", () => {
  test("passes jobs, prevhashes and targets on to each member and to no other channel", () => {
    const client = new MiningClient();
    for (const [channelId, group] of [
      [1, GROUP],
      [2, OTHER_GROUP],
      [3, GROUP],
    ] as const) {
      open(client, channelId, { kind: channelId === 3 ? "standard" : "extended", group });
    }
    expect(brief(hear(client, say.target(GROUP, 8), say.job(GROUP, 5, null), say.prevHash(GROUP, 5, 9)))).toEqual(
      ["target", "future 5", "clean job 5"].flatMap((what) => [`${what} on 1`, `${what} on 3`]),
    );
    expect(mined(client)).toEqual({ 1: 5, 2: undefined, 3: 5 });
    expect([1, 2, 3].map((channelId) => client.channel(channelId)?.target)).toEqual([8n, 1n, 8n]);
  });

  test("gives a standard member the merkle root of its own prefix, as it was when the job came", () => {
    const client = new MiningClient();
    const channel = open(client, 3, { kind: "standard" });
    hear(client, say.job(GROUP, 5, null), say.prefix(3, 7), say.prevHash(GROUP, 5, 9), say.job(GROUP, 6, 10));
    const rootWith = (jobId: number, prefix: readonly number[]): Uint8Array =>
      pureHashing.merkleRoot(Uint8Array.of(1, ...prefix, 2), [bytes32(jobId)]);
    expect(channel.job(5)?.merkleRoot).toEqual(rootWith(5, [3]));
    expect(channel.job(6)?.merkleRoot).toEqual(rootWith(6, [3, 7]));
  });

  test("gives an extended member no merkle root, which depends on its extranonce", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(GROUP, 5, null));
    expect(channel.job(5)?.merkleRoot).toBeUndefined();
  });

  test("closes all its members and nothing else", () => {
    const client = new MiningClient();
    const members = [open(client, 1), open(client, 2)];
    open(client, 3, { group: OTHER_GROUP });
    expect(brief(hear(client, say.close(GROUP)))).toEqual(["channel-closed on 1", "channel-closed on 2"]);
    expect(members.map((channel) => channel.open)).toEqual([false, false]);
    expect([...client.channels.keys()]).toEqual([3]);
  });

  test("is left and joined by SetGroupChannel", () => {
    const client = new MiningClient();
    for (const channelId of [1, 2, 3]) open(client, channelId);
    hear(client, say.job(GROUP, 5, null), say.prevHash(GROUP, 5, 9));
    expect(hear(client, say.regroup(OTHER_GROUP, [1, 3]))).toEqual([]);
    expect([1, 2, 3].map((channelId) => client.channel(channelId)?.groupChannelId)).toEqual([
      OTHER_GROUP,
      GROUP,
      OTHER_GROUP,
    ]);
    hear(client, say.job(OTHER_GROUP, 6, 10));
    expect(mined(client)).toEqual({ 1: 6, 2: 5, 3: 6 });
    hear(client, say.job(GROUP, 7, 11));
    expect(mined(client)).toEqual({ 1: 6, 2: 7, 3: 6 });
    hear(client, say.close(OTHER_GROUP));
    expect(mined(client)).toEqual({ 2: 7 });
  });

  test("cannot be a channel", () => {
    const client = new MiningClient();
    open(client, 1);
    open(client, 2);
    expect(brief(hear(client, say.regroup(1, [2])))).toEqual(["bad-group"]);
    expect(client.channel(2)?.groupChannelId).toBe(GROUP);
  });

  test("of unknown channels is one fault however many they are, and the known one joins", () => {
    const client = new MiningClient();
    open(client, 1);
    const channelIds = [...Array.from({ length: 65_534 }, (_, at) => at + 1_000), 1];
    expect(brief(hear(client, say.regroup(OTHER_GROUP, channelIds)))).toEqual(["unknown-channel"]);
    expect(client.channel(1)?.groupChannelId).toBe(OTHER_GROUP);
  });
});

describe("a submit", () => {
  const found = { jobId: 5, nonce: 1, ntime: 2, version: 3 };
  const extended = { ...found, extranonce: new Uint8Array(8) };

  test("carries the next sequence number of its channel", () => {
    const client = new MiningClient();
    const [one, two] = [open(client, 1), open(client, 2, { kind: "standard" })];
    expect(one.submitExtended(extended)).toEqual({
      name: "SubmitSharesExtended",
      channelId: 1,
      sequenceNumber: 0,
      ...extended,
    });
    expect(one.submitExtended(extended).sequenceNumber).toBe(1);
    expect(two.submitStandard(found)).toEqual({
      name: "SubmitSharesStandard",
      channelId: 2,
      sequenceNumber: 0,
      ...found,
    });
    expect(one.submitExtended(extended).sequenceNumber).toBe(2);
  });

  test("is pending until it is rejected, or acknowledged with all before it", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    for (let count = 0; count < 5; count++) channel.submitExtended(extended);
    expect(hear(client, say.reject(1, 3))).toEqual([
      { type: "share-rejected", channel, sequenceNumber: 3, errorCode: "stale-share" },
    ]);
    expect(channel.pendingSubmits).toBe(4);
    expect(hear(client, say.ack(1, 2, 3))).toEqual([
      { type: "shares-accepted", channel, lastSequenceNumber: 2, count: 3, sum: 3n },
    ]);
    expect(channel.pendingSubmits).toBe(1);
    hear(client, say.ack(1, 4));
    expect(channel.pendingSubmits).toBe(0);
  });

  test("that was never sent, when acknowledged, settles nothing", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    for (let count = 0; count < 3; count++) channel.submitExtended(extended);
    hear(client, say.ack(1, 3), say.ack(1, 0xffffffff), say.reject(1, 99));
    expect(channel.pendingSubmits).toBe(3);
  });

  test("is forgotten, oldest first, when too many have no answer", () => {
    const client = new MiningClient({ limits: { ...defaultClientLimits, maxPendingSubmits: 3 } });
    const channel = open(client, 1);
    for (let count = 0; count < 10; count++) channel.submitExtended(extended);
    expect(channel.pendingSubmits).toBe(3);
    hear(client, say.ack(1, 6));
    expect(channel.pendingSubmits).toBe(3);
    hear(client, say.ack(1, 7));
    expect(channel.pendingSubmits).toBe(2);
  });

  test("that its channel does not allow throws, and takes no sequence number", () => {
    const client = new MiningClient();
    const [one, two] = [open(client, 1), open(client, 2, { kind: "standard" })];
    expect(codeOf(() => one.submitStandard(found))).toBe("wrong-channel-kind");
    expect(codeOf(() => two.submitExtended(extended))).toBe("wrong-channel-kind");
    expect(codeOf(() => one.submitExtended({ ...found, extranonce: new Uint8Array(7) }))).toBe("bad-extranonce-size");
    expect(one.submitExtended(extended).sequenceNumber).toBe(0);
    hear(client, say.close(1));
    expect(codeOf(() => one.submitExtended(extended))).toBe("channel-closed");
  });
});

describe("a closed channel", () => {
  test("has nothing to mine and no jobs, and says how many submits stay unanswered", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(1, 5, null), say.prevHash(1, 5, 9), say.job(1, 6, 10), say.job(1, 7, null));
    const jobs = [5, 6, 7].map((jobId) => channel.job(jobId)!);
    channel.submitExtended({ jobId: 6, nonce: 1, ntime: 2, version: 3, extranonce: new Uint8Array(8) });
    expect(hear(client, say.close(1))).toEqual([{ type: "channel-closed", channel, reasonCode: "bye" }]);
    expect(channel).toMatchObject({ open: false, activeJob: undefined, pendingSubmits: 1 });
    expect([5, 6, 7].map((jobId) => channel.job(jobId))).toEqual([undefined, undefined, undefined]);
    expect(jobs.map(({ state }) => state)).toEqual(["stale", "stale", "stale"]);
  });

  test("may be closed from this side, alone or with its group", () => {
    const client = new MiningClient();
    const [one, two] = [open(client, 1), open(client, 2)];
    expect(client.close(1, "done")).toEqual({ name: "CloseChannel", channelId: 1, reasonCode: "done" });
    expect([one.open, two.open]).toEqual([false, true]);
    client.close(GROUP, "done");
    expect(client.channels.size).toBe(0);
  });

  test("may still be sent what was on the way, which is no fault", () => {
    const client = new MiningClient();
    open(client, 1);
    client.close(1, "done");
    const late = [say.job(1, 5, null), say.prevHash(GROUP, 5, 9), say.target(1, 3), say.prefix(1, 3), say.ack(1, 0)];
    expect(hear(client, ...late, say.reject(1, 0), say.regroup(OTHER_GROUP, [1]), say.close(1))).toEqual([]);
  });
});

describe("a channel that never was", () => {
  test.each([
    ["a job", say.job(9, 5, null)],
    ["a standard job", say.standardJob(9, 5, 1)],
    ["a prevhash", say.prevHash(9, 5, 9)],
    ["a target", say.target(9, 5)],
    ["a prefix", say.prefix(9, 5)],
    ["a close", say.close(9)],
    ["a regrouping", say.regroup(OTHER_GROUP, [9])],
  ])("may be sent %s, which changes nothing and is reported", (_what, message) => {
    const client = new MiningClient();
    const channel = open(client, 1);
    hear(client, say.job(1, 5, null), say.prevHash(1, 5, 9));
    expect(brief(hear(client, message))).toEqual(["unknown-channel"]);
    expect(channel).toMatchObject({ groupChannelId: GROUP, target: 1n, open: true });
    expect(mined(client)).toEqual({ 1: 5 });
  });

  test.each<MiningMessage>([
    say.ack(9, 5),
    say.reject(9, 5),
    { name: "UpdateChannelError", channelId: 9, errorCode: "no" },
  ])("may be sent an answer, which is not even reported: $name", (message) => {
    expect(hear(new MiningClient(), message)).toEqual([]);
  });
});

describe("a message that is not about work", () => {
  test("is told to the client's user", () => {
    const client = new MiningClient();
    const channel = open(client, 1);
    expect(hear(client, { name: "Reconnect", newHost: "other", newPort: 7 })).toEqual([
      { type: "reconnect", host: "other", port: 7 },
    ]);
    expect(hear(client, { name: "UpdateChannelError", channelId: 1, errorCode: "no" })).toEqual([
      { type: "update-refused", channel, errorCode: "no" },
    ]);
  });

  test("of an endpoint that changed is no fault: there is no extension state to reset", () => {
    const client = new MiningClient();
    open(client, 1);
    expect(hear(client, { name: "ChannelEndpointChanged", channelId: 1 })).toEqual([]);
  });

  test.each<MiningMessage | CommonMessage>([
    { name: "SetupConnectionSuccess", usedVersion: 2, flags: 0 },
    { name: "OpenStandardMiningChannel", requestId: 1, ...request },
    { name: "SubmitSharesStandard", channelId: 1, sequenceNumber: 0, jobId: 1, nonce: 1, ntime: 1, version: 1 },
  ])("and that a server does not send here is a fault: $name", (message) => {
    expect(brief(hear(new MiningClient(), message))).toEqual(["unexpected-message"]);
  });
});
