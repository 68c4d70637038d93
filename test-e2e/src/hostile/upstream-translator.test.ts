import type { MiningMessage } from "@adit/codec";
import { u256 } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { brokenFrames } from "../harness/broken-frames.ts";
import { poolToml, templateProviderToml, upstream } from "../harness/configs.ts";
import { HostileServer, type Script } from "../harness/hostile-server.ts";
import {
  ANY_TARGET,
  acknowledge,
  beginHonestly,
  CHANNEL,
  colourfulRefusal,
  giveWork,
  grantExtensions,
  hashOf,
  job,
  open,
  prefixOf,
  prevHash,
  setUp,
  wrongVersion,
} from "../harness/pool-script.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { Stage } from "../harness/stage.ts";
import { Sv1Miner } from "../harness/sv1-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";

type Over = "tcp" | "iroh";
type MiningScript = Script<"mining">;

/** Some 1,500 hashes a second: a handful of shares, and room for other miners. */
const TRIES = 30;
const LEFT_MS = 100_000;

let stage: Stage;
let pool: TestRole;
let cases = 0;

beforeAll(async () => {
  stage = await Stage.open();
  const templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: 100_000_000 }),
  );
  pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider));
});

afterAll(() => stage[Symbol.asyncDispose]());

interface Endured {
  readonly translator: RoleInProcess;
  readonly miner: Sv1Miner;
  readonly hostile: HostileServer;
}

/** Follows a script once, then hangs up on whoever comes: an upstream that has credited work is dialled again first. */
function once(script: MiningScript): MiningScript {
  let isFollowed = false;
  return async (client) => {
    if (isFollowed) return;
    isFollowed = true;
    await script(client);
  };
}

/** Starts a translator whose first pool follows the script and whose second is honest, and a miner. */
async function expose(
  over: Over,
  script: MiningScript,
  more = "",
): Promise<Endured & AsyncDisposable & { name: string }> {
  cases += 1;
  const name = `case-${cases}`;
  const hostile = await HostileServer.start("mining", over, once(script));
  const entries = [hostile.upstream, upstream(pool, "tcp")].map(
    (entry) => `[[upstreams]]\nuser_identity = "${name}"\n${entry}`,
  );
  const translator = await RoleInProcess.start("translator", (folder) => translatorToml(folder, more, entries));
  const listening = await translator.logged(/accepting Stratum V1 miners/);
  const miner = await Sv1Miner.dial((JSON.parse(listening) as { address: string }).address, TRIES);
  return {
    name,
    translator,
    miner,
    hostile,
    [Symbol.asyncDispose]: async () => {
      miner[Symbol.dispose]();
      await translator[Symbol.asyncDispose]();
      await hostile[Symbol.asyncDispose]();
    },
  };
}

function translatorToml(folder: string, more: string, entries: readonly string[]): string {
  return `
downstream_address = "127.0.0.1"
downstream_port = 0
${more}
[downstream_difficulty_config]
min_individual_miner_hashrate = 1000.0
shares_per_minute = 240.0
[iroh]
secret_key_path = "${folder}/iroh.key"
relay = "disabled"
bind = ["127.0.0.1:0"]
${entries.join("\n")}`;
}

/** The translator leaves the script's pool for a reason it logs, and the miner's shares go to the honest one. */
async function endure(over: Over, script: MiningScript, says: RegExp): Promise<void> {
  await using exposed = await expose(over, script);
  const { translator, miner, hostile, name } = exposed;
  await until(`the translator logs ${says}`, () => losses(translator).some((line) => says.test(line)), LEFT_MS);
  await until(
    "shares at the honest pool",
    async () => (await pool.status()).channels.some((one) => one.user_identity === name && one.shares_accepted > 0),
    LEFT_MS,
  );
  expect(miner.isConnected).toBe(true);
  expect(miner.rejected.filter((reason) => !/stale/i.test(reason))).toEqual([]);
  expect(hostile.faults).toEqual([]);
}

function losses(translator: RoleInProcess): readonly string[] {
  return translator
    .log()
    .split("\n")
    .filter((line) => /upstream failed|upstream lost/.test(line));
}

/** The same, from the moment the client has a channel and work. */
function onceWorking(then: MiningScript): MiningScript {
  return async (client) => {
    await beginHonestly(client);
    await then(client);
    await client.left();
  };
}

/** The same message with a number that makes each another, as often as it takes to be left. */
function saying(message: (at: number) => MiningMessage): MiningScript {
  return onceWorking(async (client) => {
    for (let at = 0; at < 20; at += 1) await client.say(message(at));
  });
}

