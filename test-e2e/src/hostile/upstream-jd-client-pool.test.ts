import { type DialectMessage, u256 } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { brokenFrames } from "../harness/broken-frames.ts";
import { ExposedJdClients, goesOn, LEFT_MS, poolThat, type UpstreamScripts } from "../harness/exposed-jd-clients.ts";
import type { Script } from "../harness/hostile-server.ts";
import {
  ANY_TARGET,
  CHANNEL,
  COLOURS,
  colourfulRefusal,
  giveWork,
  grantExtensions,
  prefixOf,
  setUp,
  wrongVersion,
} from "../harness/pool-script.ts";
import { until } from "../harness/until.ts";
import { openChannel, refuseShare, takeJob } from "../harness/work-selection-script.ts";

type Over = "tcp" | "iroh";

let scene: ExposedJdClients;

beforeAll(async () => {
  scene = await ExposedJdClients.open();
});
afterAll(() => scene[Symbol.asyncDispose]());

const nothing = async (): Promise<void> => {};

/** What a pool says once the first job is set, as often as it takes to be left. */
function saying(message: (at: number) => DialectMessage<"mining">, count = 30): UpstreamScripts {
  return working(async (client) => {
    for (let at = 0; at < count; at += 1) await client.say(message(at));
  });
}

/** Once a job is set, takes it and does something. */
function working(then: Script<"mining">): UpstreamScripts {
  return poolThat({
    SetCustomMiningJob: async (client, request) => {
      await takeJob()(client, request);
      await then(client);
    },
  });
}

/** Refuses every job. */
function refusing(errorCode: string): UpstreamScripts {
  return poolThat({
    SetCustomMiningJob: async (client, { channelId, requestId }) =>
      client.say({ name: "SetCustomMiningJobError", channelId, requestId, errorCode }),
  });
}

/** OpenExtendedMiningChannel.Success with a prefix of 33 bytes, which the codec here does not encode. */
async function openTooWide(
  client: Parameters<Script<"mining">>[0],
  { requestId }: { readonly requestId: number },
): Promise<void> {
  const payload = Buffer.alloc(4 + 4 + 32 + 2 + 1 + 33 + 4, 0xff);
  payload.writeUInt32LE(requestId, 0);
  payload.writeUInt16LE(12, 40);
  payload.writeUInt8(33, 42);
  await client.frame(0x14, payload);
}

/** What a pool does wrong before there is any work, and what the jd-client says of it. */
const wrongStarts: Record<string, readonly [UpstreamScripts, RegExp]> = {
  "chooses a version that was not offered": [{ pool: wrongVersion[0] }, /connection-lost.*protocol version 3/],
  "refuses with control characters for a reason": [{ pool: colourfulRefusal[0] }, /connection-lost.*refuses/],
  "answers SetupConnection with something else": [
    {
      pool: async (client) => {
        await client.hear("SetupConnection");
        await giveWork(client, 1);
        await client.left();
      },
    },
    /the answer to SetupConnection is NewExtendedMiningJob/,
  ],
  "never answers SetupConnection": [{ pool: (client) => client.left() }, /timed out|connection-timeout/],
  "opens no channel": [poolThat({ OpenExtendedMiningChannel: nothing }), /channel-timeout/],
  "refuses the channel": [
    poolThat({
      OpenExtendedMiningChannel: async (client, { requestId }) =>
        client.say({ name: "OpenMiningChannelError", requestId, errorCode: COLOURS }),
    }),
    /channel-refused/,
  ],
  "grants a prefix of 33 bytes": [poolThat({ OpenExtendedMiningChannel: openTooWide }), /value-out-of-range/],
  "leaves nothing to roll": [
    poolThat({ OpenExtendedMiningChannel: openChannel({ extranonceSize: 2 }) }),
    /channel-refused|extranonce-unusable|channel-timeout/,
  ],
  "leaves more to roll than there can be": [
    poolThat({ OpenExtendedMiningChannel: openChannel({ extranonceSize: 0xffff }) }),
    /channel-refused|extranonce-unusable|channel-timeout/,
  ],
  "gives jobs of its own": [
    {
      pool: async (client) => {
        await setUp(client);
        await grantExtensions(client);
        await openChannel()(client, await client.hear("OpenExtendedMiningChannel"));
        await giveWork(client, 1);
        await client.left();
      },
    },
    /unexpected-job/,
  ],
};

