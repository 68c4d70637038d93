import { targetFromBytes } from "@adit/bitcoin";
import { VERSION_ROLLING_MASK } from "@adit/channels";
import type { SubmitSharesExtended } from "@adit/codec";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dialPool, setUpMining } from "../harness/dial.ts";
import { DoorScene, type Over, PATIENCE_MS, SHARES_PER_MINUTE, transports } from "../harness/door-scene.ts";
import { MiningAttacker } from "../harness/mining-attacker.ts";
import { RecordingStream } from "../harness/recording-stream.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import { until } from "../harness/until.ts";

/** So hard a target that no hash tried here meets it. */
const UNREACHABLE = 1e15;
/** Hashes a second of which a share takes long enough that no other header meets its target by luck. */
const RARE = 1e6;
const NTIME_WINDOW_SEC = 7200;
/** What a channel may send above its rate at once: the least that the config takes. */
const SHARE_BURST = SHARES_PER_MINUTE;
/** Defaults of `[limits]`: how far the rate may be exceeded for long, and what is too much. */
const SHARE_RATE_FACTOR = 10;
const MAX_REFUSED_SHARES = 3000;

let scene: DoorScene;

beforeAll(async () => {
  scene = await DoorScene.open({ pool: `share_burst = ${SHARE_BURST}` });
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

async function attacker(over: Over): Promise<MiningAttacker> {
  return new MiningAttacker(await dialPool(scene.pool, scene.nodeFor(over)));
}

type Change = Partial<SubmitSharesExtended>;

describe.each(transports)("a pool over %s", (over) => {
  test("answers each wrong share with what is wrong with it", async () => {
    await using miner = await attacker(over);
    const channel = await miner.open({ nominalHashRate: UNREACHABLE });
    const earliest = miner.share(channel).ntime;
    const size = channel.extranonceSize;
    const wrong: readonly (readonly [string, Change])[] = [
      ...[0, 1, 99, 0xffffffff].map((channelId) => ["invalid-channel-id", { channelId }] as const),
      ...[0, 0xfffffff0].map((jobId) => ["invalid-job-id", { jobId }] as const),
      ...[0, size - 1, size + 1, 32].map(
        (length) => ["bad-extranonce-size", { extranonce: new Uint8Array(length) }] as const,
      ),
      ...[0, 1, earliest - 1, earliest + NTIME_WINDOW_SEC + 3600, 0xffffffff].map(
        (ntime) => ["invalid-share", { ntime }] as const,
      ),
      ["difficulty-too-low", { ntime: earliest + NTIME_WINDOW_SEC }],
      ["difficulty-too-low", {}],
    ];
    for (const [code, change] of wrong)
      expect([change, await miner.submit(miner.share(channel, change))]).toEqual([change, code]);
  });

  test("takes every version bit that may be rolled and no other", async () => {
    await using miner = await attacker(over);
    const channel = await miner.open({ nominalHashRate: UNREACHABLE });
    for (let bit = 0; bit < 32; bit += 1) {
      const mayRoll = ((VERSION_ROLLING_MASK >>> bit) & 1) === 1;
      const verdict = await miner.submit(miner.share(channel, { version: (miner.job.version ^ (1 << bit)) >>> 0 }));
      expect([bit, verdict]).toEqual([bit, mayRoll ? "difficulty-too-low" : "invalid-non-rollable-version-bit"]);
    }
  });

  test("knows no channel and no job of another connection, and closes no channel of it", async () => {
    await using owner = await attacker(over);
    await owner.open({ nominalHashRate: UNREACHABLE });
    const second = await owner.open({ nominalHashRate: UNREACHABLE });
    const { jobId } = owner.job;
    await until("another job", () => owner.job.jobId > jobId);
    await using thief = await attacker(over === "tcp" ? "iroh" : "tcp");
    const own = await thief.open({ nominalHashRate: UNREACHABLE });
    const { channelId } = second;
    expect(channelId).not.toBe(own.channelId);
    expect(await thief.submit(thief.share(own, { channelId }))).toBe("invalid-channel-id");
    expect(await thief.submit(thief.share(own, { jobId }))).toBe("invalid-job-id");
    await thief.say({ name: "UpdateChannel", channelId, nominalHashRate: 1, maximumTarget: own.target });
    expect(await thief.hear("UpdateChannelError")).toMatchObject({ channelId, errorCode: "invalid-channel-id" });
    await thief.say({ name: "CloseChannel", channelId, reasonCode: "" });
    expect(await thief.submit(thief.share(own))).toBe("difficulty-too-low");
    expect(await owner.submit(owner.share(second))).toBe("difficulty-too-low");
  });

  test("credits a share once, whatever channel, connection or transport it is brought over again", async () => {
    await using miner = await attacker(over);
    const channel = await miner.open({ nominalHashRate: RARE });
    const another = await miner.open({ nominalHashRate: RARE });
    const share = miner.findOne(channel);
    expect(await miner.submit(share)).toBe("accepted");
    for (let again = 0; again < 50; again += 1) expect(await miner.submitAgain(share)).toBe("duplicate-share");
    // Elsewhere the same fields make another header, as each channel has an extranonce prefix of its own, or are for a job
    // that is older than the channel.
    const worthless = ["difficulty-too-low", "invalid-job-id"];
    expect(await miner.submitAgain(share, { channelId: another.channelId })).toBe("difficulty-too-low");
    await using elsewhere = await attacker(over === "tcp" ? "iroh" : "tcp");
    const { channelId } = await elsewhere.open({ nominalHashRate: RARE });
    expect(worthless).toContain(await elsewhere.submitAgain(share, { channelId }));
    await miner.say({ name: "CloseChannel", channelId: channel.channelId, reasonCode: "" });
    expect(await miner.submitAgain(share)).toBe("invalid-channel-id");
    const reopened = await miner.open({ nominalHashRate: RARE });
    expect(worthless).toContain(await miner.submitAgain(share, { channelId: reopened.channelId }));
  });

  test("takes nothing of an honest session that somebody has recorded, sent again or turned round", async () => {
    const tape = new RecordingStream(await scene.stream(scene.pool, over));
    const connection = await setUpMining(tape, scene.pool.details.authority_public_key);
    await using victim = await Sv2Miner.open(connection, `victim.${over}`, { hashrate: 1000, triesAtOnce: 20 });
    await until("shares on the tape", () => victim.acceptedCount > 5);
    victim.rest();
    await until("all of them are acknowledged", () => victim.unanswered === 0);
    for (const recording of [tape.sent, tape.received]) {
      const from = scene.pool.log().length;
      using thief = await scene.stranger(scene.pool, over);
      for (const bytes of recording) await thief.send(bytes);
      await thief.closed(PATIENCE_MS);
      await scene.pool.logged(/could not be decrypted|the handshake failed/, from);
    }
    const { channels } = await scene.pool.status();
    const credited = channels.filter(({ user_identity }) => user_identity === `victim.${over}`);
    expect(credited).toMatchObject([{ shares_accepted: victim.acceptedCount }]);
    expect(victim.isClosed).toBe(false);
    expect(victim.rejected).toEqual([]);
  });

  test("credits no more than its bound of what comes far above the agreed rate, and makes the work harder", async () => {
    await using miner = await attacker(over);
    const channel = await miner.open();
    const perSecond = SHARES_PER_MINUTE / 60;
    const shares = miner.find(channel, 150 * perSecond);
    const began = performance.now();
    for (const share of shares) await miner.say(share);
    await until("all verdicts", () => shares.every(({ sequenceNumber }) => miner.verdicts.has(sequenceNumber)));
    const seconds = (performance.now() - began) / 1000;
    const verdicts = shares.map(({ sequenceNumber }) => miner.verdicts.get(sequenceNumber));
    const accepted = verdicts.filter((verdict) => verdict === "accepted").length;
    expect(accepted).toBeGreaterThanOrEqual(SHARE_BURST);
    expect(accepted).toBeLessThanOrEqual(SHARE_BURST + 1 + SHARE_RATE_FACTOR * perSecond * seconds);
    expect(new Set(verdicts)).toEqual(new Set(["accepted", "share-rate-exceeded"]));
    const { maximumTarget } = await miner.hear("SetTarget");
    expect(targetFromBytes(maximumTarget) < targetFromBytes(channel.target)).toBe(true);
    expect(miner.isOver).toBe(false);
  });

  test("hangs up on a flood of junk under an honest miner's name, who has no part in it", async () => {
    const from = scene.pool.log().length;
    await using miner = await attacker(over);
    const channel = await miner.open({ nominalHashRate: UNREACHABLE, userIdentity: `honest.${over}` });
    for (let sent = 0; sent < 2 * MAX_REFUSED_SHARES && !miner.isOver; sent += 1) {
      await miner.say(miner.share(channel, { nonce: sent }));
    }
    await until("the pool hangs up", () => miner.isOver, PATIENCE_MS);
    await scene.pool.logged(/too many refused shares/, from);
  });
});

test("a pool has in use what it had before the shares, and lost no honest one", () => scene.everythingIsBack());
