import { type MiningMessage, type OpenExtendedMiningChannelSuccess, u256 } from "@adit/codec";
import { authorityPublicKey, encodeAuthorityPublicKey } from "@adit/noise";
import { describe, expect, test } from "vitest";
import { brokenFrames } from "../harness/broken-frames.ts";
import {
  beginHonestly,
  deviceToml,
  giveWorkAs,
  jobAs,
  type Kind,
  type MiningScript,
  openAs,
  root,
  takeAs,
} from "../harness/device-script.ts";
import { HostileServer } from "../harness/hostile-server.ts";
import {
  ANY_TARGET,
  CHANNEL,
  COLOURS,
  colourfulRefusal,
  job,
  prefixOf,
  prevHash,
  setUp,
  wrongVersion,
} from "../harness/pool-script.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { until } from "../harness/until.ts";

type Over = "tcp" | "iroh";

const PATIENCE_MS = 100_000;
/** A device whose first connection is a script's and whose later ones are honest. It is alive, says why, and mines on. */
async function endure(kind: Kind, over: Over, [script, says]: readonly [MiningScript, RegExp]): Promise<void> {
  let accepted = 0;
  let before = 0;
  await using server = await HostileServer.start("mining", over, async (client) => {
    before += 1;
    if (before === 1) return await script(client);
    await setUp(client);
    await openAs(kind, client);
    await giveWorkAs(kind, client, 1);
    for (;;) accepted += (await takeAs(kind, client, 1)).length;
  });
  await using device = await RoleInProcess.start("mining-device", (folder) =>
    deviceToml(folder, kind, server.upstream),
  );
  await device.logged(says, PATIENCE_MS);
  await until("shares of the next connection", () => accepted > 1, PATIENCE_MS);
  expect(device.readiness.filter((word) => word.startsWith("ended"))).toEqual([]);
  expect(server.faults).toEqual([]);
}

type Wrong = readonly [MiningScript, RegExp];

/** What a pool does wrong at a channel of this kind, and what the device says when it leaves. */
function wrongs(kind: Kind): Record<string, Wrong> {
  const setUpThen =
    (then: MiningScript): MiningScript =>
    async (client) => {
      await setUp(client);
      await then(client);
      await client.left();
    };
  const working =
    (then: MiningScript): MiningScript =>
    async (client) => {
      await beginHonestly(kind, client);
      await then(client);
      await client.left();
    };
  const repeating = (message: (at: number) => MiningMessage): MiningScript =>
    working(async (client) => {
      for (let at = 0; at < 20; at += 1) await client.say(message(at));
    });
  const opening = (changes: Partial<OpenExtendedMiningChannelSuccess>): MiningScript =>
    setUpThen((client) => openAs(kind, client, changes));
  return {
    "chooses a version that was not offered": wrongVersion,
    "refuses with control characters for a reason": colourfulRefusal,
    "answers SetupConnection with something else": [
      async (client) => {
        await client.hear("SetupConnection");
        await client.say(jobAs(kind, 1));
        await client.left();
      },
      /the answer to SetupConnection is/,
    ],
    "refuses the channel with control characters": [
      setUpThen(async (client) => {
        const open = kind === "extended" ? "OpenExtendedMiningChannel" : "OpenStandardMiningChannel";
        const { requestId } = await client.hear(open);
        await client.say({ name: "OpenMiningChannelError", requestId, errorCode: COLOURS });
      }),
      /refused the channel: \\\\u001b/,
    ],
    "opens a channel with a target of zero": [opening({ target: u256(new Uint8Array(32)) }), /channel: bad-open/],
    "opens a channel whose group is itself": [
      setUpThen(async (client) => {
        await openAs(kind, client, { groupChannelId: CHANNEL });
        for (let at = 0; at < 20; at += 1) await client.say(jobAs(kind, at, { channelId: 5000 + at }));
      }),
      /unknown-channel|bad-open/,
    ],
    "grants a prefix of 33 bytes": [
      setUpThen(async (client) => {
        const open = kind === "extended" ? "OpenExtendedMiningChannel" : "OpenStandardMiningChannel";
        const { requestId } = await client.hear(open);
        const size = kind === "extended" ? 2 : 0;
        const payload = Buffer.alloc(40 + size + 1 + 33 + 4, 0xff);
        payload.writeUInt32LE(requestId, 0);
        payload.writeUInt8(33, 40 + size);
        if (size > 0) payload.writeUInt16LE(12, 40);
        await client.frame(kind === "extended" ? 0x14 : 0x11, payload);
      }),
      /value-out-of-range at Open\w+MiningChannelSuccess.extranoncePrefix/,
    ],
    "gives jobs for channels that do not exist": [
      repeating((at) => jobAs(kind, at, { channelId: 5000 + at })),
      /keeps breaking the protocol: unknown-channel/,
    ],
    "gives jobs of the other kind": [
      repeating((at) => ({
        ...(kind === "extended"
          ? { name: "NewMiningJob", minNtime: null, version: 0, merkleRoot: root }
          : { ...job(at), channelId: 5000 }),
        channelId: kind === "extended" ? CHANNEL : 5000,
        jobId: at,
      })),
      /keeps breaking the protocol: (wrong-job-kind|unknown-channel)/,
    ],
    "names jobs nobody has": [repeating((at) => prevHash(7000 + at)), /protocol: unknown-job/],
    "sets targets of zero": [
      repeating(() => ({ name: "SetTarget", channelId: CHANNEL, maximumTarget: u256(new Uint8Array(32)) })),
      /protocol: bad-target/,
    ],
    "opens channels nobody asked for": [
      repeating((at) => ({
        name: "OpenStandardMiningChannelSuccess",
        requestId: 9000 + at,
        channelId: 9000 + at,
        target: ANY_TARGET,
        extranoncePrefix: prefixOf(8),
        groupChannelId: 100,
      })),
      /protocol: unknown-request/,
    ],
    "groups 65,535 channels that do not exist": [
      repeating(() => ({
        name: "SetGroupChannel",
        groupChannelId: 5000,
        channelIds: Array.from({ length: 65_535 }, (_, id) => 10_000 + id),
      })),
      /protocol: unknown-channel/,
    ],
    "closes the channel, with control characters for a reason": [
      working((client) => client.say({ name: "CloseChannel", channelId: CHANNEL, reasonCode: COLOURS })),
      /the pool closed the channel: \\\\u001b/,
    ],
    ...brokenFrames(working, 0x1f),
    "cuts a message short": [
      working((client) => client.frame(0x20, new Uint8Array(5), true)),
      /short-read at SetNewPrevHash/,
    ],
    "sets up twice": [
      working((client) => client.say({ name: "SetupConnectionSuccess", usedVersion: 2, flags: 0 })),
      /a second SetupConnectionSuccess/,
    ],
    "says what only a miner may say": [
      working((client) =>
        client.say({ name: "UpdateChannel", channelId: CHANNEL, nominalHashRate: 1, maximumTarget: ANY_TARGET }),
      ),
      /UpdateChannel is not for it to send/,
    ],
    "goes away in the middle of a job": [
      async (client) => {
        await beginHonestly(kind, client);
        client.cutNext();
        await client.say(jobAs(kind, 2));
      },
      /ended|closed|reset|broke/,
    ],
    "goes away": [(client) => beginHonestly(kind, client), /ended|closed|reset/],
  };
}