/** What a pool does wrong with jobs and shares, and what the jd-client says of it. */
const wrongWork: Record<string, readonly [UpstreamScripts, RegExp]> = {
  "never says what becomes of a job": [poolThat({ SetCustomMiningJob: nothing }), /custom-job-timeout/],
  "refuses every job": [refusing(COLOURS), /custom-job-refused/],
  "calls every job's tip stale": [refusing("stale-chain-tip"), /custom-job-refused/],
  "takes jobs that nobody has set": [
    saying((at) => ({ name: "SetCustomMiningJobSuccess", channelId: CHANNEL, requestId: 9000 + at, jobId: 1 })),
    /protocol-fault/,
  ],
  "takes jobs, and no share of them": [
    poolThat({ SubmitSharesExtended: refuseShare("invalid-job-id") }),
    /share-rejected/,
  ],
  "finds every share too easy": [
    poolThat({ SubmitSharesExtended: refuseShare("difficulty-too-low") }),
    /share-rejected/,
  ],
  "credits no share for want of room": [
    poolThat({ SubmitSharesExtended: refuseShare("share-rate-exceeded") }),
    /share-rejected/,
  ],
  "sets targets of channels that do not exist": [
    saying((at) => ({ name: "SetTarget", channelId: 5000 + at, maximumTarget: ANY_TARGET })),
    /protocol-fault/,
  ],
  "sets a target of zero": [
    saying(() => ({ name: "SetTarget", channelId: CHANNEL, maximumTarget: u256(new Uint8Array(32)) })),
    /protocol-fault/,
  ],
  "closes the channel": [
    saying(() => ({ name: "CloseChannel", channelId: CHANNEL, reasonCode: COLOURS })),
    /channel-closed/,
  ],
  "groups 65,535 channels that do not exist": [
    saying(() => ({
      name: "SetGroupChannel",
      groupChannelId: CHANNEL,
      channelIds: Array.from({ length: 65_535 }, (_, id) => 10_000 + id),
    })),
    /protocol-fault/,
  ],
  "opens channels nobody asked for": [
    saying((at) => ({
      name: "OpenExtendedMiningChannelSuccess",
      requestId: 9000 + at,
      channelId: 9000 + at,
      target: ANY_TARGET,
      extranonceSize: 12,
      extranoncePrefix: prefixOf(8),
      groupChannelId: 100,
    })),
    /protocol-fault/,
  ],
  "says what only a client may say": [
    saying(() => ({
      name: "UpdateChannel",
      channelId: CHANNEL,
      nominalHashRate: Number.NaN,
      maximumTarget: ANY_TARGET,
    })),
    /UpdateChannel is not for it to send/,
  ],
  ...brokenFrames(working, 0x1f),
  "cuts a message short": [
    working((client) => client.frame(0x23, new Uint8Array(5), true)),
    /short-read at SetCustomMiningJobSuccess/,
  ],
};

describe.concurrent.each<Over>(["tcp", "iroh"])("a jd-client leaves a pool over %s, and says why, that", (over) => {
  test.each(Object.entries({ ...wrongStarts, ...wrongWork }))("%s", async (_what, [scripts, says]) => {
    await scene.endure(over, scripts, says);
  });
});

