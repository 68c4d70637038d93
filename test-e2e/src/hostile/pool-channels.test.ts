import { difficultyOf, target, targetFromBytes, targetFromHashrate, workOf } from "@adit/bitcoin";
import { type OpenExtendedMiningChannel, u256 } from "@adit/codec";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dialPool } from "../harness/dial.ts";
import {
  DoorScene,
  MIN_HASHRATE,
  type Over,
  PATIENCE_MS,
  SHARES_PER_MINUTE,
  transports,
} from "../harness/door-scene.ts";
import { ANY_HASH, MiningAttacker } from "../harness/mining-attacker.ts";
import { until } from "../harness/until.ts";

const MAX_CHANNELS = 32;
const MAX_REFUSED = 1000;
/** Extended channels of the honest miners. */
const HONEST_CHANNELS = 2;

let scene: DoorScene;

beforeAll(async () => {
  scene = await DoorScene.open({
    pool: `max_channels_per_connection = ${MAX_CHANNELS}
channel_opens_per_second = 5
max_refused_shares = ${MAX_REFUSED}
ladder_min_shares = 1
stalled_write_secs = 3`,
  });
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

async function attacker(over: Over): Promise<MiningAttacker> {
  return new MiningAttacker(await dialPool(scene.pool, scene.nodeFor(over)));
}

async function channels(): Promise<number> {
  return Number(/^sv2_pool_channels\{kind="extended"\} (\d+)$/m.exec(await scene.pool.metrics())?.[1]);
}

/** Says something that is refused until the pool hangs up. */
async function untilOver(miner: MiningAttacker, say: () => Promise<void>): Promise<void> {
  for (let sent = 0; sent < 4 * MAX_REFUSED && !miner.isOver; sent += 1) await say();
  await until("the pool hangs up", () => miner.isOver, PATIENCE_MS);
}

describe.each(transports)("a pool over %s", (over) => {
  test.each<readonly [string, string, Partial<OpenExtendedMiningChannel>]>([
    ["a hashrate that is no number", "invalid-nominal-hashrate", { nominalHashRate: Number.NaN }],
    ["a hashrate without end", "invalid-nominal-hashrate", { nominalHashRate: Number.POSITIVE_INFINITY }],
    ["a hashrate below nothing", "invalid-nominal-hashrate", { nominalHashRate: -1 }],
    ["a target that no hash meets", "max-target-out-of-range", { maxTarget: u256(new Uint8Array(32)) }],
    ["more extranonce than there is", "min-extranonce-size-too-large", { minExtranonceSize: 0xffff }],
  ])("opens no channel for %s", async (_what, errorCode, wish) => {
    await using miner = await attacker(over);
    await miner.say(miner.request(wish));
    expect(await miner.hear("OpenMiningChannelError")).toMatchObject({ errorCode });
    const { channelId } = await miner.open();
    await miner.say({
      name: "UpdateChannel",
      channelId,
      nominalHashRate: wish.nominalHashRate ?? 1,
      maximumTarget: wish.maxTarget ?? ANY_HASH,
    });
    if (wish.minExtranonceSize === undefined) {
      expect(await miner.hear("UpdateChannelError")).toMatchObject({ channelId, errorCode });
    }
  });

  test.each([0, 1e-45, 1, 3e38])(
    "gives no free credit to who claims %s hashes a second and any target",
    async (nominalHashRate) => {
      await using miner = await attacker(over);
      const channel = await miner.open({ nominalHashRate, userIdentity: `greedy.${over}.${nominalHashRate}` });
      const given = targetFromBytes(channel.target);
      expect(given <= targetFromHashrate(MIN_HASHRATE, SHARES_PER_MINUTE)).toBe(true);
      if (nominalHashRate > MIN_HASHRATE) return;
      const share = miner.findOne(channel);
      expect(await miner.submit(share)).toBe("accepted");
      // As much as the channel's target is worth, however small the share's own hash is.
      const { channels: open } = await scene.pool.status();
      const mine = open.find(({ user_identity }) => user_identity === `greedy.${over}.${nominalHashRate}`);
      expect(mine).toMatchObject({
        share_work_sum: workOf(target(given)).toString(),
        difficulty: difficultyOf(target(given)),
      });
    },
  );

  test("opens as many channels as a connection may have, and frees them when it goes", async () => {
    const miner = await attacker(over);
    for (let asked = 0; asked < 3 * MAX_CHANNELS; asked += 1) await miner.say(miner.request());
    const answers = (name: string): number => miner.heard.filter((message) => message.name === name).length;
    const opened = (): number => answers("OpenExtendedMiningChannelSuccess");
    const refused = (): number => answers("OpenMiningChannelError");
    await until("an answer to each", () => opened() + refused() === 3 * MAX_CHANNELS);
    expect(opened()).toBe(MAX_CHANNELS);
    expect(await channels()).toBe(HONEST_CHANNELS + MAX_CHANNELS);
    await miner[Symbol.asyncDispose]();
    await until("the channels are gone", async () => (await channels()) === HONEST_CHANNELS);
  });

  test("lets channels come and go no faster than a connection may open them", async () => {
    await using miner = await attacker(over);
    const began = performance.now();
    let opened = 0;
    for (let asked = 0; asked < 200; asked += 1) {
      await miner.say(miner.request());
      const answer = await until("an answer", () => miner.heard.shift());
      if (answer.name !== "OpenExtendedMiningChannelSuccess") continue;
      opened += 1;
      await miner.say({ name: "CloseChannel", channelId: answer.channelId, reasonCode: "" });
    }
    expect(opened).toBeGreaterThanOrEqual(MAX_CHANNELS);
    expect(opened).toBeLessThanOrEqual(MAX_CHANNELS + 1 + (5 * (performance.now() - began)) / 1000);
    await until("the channels are gone", async () => (await channels()) === HONEST_CHANNELS);
  });

  test("hangs up on who asks for channels without end that it is refused, and logs why", async () => {
    const from = scene.pool.log().length;
    await using miner = await attacker(over);
    await untilOver(miner, () => miner.say(miner.request({ nominalHashRate: Number.NaN })));
    await scene.pool.logged(/too many refused shares or requests/, from);
  });

  test("hangs up on who changes a channel without end that it does not have, and reads no answer", async () => {
    const from = scene.pool.log().length;
    const connection = await dialPool(scene.pool, scene.nodeFor(over));
    const update = { name: "UpdateChannel", channelId: 77, nominalHashRate: 1, maximumTarget: ANY_HASH } as const;
    const flood = async (): Promise<void> => {
      for (let sent = 0; sent < 4 * MAX_REFUSED; sent += 1) await connection.write(update);
    };
    await flood().catch(() => {});
    await scene.pool.logged(/too many refused shares or requests|does not keep up with its messages/, from);
    connection.abort(new Error("done"));
  });

  test("hangs up on who asks for jobs of its own without end, and logs why", async () => {
    const from = scene.pool.log().length;
    await using miner = await attacker(over);
    const { channelId } = await miner.open();
    const custom = {
      name: "SetCustomMiningJob",
      channelId,
      requestId: 1,
      miningJobToken: new Uint8Array(4),
      version: 0x20000000,
      prevHash: u256(new Uint8Array(32)),
      minNtime: 0,
      nbits: 0x1d00ffff,
      coinbaseTxVersion: 2,
      coinbasePrefix: new Uint8Array(4),
      coinbaseTxInputNSequence: 0,
      coinbaseTxOutputs: new Uint8Array(0),
      coinbaseTxLocktime: 0,
      merklePath: [],
    } as const;
    await untilOver(miner, () => miner.say(custom));
    await scene.pool.logged(/too many refused shares or requests/, from);
  });

  test("follows changes of a channel that come in a storm once a second", async () => {
    await using miner = await attacker(over);
    const { channelId } = await miner.open();
    const began = performance.now();
    for (let sent = 0; sent < 2000; sent += 1) {
      const nominalHashRate = MIN_HASHRATE * (sent % 2 === 0 ? 1000 : 2000);
      await miner.say({ name: "UpdateChannel", channelId, nominalHashRate, maximumTarget: ANY_HASH });
    }
    // Behind them all comes the answer to this.
    await miner.say({ name: "UpdateChannel", channelId: 77, nominalHashRate: 1, maximumTarget: ANY_HASH });
    await miner.hear("UpdateChannelError");
    const seconds = (performance.now() - began) / 1000;
    const targets = miner.heard.filter(({ name }) => name === "SetTarget").length;
    expect(targets).toBeGreaterThan(0);
    expect(targets).toBeLessThanOrEqual(2 + seconds);
  });

  test("takes a name for a name, whatever is in it, and shows it to no metric", async () => {
    const series = async (): Promise<number> => (await scene.pool.metrics()).match(/^sv2_/gm)?.length ?? 0;
    await using miner = await attacker(over);
    await miner.open();
    const before = await series();
    const names = [
      "",
      "x".repeat(255),
      "\u0000\u001b[2J\r\n",
      "../../../etc/passwd",
      "'); DROP TABLE shares; --",
      "__proto__",
      "constructor",
      "\u202e\u{1f525}",
    ];
    for (const userIdentity of names) {
      const channel = await miner.open({ userIdentity });
      const share = miner.findOne(channel);
      expect([userIdentity, await miner.submit(share)]).toEqual([userIdentity, "accepted"]);
    }
    expect(await series()).toBe(before);
    for (const character of ["\u001b", "\u202e"]) expect(scene.pool.log()).not.toContain(character);
  });
});

test("a pool has in use what it had before the channels, and lost no honest share", () => scene.everythingIsBack());
