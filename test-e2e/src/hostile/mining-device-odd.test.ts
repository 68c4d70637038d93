import { type MiningMessage, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import {
  beginHonestly,
  deviceToml,
  giveWorkAs,
  jobAs,
  type Kind,
  type MiningScript,
  root,
  takeAs,
} from "../harness/device-script.ts";
import { HostileServer } from "../harness/hostile-server.ts";
import { ANY_TARGET, CHANNEL, prefixOf, prevHash, SHARE_TARGET } from "../harness/pool-script.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { until } from "../harness/until.ts";

const PATIENCE_MS = 100_000;
const HARDEST = u256(Uint8Array.of(1, ...new Uint8Array(31)));

/** What a device bears: it works on for the job that comes after. */
function odd(kind: Kind): Record<string, MiningScript> {
  const target = (maximumTarget: typeof ANY_TARGET): MiningMessage => ({
    name: "SetTarget",
    channelId: CHANNEL,
    maximumTarget,
  });
  return {
    "absurd jobs": async (client) => {
      const huge = new Uint8Array(65_535).fill(0xee);
      const absurd: readonly Parameters<typeof jobAs>[2][] = [
        { version: 0 },
        { version: 0xffffffff },
        { coinbaseTxPrefix: new Uint8Array(), coinbaseTxSuffix: new Uint8Array() },
        { coinbaseTxPrefix: huge, coinbaseTxSuffix: huge },
        { merklePath: Array(255).fill(root) },
      ];
      for (const [at, changes] of absurd.entries()) {
        await client.say(jobAs(kind, 10 + at, changes));
        await client.say(prevHash(10 + at, { nbits: [0, 0xffffffff, 1, 0x80000000, 0x21ffffff][at] ?? 0 }));
        await takeAs(kind, client, 1);
      }
    },
    "the ends of time": async (client) => {
      for (const [at, minNtime] of [0, 0xffffffff].entries()) {
        await client.say(jobAs(kind, 20 + at));
        await client.say(prevHash(20 + at, { minNtime }));
        // For longer than a second, so that its time would roll over.
        const began = performance.now();
        while (performance.now() - began < 2500) await takeAs(kind, client, 1);
      }
    },
    "a target that every hash meets": async (client) => {
      await client.say(target(ANY_TARGET));
      await giveWorkAs(kind, client, 30);
      await takeAs(kind, client, 500);
      await client.say(target(SHARE_TARGET));
    },
    "a target that no hash meets": async (client) => {
      await client.say(target(HARDEST));
      await giveWorkAs(kind, client, 31);
      await client.say(target(SHARE_TARGET));
    },
    "10,000 jobs and tips at once": async (client) => {
      for (let at = 100; at < 10_100; at += 1) {
        await client.say(jobAs(kind, at));
        if (at % 2 === 0) await client.say(prevHash(at));
      }
    },
    "prefixes of every size": async (client) => {
      for (const size of [0, 32, 1, 8]) {
        await client.say({ name: "SetExtranoncePrefix", channelId: CHANNEL, extranoncePrefix: prefixOf(size) });
        await giveWorkAs(kind, client, 40 + size);
        await takeAs(kind, client, 1);
      }
    },
    "credit for shares that never were": async (client) => {
      for (let at = 0; at < 500; at += 1) {
        await client.say({
          name: "SubmitSharesSuccess",
          channelId: at % 2 === 0 ? CHANNEL : 7000 + at,
          lastSequenceNumber: 0xffffffff - at,
          newSubmitsAcceptedCount: 0xffffffff,
          newSharesSum: 0xffffffffffffffffn,
        });
        const errorCode = `code-${at}`;
        await client.say({ name: "SubmitSharesError", channelId: CHANNEL, sequenceNumber: 0xfffffff0, errorCode });
      }
    },
  };
}

describe.concurrent.each<readonly [Kind, "tcp" | "iroh"]>([
  ["extended", "tcp"],
  ["standard", "iroh"],
])("a device with an %s channel over %s", (kind, over) => {
  test.each(Object.entries(odd(kind)))("bears a pool that sends %s", async (_what, script) => {
    let last = 0;
    await using server = await HostileServer.start("mining", over, async (client) => {
      await beginHonestly(kind, client);
      await script(client);
      await giveWorkAs(kind, client, 60_000);
      while (last !== 60_000) [last = 0] = await takeAs(kind, client, 1);
      await client.left();
    });
    await using device = await RoleInProcess.start("mining-device", (folder) =>
      deviceToml(folder, kind, server.upstream),
    );
    await until("a share of the last job", () => last === 60_000, PATIENCE_MS);
    expect([server.clients, device.readiness, server.faults]).toEqual([1, ["ready"], []]);
  });
});