describe.concurrent("a jd-client goes on", () => {
  test("when all jobs are taken under one number", async () => {
    await using exposed = await scene.expose("tcp", poolThat({ SetCustomMiningJob: takeJob(7) }));
    await until("shares are credited", () => exposed.jdClient.status().shares_acknowledged > 3, LEFT_MS);
    await goesOn(exposed);
  });

  test("when it is sent to another host, again and again", async () => {
    await using exposed = await scene.expose(
      "tcp",
      saying(() => ({ name: "Reconnect", newHost: "127.0.0.1", newPort: 1 })),
    );
    await until("a job was taken", () => exposed.jdClient.status().custom_jobs > 0, LEFT_MS);
    await goesOn(exposed);
  });

  test("when shares are acknowledged that were never sent, and numbers are at their ends", async () => {
    const odd = saying((at) => ({
      name: "SubmitSharesSuccess",
      channelId: at % 2 === 0 ? CHANNEL : 0xffffffff - at,
      lastSequenceNumber: 0xffffffff - at,
      newSubmitsAcceptedCount: 0xffffffff,
      newSharesSum: 0xffffffffffffffffn,
    }));
    await using exposed = await scene.expose("tcp", odd);
    await until("a job was taken", () => exposed.jdClient.status().custom_jobs > 0, LEFT_MS);
    await goesOn(exposed);
  });

  test("after prefix and target have changed in a storm", async () => {
    let storms = 0;
    const storm = working(async (client) => {
      storms += 1;
      const changes = storms === 1 ? 200 : 0;
      for (let at = 0; at < changes; at += 1) {
        const extranoncePrefix = prefixOf(8).map((byte) => byte ^ at);
        await client.say({ name: "SetExtranoncePrefix", channelId: CHANNEL, extranoncePrefix });
        const maximumTarget = u256(new Uint8Array(32).fill(0xff, 0, 30 + (at % 2)));
        await client.say({ name: "SetTarget", channelId: CHANNEL, maximumTarget });
      }
    });
    await using exposed = await scene.expose("tcp", storm);
    const { jdClient, miner } = exposed;
    await until("a job is taken after the storm", () => storms > 1, LEFT_MS);
    await until("shares of it are credited", () => jdClient.status().shares_acknowledged > 3, LEFT_MS);
    // A share may have been on its way when the prefix changed more often than jobs are kept.
    const onTheirWay = miner.rejected.slice();
    expect(onTheirWay.filter((errorCode) => errorCode !== "invalid-job-id")).toEqual([]);
    expect(onTheirWay.length).toBeLessThan(5);
    await goesOn(exposed, onTheirWay);
  });

  test("keeping shares while the pool says nothing of their job, and sends them once it does", async () => {
    const held: (() => Promise<void>)[] = [];
    let isSilent = true;
    const sequence: number[] = [];
    const slow = poolThat({
      SetCustomMiningJob: async (client, message) => {
        const answer = (): Promise<void> => takeJob()(client, message);
        if (isSilent) held.push(answer);
        else await answer();
      },
      SubmitSharesExtended: async (client, { channelId, sequenceNumber }) => {
        sequence.push(sequenceNumber);
        await client.say({
          name: "SubmitSharesSuccess",
          channelId,
          lastSequenceNumber: sequenceNumber,
          newSubmitsAcceptedCount: 1,
          newSharesSum: 1n,
        });
      },
    });
    await using exposed = await scene.expose("tcp", slow, { answerSecs: 60 });
    const { jdClient } = exposed;
    await until("shares wait", () => jdClient.status().cached_shares > 2, LEFT_MS);
    expect(sequence).toEqual([]);
    isSilent = false;
    for (const answer of held) await answer();
    await until("they are credited", () => jdClient.status().shares_acknowledged > 2, LEFT_MS);
    expect(new Set(sequence).size).toBe(sequence.length);
  });

  test.each<Over>(["tcp", "iroh"])("at the next pool and jd-server over %s when the first turn on it", async (over) => {
    const turning = poolThat({ SubmitSharesExtended: refuseShare("invalid-job-id") });
    await using exposed = await scene.expose(over, turning, { next: true });
    const credited = async (): Promise<boolean> =>
      (await scene.pool.status()).channels.some(
        ({ user_identity: name, shares_accepted: shares }) => name === exposed.userIdentity && shares > 2,
      );
    await until("the next pool credits shares", credited, LEFT_MS);
    await goesOn(exposed);
  });
});