const sibling = u256(new Uint8Array(32).fill(1));
const giving = (changes: Parameters<typeof job>[1]): MiningScript =>
  onceWorking(async (client) => {
    await client.say(job(2, { minNtime: Math.floor(Date.now() / 1000), ...changes }));
  });

/** OpenExtendedMiningChannel.Success with a prefix of 33 bytes, which the codec here does not encode. */
async function openTooWide(client: Parameters<MiningScript>[0]): Promise<void> {
  await setUp(client);
  await grantExtensions(client);
  const { requestId } = await client.hear("OpenExtendedMiningChannel");
  const payload = Buffer.alloc(4 + 4 + 32 + 2 + 1 + 33 + 4, 0xff);
  payload.writeUInt32LE(requestId, 0);
  payload.writeUInt16LE(12, 40);
  payload.writeUInt8(33, 42);
  await client.frame(0x14, payload);
  await client.left();
}

/** What a pool does wrong, and what the translator says when it leaves. */
const wrongs: Record<string, readonly [MiningScript, RegExp]> = {
  "chooses a version that was not offered": wrongVersion,
  "refuses with control characters for a reason": colourfulRefusal,
  "answers SetupConnection with something else": [
    async (client) => {
      await client.hear("SetupConnection");
      await giveWork(client, 1);
      await client.left();
    },
    /the answer to SetupConnection is NewExtendedMiningJob/,
  ],
  "never answers SetupConnection": [(client) => client.left(), /timed out/],
  "grants a prefix of 33 bytes": [
    openTooWide,
    /value-out-of-range at OpenExtendedMiningChannelSuccess.extranoncePrefix/,
  ],
  "gives a job with 255 merkle hashes": [giving({ merklePath: Array(255).fill(sibling) }), /255 hashes/],
  "gives a job without a coinbase": [
    giving({ coinbaseTxPrefix: new Uint8Array(), coinbaseTxSuffix: new Uint8Array() }),
    /nobody can use: its coinbase cannot be read/,
  ],
  "gives a job with a coinbase of 131,070 bytes": [
    giving({ coinbaseTxPrefix: new Uint8Array(65_535), coinbaseTxSuffix: new Uint8Array(65_535) }),
    /its coinbase has 131090 bytes/,
  ],
  "gives a job with junk for a coinbase": [
    giving({ coinbaseTxPrefix: new Uint8Array(300).fill(0xee) }),
    /nobody can use: its coinbase cannot be read/,
  ],
  "gives jobs for channels that do not exist": [saying((at) => job(at, { channelId: 5000 + at })), /unknown-channel/],
  "gives standard jobs to an extended channel": [
    saying((jobId) => ({
      name: "NewMiningJob",
      channelId: CHANNEL,
      jobId,
      minNtime: null,
      version: 0,
      merkleRoot: sibling,
    })),
    /wrong-job-kind/,
  ],
  "names jobs nobody has": [saying((at) => prevHash(7000 + at)), /unknown-job/],
  "sets targets of channels that do not exist": [
    saying((at) => ({ name: "SetTarget", channelId: 5000 + at, maximumTarget: ANY_TARGET })),
    /unknown-channel/,
  ],
  "sets a target of zero": [
    saying(() => ({ name: "SetTarget", channelId: CHANNEL, maximumTarget: u256(new Uint8Array(32)) })),
    /bad-target/,
  ],
  "closes channels that do not exist": [
    saying((at) => ({ name: "CloseChannel", channelId: 5000 + at, reasonCode: "\u001b[2J".repeat(20) })),
    /unknown-channel/,
  ],
  "groups 65,535 channels that do not exist, under a channel's id too": [
    saying((at) => ({
      name: "SetGroupChannel",
      groupChannelId: at % 2 === 0 ? CHANNEL : 5000,
      channelIds: Array.from({ length: 65_535 }, (_, id) => 10_000 + id),
    })),
    /bad-group|unknown-channel/,
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
    /unknown-request/,
  ],
  ...brokenFrames(onceWorking, 0x1f),
  "says what only a miner may say": [
    onceWorking((client) =>
      client.say({ name: "UpdateChannel", channelId: CHANNEL, nominalHashRate: Number.NaN, maximumTarget: ANY_TARGET }),
    ),
    /UpdateChannel is not for it to send/,
  ],
  "sets up twice": [
    onceWorking((client) => client.say({ name: "SetupConnectionSuccess", usedVersion: 2, flags: 0 })),
    /a second SetupConnectionSuccess/,
  ],
  "cuts a message short": [
    onceWorking((client) => client.frame(0x20, new Uint8Array(5), true)),
    /short-read at SetNewPrevHash/,
  ],
};