describe.concurrent.each<readonly [Kind, Over]>([
  ["extended", "tcp"],
  ["standard", "iroh"],
])("a device with an %s channel over %s", (kind, over) => {
  /** Judged by what does not come, which takes its time: all at once, and the other tests beside them. */
  test("leaves pools that fall silent in the end, whenever they do", { timeout: 200_000 }, async () => {
    const silences: readonly Wrong[] = [
      [(client) => client.left(), /timed out/],
      [(client) => setUp(client).then(() => client.left()), /did not answer the request for a channel/],
      [
        async (client) => {
          await setUp(client);
          await openAs(kind, client);
          await client.left();
        },
        /gives no work/,
      ],
      [
        async (client) => {
          await setUp(client);
          await openAs(kind, client, { target: ANY_TARGET });
          await giveWorkAs(kind, client, 1);
          await client.left();
        },
        /answers no shares/,
      ],
    ];
    await Promise.all(silences.map((silence) => endure(kind, over, silence)));
  });

  test.each(Object.entries(wrongs(kind)))(
    "leaves a pool and says why, then mines on, when it %s",
    async (_what, wrong) => {
      await endure(kind, over, wrong);
    },
  );

  test("mines for no pool of another authority, and says so", async () => {
    await using server = await HostileServer.start("mining", over, (client) => client.left());
    const another = encodeAuthorityPublicKey(authorityPublicKey(new Uint8Array(32).fill(7)));
    const upstream = server.upstream.replace(server.authority, another);
    await using device = await RoleInProcess.start("mining-device", (folder) => deviceToml(folder, kind, upstream));
    await device.logged(/not signed by the authority key in the config/, 20_000);
    expect([device.status().hashes, device.readiness]).toEqual([0, []]);
  });

  test("goes on at a pool that sends it where nobody is, time and again, and is not stormed into reconnecting", async () => {
    let accepted = 0;
    await using server = await HostileServer.start("mining", over, async (client) => {
      await setUp(client);
      await openAs(kind, client);
      await giveWorkAs(kind, client, 1);
      for (let at = 0; at < 20; at += 1) {
        await client.say({ name: "Reconnect", newHost: "127.0.0.1", newPort: 1 });
        accepted += (await takeAs(kind, client, 1)).length;
      }
      for (;;) accepted += (await takeAs(kind, client, 1)).length;
    });
    await using device = await RoleInProcess.start("mining-device", (folder) =>
      deviceToml(folder, kind, server.upstream),
    );
    await device.logged(/"newPort":1,"reason":.*"msg":"reconnect failed"/, PATIENCE_MS);
    await until("more shares than wishes", () => accepted > 25, PATIENCE_MS);
    const followed = device.log().match(/"msg":"upstream asks to reconnect"/g) ?? [];
    expect(followed.length).toBeLessThanOrEqual(3);
    expect([server.clients, server.faults]).toEqual([1, []]);
  });
});