/** Ends by itself after what a pool may do, however odd, or what a client must be able to ignore. */
const odd: Record<string, MiningScript> = {
  "sends numbers at their ends": async (client) => {
    await setUp(client);
    await grantExtensions(client);
    await open(client, { channelId: 0xffffffff, groupChannelId: 0 });
    const channelId = 0xffffffff;
    await client.say(job(0xffffffff, { channelId, version: 0xffffffff }));
    await client.say({ ...prevHash(0xffffffff, { channelId, minNtime: 0xffffffff, nbits: 0 }) });
    await client.say(job(0, { channelId, version: 0, minNtime: 0 }));
    await client.say({ name: "SetTarget", channelId, maximumTarget: u256(Uint8Array.of(1, ...new Uint8Array(31))) });
    await client.say(job(1, { channelId, minNtime: 0xffffffff }));
    for (let at = 0; at < 100; at += 1) {
      await client.say({
        name: "SubmitSharesSuccess",
        channelId,
        lastSequenceNumber: 0xffffffff - at,
        newSubmitsAcceptedCount: 0xffffffff,
        newSharesSum: 0xffffffffffffffffn,
      });
    }
  },
  "closes its channel, and opens another": async (client) => {
    await beginHonestly(client);
    await acknowledge(client, 1);
    await client.say({ name: "CloseChannel", channelId: 100, reasonCode: "maintenance" });
    await open(client, { channelId: 2 });
    await client.say(job(2, { channelId: 2 }));
    await client.say(prevHash(2, { channelId: 2 }));
    await acknowledge(client, 2);
  },
};

describe.concurrent.each<Over>(["tcp", "iroh"])("a translator leaves a pool over %s, and says why, that", (over) => {
  test.each(Object.entries(wrongs))("%s", async (_what, [script, says]) => {
    await endure(over, script, says);
  });
});

describe.concurrent("a translator outlives a pool that", () => {
  test.each(Object.entries(odd))("%s", async (_what, script) => {
    await endure("tcp", script, /ended the connection/);
  });

  test("forbids version rolling after all: miners are granted none, and no share is lost", async () => {
    const versions = new Set<number>();
    const script: MiningScript = async (client) => {
      await beginHonestly(client, 0xffffffff);
      for (const { version } of await acknowledge(client, 3)) versions.add(version);
    };
    await endure("tcp", script, /ended the connection/);
    expect([...versions]).toEqual([0x20000000]);
  });

  test("changes the prefix and its length in the middle: shares are of their job's own prefix", async () => {
    const hashes: Uint8Array[] = [];
    const script: MiningScript = async (client) => {
      await setUp(client);
      await grantExtensions(client);
      await open(client);
      await giveWork(client, 1);
      for (const share of await acknowledge(client, 2)) hashes.push(hashOf(share, job(1), prefixOf(8)));
      for (const [jobId, size] of [
        [2, 20],
        [3, 0],
        [4, 13],
      ] as const) {
        await client.say({ name: "SetExtranoncePrefix", channelId: CHANNEL, extranoncePrefix: prefixOf(size) });
        await client.say(job(jobId, {}, size));
        await client.say(prevHash(jobId));
        let found = 0;
        while (found < 2) {
          const [share] = await acknowledge(client, 1);
          if (share?.jobId !== jobId) continue;
          hashes.push(hashOf(share, job(jobId, {}, size), prefixOf(size)));
          found += 1;
        }
      }
    };
    await endure("tcp", script, /ended the connection/);
    expect(hashes).toHaveLength(8);
    for (const hash of hashes) expect(hash.at(-1)).toBe(0);
  });

  test("names another reason for every refusal: reasons that are told apart are few", async () => {
    const script: MiningScript = async (client) => {
      await beginHonestly(client);
      const { sequenceNumber } = await client.hear("SubmitSharesExtended");
      for (let at = 0; at < 2000; at += 1) {
        await client.say({ name: "SubmitSharesError", channelId: CHANNEL, sequenceNumber, errorCode: `code-${at}` });
      }
    };
    await using exposed = await expose("tcp", script);
    const { translator } = exposed;
    await translator.logged(/upstream lost/);
    const { shares_rejected_upstream_by_reason: reasons } = translator.status() as unknown as {
      shares_rejected_upstream_by_reason: Record<string, number>;
    };
    expect(Object.keys(reasons).length).toBeLessThanOrEqual(65);
    expect(reasons["other"]).toBeGreaterThan(1900);
  });

  test("floods with jobs: miners hear of few, stay connected, and mine on", async () => {
    const script: MiningScript = async (client) => {
      await beginHonestly(client);
      for (let at = 2; at < 20_000 && !client.isGone; at += 1) {
        await client.say(job(at));
        if (at % 2 === 0) await client.say(prevHash(at));
      }
    };
    await using exposed = await expose("tcp", script);
    const { translator, miner } = exposed;
    const began = performance.now();
    await translator.logged(/upstream lost/);
    const seconds = Math.ceil((performance.now() - began) / 1000);
    expect(miner.jobs).toBeLessThan(22 * (seconds + 2));
    expect(miner.isConnected).toBe(true);
    const { accepted } = miner;
    await until("shares at the honest pool", () => miner.accepted > accepted + 1);
  });
});

/** A session's messages, each of which the connection may break at. */
const steps: Record<string, MiningScript> = {
  "SetupConnection.Success": setUp,
  "RequestExtensions.Success": grantExtensions,
  "OpenExtendedMiningChannel.Success": (client) => open(client),
  NewExtendedMiningJob: (client) => client.say(job(1)),
  SetNewPrevHash: (client) => client.say(prevHash(1)),
  "SubmitShares.Success": async (client) => void (await acknowledge(client, 1)),
};

function breaking(stop: string, how: "before" | "in the middle of" | "after"): MiningScript {
  return async (client) => {
    for (const [name, step] of Object.entries(steps)) {
      if (name === stop && how === "before") return;
      if (name === stop && how === "in the middle of") client.cutNext();
      await step(client);
      if (name === stop) return;
    }
  };
}

describe.concurrent.each(["before", "in the middle of", "after"] as const)("a pool that goes away %s its", (how) => {
  test.each(Object.keys(steps))("%s is left for the next one", async (name) => {
    await endure("tcp", breaking(name, how), /ended|closed|reset|broke/);
  });
});

/** Useless without a fault that shows at once: judged by what comes, which takes its time. All at once. */
const useless: Record<string, readonly [MiningScript, RegExp]> = {
  "never opens the channel": [
    async (client) => {
      await setUp(client);
      await grantExtensions(client);
      await client.left();
    },
    /gives no work/,
  ],
  "opens channels of no extranonce": [uselessOpen({ extranonceSize: 0 }), /gives no work/],
  "opens channels of too much extranonce": [uselessOpen({ extranonceSize: 65_535 }), /gives no work/],
  "opens channels with a target of zero": [uselessOpen({ target: u256(new Uint8Array(32)) }), /gives no work/],
  "names a tip without a job": [onceWorking((client) => client.say(prevHash(777))), /gives no work/],
  "refuses every share": [
    onceWorking(async (client) => {
      while (!client.isGone) {
        const { sequenceNumber } = await client.hear("SubmitSharesExtended");
        await client.say({ name: "SubmitSharesError", channelId: CHANNEL, sequenceNumber, errorCode: "invalid-share" });
      }
    }),
    /refuses every share/,
  ],
};

function uselessOpen(changes: Parameters<typeof open>[1]): MiningScript {
  return async (client) => {
    await setUp(client);
    await grantExtensions(client);
    while (!client.isGone) await open(client, changes);
  };
}

test("a translator leaves pools that are of no use to it in the long run", { timeout: 200_000 }, async () => {
  const outcomes = await Promise.allSettled(
    Object.entries(useless).map(([, [script, says]]) => endure("tcp", script, says)),
  );
  const failed = Object.keys(useless).filter((_, at) => outcomes[at]?.status === "rejected");
  expect([failed, outcomes.filter(({ status }) => status === "rejected")]).toEqual([[], []]);
});

test("a pool that sends its miners where nobody is keeps them while it gives work, and nobody is dialled in a storm", async () => {
  const script: MiningScript = async (client) => {
    await beginHonestly(client);
    for (let at = 0; at < 50; at += 1) {
      await client.say({ name: "Reconnect", newHost: "127.0.0.1", newPort: 1 });
      await acknowledge(client, 1);
    }
  };
  await using exposed = await expose("tcp", script);
  const { translator, miner, name } = exposed;
  await until("shares at the honest pool", async () =>
    (await pool.status()).channels.some((one) => one.user_identity === name && one.shares_accepted > 0),
  );
  const dials = translator.log().match(/"address":"127\.0\.0\.1:1","msg":"dialling upstream"/g) ?? [];
  // At most three at once are followed, and one more in each minute.
  expect(dials.length).toBeGreaterThan(0);
  expect(dials.length).toBeLessThan(6);
  expect(miner.isConnected).toBe(true);
  expect(miner.rejected.filter((reason) => !/stale/i.test(reason))).toEqual([]);
});
