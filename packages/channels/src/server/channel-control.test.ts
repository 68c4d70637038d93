import { hex, MAX_TARGET, meetsTarget, target, targetFromHashrate, targetToBytes, workOf } from "@adit/bitcoin";
import { REQUIRES_STANDARD_JOBS, REQUIRES_WORK_SELECTION, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { defaultVardiffOptions } from "../vardiff.ts";
import { defaultChannelLimits } from "./limits.ts";
import {
  bytes32,
  type ClientView,
  effectsOf,
  Harness,
  messages,
  messagesNamed,
  prevHash,
  shareErrors,
  template,
} from "./testing/harness.ts";

function running(changes: ConstructorParameters<typeof Harness>[0] = {}): Harness {
  const harness = new Harness(changes);
  harness.connect(1);
  harness.newTip(1);
  return harness;
}

const refusal = (effects: Parameters<typeof messages>[0]): unknown =>
  messagesNamed(effects, "OpenMiningChannelError").map(({ errorCode }) => errorCode);

function badShare(view: ClientView): ReturnType<ClientView["mine"]> {
  const limit = targetToBytes(view.target);
  return view.mine({ accept: (hash) => !meetsTarget(hash, limit) });
}

describe("opening a channel", () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, -0.001])(
    "with nominal hashrate %f is refused",
    (nominalHashRate) => {
      expect(refusal(running().requestOpen(1, "extended", { nominalHashRate }))).toEqual(["invalid-nominal-hashrate"]);
    },
  );

  test("never gives a target easier than the server's floor or the client's limit", () => {
    const harness = running({ minHashrate: 1000 });
    const floor = targetFromHashrate(1000, 6);
    for (const nominalHashRate of [0, -0, 1e-45, 1, 1000]) {
      expect(harness.open(1, "extended", { nominalHashRate, maxTarget: MAX_TARGET }).target).toBe(floor);
    }
    expect(harness.open(1, "extended", { maxTarget: target(12_345n) }).target).toBe(12_345n);
    expect(harness.open(1, "extended", { maxTarget: target(1n) }).target).toBe(1n);
    expect(harness.open(1, "standard", { nominalHashRate: 1e12 }).target).toBe(targetFromHashrate(1e12, 6));
    expect(harness.open(1, "extended", { nominalHashRate: 3.4e38 }).target).toBe(targetFromHashrate(1e30, 6));
  });

  test("with a maximum target of zero is refused", () => {
    const harness = running();
    const request = { requestId: 1, userIdentity: "", nominalHashRate: 1, maxTarget: u256(new Uint8Array(32)) };
    const effects = harness.send(1, { name: "OpenStandardMiningChannel", ...request });
    expect(refusal(effects)).toEqual(["max-target-out-of-range"]);
  });

  test("that needs more extranonce than there is is refused, and the full size is given otherwise", () => {
    const harness = running();
    expect(harness.open(1, "extended", { minExtranonceSize: 0 }).extranonceSize).toBe(16);
    expect(harness.open(1, "extended", { minExtranonceSize: 16 }).extranonceSize).toBe(16);
    const effects = harness.requestOpen(1, "extended", { minExtranonceSize: 17 });
    expect(refusal(effects)).toEqual(["min-extranonce-size-too-large"]);
  });

  test("of the kind that the connection's flags rule out is refused", () => {
    const harness = running();
    harness.connect(2, REQUIRES_STANDARD_JOBS);
    harness.connect(3, REQUIRES_WORK_SELECTION);
    expect(refusal(harness.requestOpen(2, "extended"))).toEqual(["extended-channels-not-supported-for-standard-jobs"]);
    expect(refusal(harness.requestOpen(3, "standard"))).toEqual(["standard-channels-not-supported-for-custom-work"]);
  });

  test("with a request id that is in use is refused, and the id is free again after a close", () => {
    const harness = running();
    harness.requestOpen(1, "extended", { requestId: 7 });
    expect(refusal(harness.requestOpen(1, "extended", { requestId: 7 }))).toEqual(["invalid-request-id"]);
    harness.send(1, { name: "CloseChannel", channelId: 2, reasonCode: "" });
    expect(refusal(harness.requestOpen(1, "extended", { requestId: 7 }))).toEqual([]);
    const waiting = new Harness();
    waiting.connect(1);
    waiting.requestOpen(1, "extended", { requestId: 7 });
    expect(refusal(waiting.requestOpen(1, "extended", { requestId: 7 }))).toEqual(["invalid-request-id"]);
  });

  test("beyond the channels of a connection is refused until one is closed", () => {
    const harness = running({ limits: { ...defaultChannelLimits, channelsPerConnection: 2 } });
    harness.open(1);
    harness.open(1);
    expect(refusal(harness.requestOpen(1))).toEqual(["channel-capacity-exhausted"]);
    harness.send(1, { name: "CloseChannel", channelId: 3, reasonCode: "" });
    harness.now += 1000;
    expect(harness.open(1).channelId).toBe(4);
  });

  test("over and over faster than the limit is refused", () => {
    const harness = running({ limits: { ...defaultChannelLimits, channelsPerConnection: 10, opensPerSecond: 1 } });
    const answers = Array.from({ length: 12 }, () => {
      const effects = harness.requestOpen(1);
      for (const { channelId } of messagesNamed(effects, "OpenExtendedMiningChannelSuccess")) {
        harness.send(1, { name: "CloseChannel", channelId, reasonCode: "" });
      }
      return refusal(effects);
    });
    expect(answers.slice(0, 10).flat()).toEqual([]);
    expect(answers.slice(10)).toEqual([["channel-capacity-exhausted"], ["channel-capacity-exhausted"]]);
  });

  test("that is refused without end ends the connection, whatever it asks for", () => {
    const limits = { ...defaultChannelLimits, floodRejects: 10 };
    const closeAt = (ask: (harness: Harness) => ReturnType<Harness["send"]>): number => {
      const harness = running({ limits });
      for (let asked = 1; asked < 100; asked += 1) {
        if (effectsOf(ask(harness), "close-connection").length > 0) return asked;
      }
      return Number.POSITIVE_INFINITY;
    };
    const maximumTarget = u256(bytes32(1));
    expect(closeAt((harness) => harness.requestOpen(1, "extended", { nominalHashRate: Number.NaN }))).toBe(11);
    expect(
      closeAt((harness) => harness.send(1, { name: "UpdateChannel", channelId: 9, nominalHashRate: 1, maximumTarget })),
    ).toBe(11);
  });

  test("with an exhausted extranonce is refused alone; prefixes come back when their jobs are stale", () => {
    const extranonce = { totalSize: 20, prefix: Uint8Array.of(0), indexSize: 1, start: 250 };
    const harness = running({ extranonce });
    const prefixes = Array.from({ length: 255 }, () => hex(harness.open(1).prefix));
    expect(new Set(prefixes).size).toBe(255);
    expect(prefixes).not.toContain("0000");
    const survivor = harness.channels.get(1)![5]!;
    expect(refusal(harness.requestOpen(1))).toEqual(["channel-capacity-exhausted"]);
    expect(shareErrors(harness.send(1, survivor.mine().message))).toEqual([]);
    harness.send(1, { name: "CloseChannel", channelId: 2, reasonCode: "" });
    expect(refusal(harness.requestOpen(1))).toEqual(["channel-capacity-exhausted"]);
    harness.newTip(2, { prevHash: u256(bytes32(0xb0)) });
    expect(hex(harness.open(1).prefix)).toBe(prefixes[0]);
  });

  test("does not get a prefix that another channel had until just now, closed or rotated away", () => {
    const harness = running({ extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 1, start: 0 } });
    const views = Array.from({ length: 255 }, () => harness.open(1));
    harness.input({ type: "rotate-extranonce-prefix", connection: 1, channelId: views[0]!.channelId });
    expect(hex(views[0]!.prefix)).toBe("01ff");
    const exhausted = { type: "rotate-extranonce-prefix", connection: 1, channelId: views[1]!.channelId } as const;
    expect(harness.input(exhausted)).toMatchObject([{ type: "log", event: "extranonce-exhausted" }]);
    harness.newWork(2);
    expect(refusal(harness.requestOpen(1))).toEqual(["channel-capacity-exhausted"]);
    expect(shareErrors(harness.send(1, views[0]!.mine({ jobId: 1, extranonce: new Uint8Array(18) }).message))).toEqual(
      [],
    );
    harness.newTip(3, { prevHash: u256(bytes32(0xb0)) });
    expect(hex(harness.open(1).prefix)).toBe("0100");
  });

  test("does not use up prefixes where no job of the server is sent", () => {
    const harness = new Harness({ extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 1, start: 0 } });
    harness.connect(1, REQUIRES_WORK_SELECTION);
    for (let count = 0; count < 300; count += 1) {
      expect(messages(harness.close(1, harness.open(1)))).toEqual([]);
    }
    expect(harness.server.status().extranoncesInUse).toBe(0);
  });

  test("accepts any user identity, and keeps no memory of names that never mined", () => {
    const harness = running();
    for (const userIdentity of ["", "x".repeat(255), "'; DROP TABLE shares;--", "../../etc", "\u001b[31m"]) {
      const view = harness.open(1, "extended", { userIdentity });
      harness.send(1, { name: "CloseChannel", channelId: view.channelId, reasonCode: "" });
    }
    expect(harness.server.status()).toMatchObject({ channels: 0 });
  });
});

describe("SetTarget", () => {
  const update = (harness: Harness, view: ClientView, changes: { hashrate?: number; maxTarget?: bigint }) =>
    harness.send(1, {
      name: "UpdateChannel",
      channelId: view.channelId,
      nominalHashRate: changes.hashrate ?? 0,
      maximumTarget: u256(targetToBytes(target(changes.maxTarget ?? MAX_TARGET))),
    });

  test("follows an update with a smaller maximum target, and applies to the next job only", () => {
    const harness = running();
    const view = harness.open(1);
    const before = view.target;
    const onOld = view.mine();
    const effects = update(harness, view, { maxTarget: before / 4n });
    expect(messages(effects)).toMatchObject([{ name: "SetTarget", channelId: 2 }]);
    expect(view.target).toBe(before / 4n);
    // The active job keeps its target; the job after it has the new one.
    expect(shareErrors(harness.send(1, onOld.message))).toEqual([]);
    harness.newWork(2);
    const middle = (hash: Uint8Array): boolean =>
      meetsTarget(hash, targetToBytes(before)) && !meetsTarget(hash, targetToBytes(view.target));
    expect(shareErrors(harness.send(1, view.mine({ accept: middle }).message))).toEqual(["difficulty-too-low"]);
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
    const [first, second] = harness.recorded;
    expect([first!.work, second!.work]).toEqual([workOf(before), workOf(target(before / 4n))]);
  });

  test("applies to a future job that was sent before it", () => {
    const harness = running();
    const view = harness.open(1);
    harness.input({ type: "template", template: template(2) });
    update(harness, view, { maxTarget: view.target / 4n });
    harness.input({ type: "prev-hash", prevHash: prevHash(2, { prevHash: u256(bytes32(0xb0)) }) });
    harness.send(1, view.mine().message);
    expect(harness.recorded[0]!.difficulty).toBe(harness.server.status().connections[0]!.channels[0]!.difficulty);
  });

  test("comes at most once a second however often the client updates", () => {
    const harness = running();
    const view = harness.open(1);
    const first = update(harness, view, { maxTarget: 1n << 200n });
    const second = update(harness, view, { maxTarget: 1n << 199n });
    const third = update(harness, view, { maxTarget: 1n << 198n });
    expect([first, second, third].map((effects) => messages(effects).length)).toEqual([1, 0, 0]);
    expect(messagesNamed(harness.tick(), "SetTarget")).toHaveLength(1);
    expect(view.target).toBe(1n << 198n);
    expect(messagesNamed(harness.tick(), "SetTarget")).toHaveLength(0);
  });

  test("does not come when an update changes nothing", () => {
    const harness = running();
    const view = harness.open(1);
    expect(messages(update(harness, view, {}))).toEqual([]);
  });

  test("moves with a changed nominal hashrate, also when vardiff is off", () => {
    for (const vardiff of [null, defaultVardiffOptions]) {
      const harness = running({ vardiff });
      const view = harness.open(1, "extended", { nominalHashRate: 1e6 });
      update(harness, view, { hashrate: 1e9 });
      expect(view.target).toBe(targetFromHashrate(1e9, 6));
      harness.now += 1000;
      update(harness, view, { hashrate: 0 });
      expect(view.target).toBe(targetFromHashrate(vardiff === null ? 1 : 1e9, 6));
    }
  });

  test("without a job for half a minute brings the channel a job of its own, with later work", () => {
    const harness = running();
    const view = harness.open(1);
    const neighbour = harness.open(1);
    update(harness, view, { maxTarget: view.target / 2n });
    expect(messagesNamed(harness.tick(29), "NewExtendedMiningJob")).toEqual([]);
    const jobs = messagesNamed(harness.tick(), "NewExtendedMiningJob");
    expect(jobs).toMatchObject([{ channelId: view.channelId, jobId: 2, minNtime: 1_700_000_030 }]);
    const { message } = view.mine();
    expect(message.jobId).toBe(2);
    expect(shareErrors(harness.send(1, view.mine({ ntime: message.ntime - 1 }).message))).toEqual(["invalid-share"]);
    expect(shareErrors(harness.send(1, { ...message, channelId: neighbour.channelId }))).toEqual(["invalid-job-id"]);
    expect(shareErrors(harness.send(1, message))).toEqual([]);
    expect(shareErrors(harness.send(1, view.mine({ jobId: 1 }).message))).toEqual([]);
    expect(harness.recorded[0]!.work).toBeGreaterThan(harness.recorded[1]!.work);
    expect(messagesNamed(harness.tick(60), "NewExtendedMiningJob")).toEqual([]);
    harness.newTip(2, { prevHash: u256(bytes32(0xb0)) });
    expect(shareErrors(harness.send(1, { ...message, nonce: message.nonce + 1 }))).toEqual(["stale-share"]);
  });

  test("gets its job after half a minute also when it changes every second", () => {
    const harness = running();
    const view = harness.open(1);
    const jobs = Array.from({ length: 35 }, (_, second) => {
      update(harness, view, { maxTarget: (view.target * 99n) / 100n - BigInt(second) });
      return messagesNamed(harness.tick(), "NewExtendedMiningJob").length;
    });
    expect(jobs.indexOf(1)).toBe(29);
  });

  test("brings jobs whose shares are stale once every shared job of their time is forgotten", () => {
    const harness = running();
    const view = harness.open(1);
    update(harness, view, { maxTarget: view.target / 8n });
    harness.tick(5);
    const own = view.mine();
    expect(own.message.jobId).toBe(2);
    for (let id = 2; id <= 34; id += 1) {
      harness.now += 1000;
      harness.newWork(id);
    }
    expect(shareErrors(harness.send(1, own.message))).toEqual(["stale-share"]);
  });

  test("that changed a lot does not wait that long", () => {
    const harness = running();
    const view = harness.open(1, "standard");
    update(harness, view, { maxTarget: view.target / 8n });
    expect(messagesNamed(harness.tick(5), "NewMiningJob")).toHaveLength(1);
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  });

  test.each([
    ["nominal hashrate NaN", "invalid-nominal-hashrate", { channelId: 2, nominalHashRate: Number.NaN }],
    ["nominal hashrate -1", "invalid-nominal-hashrate", { channelId: 2, nominalHashRate: -1 }],
    ["target 0", "max-target-out-of-range", { channelId: 2, maximumTarget: u256(new Uint8Array(32)) }],
    ["the group's id", "invalid-channel-id", { channelId: 1 }],
    ["an unknown id", "invalid-channel-id", { channelId: 99 }],
  ])("never follows an invalid update: %s gives %s", (_, errorCode, changes) => {
    const harness = running();
    harness.open(1);
    const good = { nominalHashRate: 1, maximumTarget: u256(bytes32(1)) };
    const effects = harness.send(1, { name: "UpdateChannel", ...good, ...changes });
    const { channelId } = changes;
    expect(messages(effects)).toEqual([{ name: "UpdateChannelError", channelId, errorCode }]);
  });
});

describe("vardiff", () => {
  /** A miner of a fixed hashrate that sends what its luck gives it, second by second. */
  function mineFor(harness: Harness, view: ClientView, miner: { hashrate: number; seconds: number }): number {
    let nonce = 0;
    let debt = 0;
    let targets = 0;
    for (let second = 0; second < miner.seconds; second += 1) {
      debt += miner.hashrate;
      while (debt > 0) {
        const share = view.mine({ from: nonce, accept: () => true });
        nonce += 1;
        debt -= 1;
        const job = view.jobs.get(share.message.jobId)!;
        if (meetsTarget(share.hash, targetToBytes(job.target!))) harness.send(1, share.message);
      }
      targets += messagesNamed(harness.tick(), "SetTarget").length;
    }
    return targets;
  }

  test("brings an understated miner to its rate, through jobs of its own when there is no other", () => {
    const harness = running({ vardiff: defaultVardiffOptions });
    const view = harness.open(1, "extended", { nominalHashRate: 1 });
    mineFor(harness, view, { hashrate: 20, seconds: 900 });
    const [status] = harness.server.status().connections[0]!.channels;
    expect(status!.hashrate).toBeGreaterThan(10);
    expect(status!.hashrate).toBeLessThan(40);
    // Each tip's shares carry the work of their own job, so the credit is the work done.
    expect(Number(harness.server.status().work) / (20 * 900)).toBeCloseTo(1, 0);
  });

  test.each<readonly [what: string, claim: { nominal: number; claimed: number; after: (measured: number) => number }]>([
    [
      "a client that tells what it found out itself is not believed twice",
      { nominal: 1, claimed: 20, after: () => 20 },
    ],
    [
      "a client that tells less of it than was measured changes nothing",
      { nominal: 1, claimed: 5, after: (was) => was },
    ],
    ["the same downwards", { nominal: 1000, claimed: 15, after: () => 15 }],
    ["and of a fall that was measured already", { nominal: 1000, claimed: 100, after: (was) => was }],
    ["miners that join scale what was measured", { nominal: 40, claimed: 80, after: (was) => 2 * was }],
    ["miners that leave scale it, too", { nominal: 10, claimed: 5, after: (was) => was / 2 }],
  ])("%s", (_what, { nominal, claimed, after }) => {
    const harness = running({ vardiff: defaultVardiffOptions });
    const view = harness.open(1, "extended", { nominalHashRate: nominal });
    mineFor(harness, view, { hashrate: 20, seconds: 300 });
    const measured = harness.server.status().hashrate;
    const maximumTarget = u256(targetToBytes(MAX_TARGET));
    harness.send(1, { name: "UpdateChannel", channelId: 2, nominalHashRate: claimed, maximumTarget });
    expect(harness.server.status().hashrate).toBeCloseTo(after(measured), 9);
    expect(measured).toBeGreaterThan(10);
    expect(measured).toBeLessThan(80);
  });

  test("eases an idle channel by the clock alone, down to the floor, and few messages", () => {
    const harness = running({ vardiff: defaultVardiffOptions });
    const view = harness.open(1, "extended", { nominalHashRate: 1e6 });
    const targets = messagesNamed(harness.tick(3600), "SetTarget");
    expect(view.target).toBeGreaterThan(targetFromHashrate(1e5, 6));
    expect(targets.length).toBeGreaterThan(0);
    expect(targets.length).toBeLessThan(30);
  });

  test("does not count shares of a target that was replaced", () => {
    const harness = running({ vardiff: defaultVardiffOptions });
    const view = harness.open(1);
    const maximumTarget = u256(targetToBytes(target(view.target / 8n)));
    harness.send(1, { name: "UpdateChannel", channelId: 2, nominalHashRate: 0, maximumTarget });
    harness.newWork(2);
    harness.tick();
    for (let ntime = 1_700_000_000; ntime < 1_700_000_050; ntime += 1) {
      expect(shareErrors(harness.send(1, view.mine({ jobId: 1, ntime }).message))).toEqual([]);
    }
    harness.tick(15);
    expect(harness.server.status().hashrate).toBe(1);
  });

  test("does not count shares that are refused", () => {
    const harness = running({ vardiff: defaultVardiffOptions });
    const view = harness.open(1, "extended", { nominalHashRate: 1000 });
    const [good, bad] = [view.mine().message, badShare(view).message];
    expect(shareErrors(harness.send(1, good))).toEqual([]);
    for (let sent = 0; sent < 200; sent += 1) {
      expect(shareErrors(harness.send(1, sent % 2 === 0 ? good : bad))).toHaveLength(1);
    }
    expect(messagesNamed(harness.tick(15), "SetTarget")).toEqual([]);
  });

  test("goes on when a bound keeps the target as it is", () => {
    const harness = running({ vardiff: defaultVardiffOptions });
    harness.open(1, "extended", { nominalHashRate: 1e6, maxTarget: targetFromHashrate(1e6, 6) });
    expect(messagesNamed(harness.tick(3600), "SetTarget")).toEqual([]);
    expect(harness.server.status().hashrate).toBeLessThan(1e5);
  });

  test("does not hold the time against a channel in which its new target had no job yet", () => {
    const harness = running({ vardiff: defaultVardiffOptions, limits: { ...defaultChannelLimits, jobRefreshMs: 1e9 } });
    const view = harness.open(1, "extended", { nominalHashRate: 1e6 });
    const maximumTarget = u256(targetToBytes(MAX_TARGET));
    harness.send(1, { name: "UpdateChannel", channelId: 2, nominalHashRate: 2e6, maximumTarget });
    harness.tick(600);
    harness.newWork(2);
    expect(messagesNamed(harness.tick(15), "SetTarget")).toEqual([]);
    expect(view.target).toBe(targetFromHashrate(2e6, 6));
  });

  test("remembers the difficulty of a user identity over a reconnect, for ten minutes and within reason", () => {
    const harness = running({ vardiff: defaultVardiffOptions });
    const view = harness.open(1, "extended", { nominalHashRate: 64 });
    harness.send(1, view.mine().message);
    const reconnect = (waitMs: number, nominalHashRate: number): bigint => {
      const last = harness.channels.get(1)!.at(-1)!;
      harness.send(1, last.mine({ ntime: 1_700_000_000 + harness.recorded.length }).message);
      harness.input({ type: "disconnected", connection: 1 });
      harness.now += waitMs;
      harness.connect(1);
      return harness.open(1, "extended", { nominalHashRate }).target;
    };
    expect(reconnect(1000, 0)).toBe(targetFromHashrate(64, 6));
    expect(reconnect(1000, 32)).toBe(targetFromHashrate(64, 6));
    expect(reconnect(1000, 1)).toBe(targetFromHashrate(8, 6));
    expect(reconnect(700_000, 2)).toBe(targetFromHashrate(2, 6));
  });
});

describe("CloseChannel", () => {
  const close = (harness: Harness, channelId: number) =>
    harness.send(1, { name: "CloseChannel", channelId, reasonCode: "bye" });

  test("ends that channel and no other", () => {
    const harness = running();
    const [first, second] = [harness.open(1), harness.open(1)];
    expect(close(harness, first.channelId)).toEqual([]);
    expect(shareErrors(harness.send(1, first.mine().message))).toEqual(["invalid-channel-id"]);
    expect(shareErrors(harness.send(1, second.mine().message))).toEqual([]);
  });

  test("of the group ends all its channels; jobs are not sent there any more", () => {
    const harness = running();
    harness.open(1);
    harness.open(1, "standard");
    close(harness, 1);
    expect(harness.server.status().channels).toBe(0);
    expect(messages(harness.newWork(2))).toEqual([]);
    expect(harness.open(1).channelId).toBe(4);
  });

  test("of a channel that is not there, or of another connection, does nothing", () => {
    const harness = running();
    harness.connect(2);
    harness.open(2);
    harness.open(2);
    for (const channelId of [0, 1, 2, 3, 99]) expect(messages(close(harness, channelId))).toEqual([]);
    expect(harness.server.status().channels).toBe(2);
  });

  test("does not take back shares under way: they are recorded, but nobody is told", () => {
    const harness = running({ shareBatchSize: 1 });
    const view = harness.open(1);
    harness.store = () => undefined;
    const [record] = effectsOf(harness.send(1, view.mine().message), "record-share");
    close(harness, view.channelId);
    expect(harness.input({ type: "share-recorded", share: record!.share, result: "recorded" })).toEqual([]);
    expect(harness.server.status()).toMatchObject({ accepted: 1, work: record!.share.work });
    expect(messages(harness.input({ type: "share-recorded", share: record!.share, result: "failed" }))).toEqual([]);
  });
});

describe("a peer that sends bad shares", () => {
  /** One bad share a second, so that each minute has more than thirty. */
  function misbehave(harness: Harness, view: ClientView, seconds: number): ReturnType<Harness["tick"]> {
    const effects: ReturnType<Harness["tick"]>[number][] = [];
    const { message } = badShare(view);
    for (let second = 0; second < seconds; second += 1) {
      effects.push(...harness.send(1, message), ...harness.tick());
    }
    return effects;
  }

  test("is sent its job again after a minute, loses the channel after two, the connection after three", () => {
    const harness = running();
    const view = harness.open(1);
    const first = misbehave(harness, view, 60);
    expect(messagesNamed(first, "NewExtendedMiningJob")).toMatchObject([{ channelId: view.channelId }]);
    const second = misbehave(harness, view, 60);
    expect(messagesNamed(second, "CloseChannel")).toMatchObject([{ channelId: view.channelId }]);
    const third = misbehave(harness, view, 60);
    expect(effectsOf(third, "close-connection")).toMatchObject([{ connection: 1 }]);
    expect(harness.server.status().connections).toEqual([]);
  });

  test("is not sent its job again in the second in which it got another: that would be the same search", () => {
    const harness = running();
    const view = harness.open(1);
    misbehave(harness, view, 59);
    harness.now += 1000;
    harness.newTip(2, { prevHash: u256(bytes32(0xb0)) });
    expect(messages(harness.input({ type: "tick" }))).toEqual([]);
  });

  test("and falls back to the ground with a good minute between", () => {
    const harness = running();
    const view = harness.open(1);
    misbehave(harness, view, 60);
    harness.tick(60);
    expect(messagesNamed(misbehave(harness, view, 60), "CloseChannel")).toEqual([]);
  });

  test("does not harm another connection of the same user identity", () => {
    const harness = running();
    const bad = harness.open(1);
    harness.connect(2);
    const victim = harness.open(2);
    misbehave(harness, bad, 180);
    expect(shareErrors(harness.send(2, victim.mine().message))).toEqual([]);
  });

  test("in a flood loses the connection at once, and what it still sends is ignored", () => {
    const harness = running({ limits: { ...defaultChannelLimits, floodRejects: 100 } });
    const view = harness.open(1);
    const { message } = badShare(view);
    const effects = Array.from({ length: 200 }, () => harness.send(1, message));
    expect(effectsOf(effects.flat(), "close-connection")).toHaveLength(1);
    expect(effects.findIndex((one) => effectsOf(one, "close-connection").length > 0)).toBe(130);
    expect(effects.at(-1)).toEqual([]);
  });
});

describe("a connection", () => {
  test("that opens no channel is closed after thirty seconds", () => {
    const harness = running();
    expect(effectsOf(harness.tick(29), "close-connection")).toEqual([]);
    expect(effectsOf(harness.tick(1), "close-connection")).toMatchObject([{ reason: "no channel was opened" }]);
  });

  test("that waits for the first template is not", () => {
    const harness = new Harness();
    harness.connect(1);
    harness.requestOpen(1);
    expect(effectsOf(harness.tick(60), "close-connection")).toEqual([]);
  });

  test("without an accepted share for two hours is closed", () => {
    const harness = running({ ackIntervalMs: 1e9 });
    const view = harness.open(1);
    harness.now += 7_100_000;
    harness.send(1, view.mine().message);
    harness.now += 7_100_000;
    expect(effectsOf(harness.tick(), "close-connection")).toEqual([]);
    harness.now += 100_000;
    expect(effectsOf(harness.tick(), "close-connection")).toMatchObject([{ reason: "no share was accepted" }]);
  });

  test("that sends what only a server may send is closed with a reason", () => {
    const harness = running();
    harness.open(1);
    const effects = harness.send(1, { name: "SetTarget", channelId: 2, maximumTarget: u256(bytes32(1)) });
    expect(effects).toEqual([{ type: "close-connection", connection: 1, reason: "unexpected message SetTarget" }]);
    expect(harness.send(1, { name: "CloseChannel", channelId: 2, reasonCode: "" })).toEqual([]);
  });

  test("that nobody announced is ignored", () => {
    const harness = running();
    expect(harness.requestOpen(42)).toEqual([]);
    expect(harness.input({ type: "disconnected", connection: 42 })).toEqual([]);
    expect(harness.input({ type: "rotate-extranonce-prefix", connection: 42, channelId: 2 })).toEqual([]);
  });
});

test("the status names connections, channels, work and the tip", () => {
  const harness = running();
  const view = harness.open(1, "extended", { nominalHashRate: 5, userIdentity: "bob" });
  harness.send(1, view.mine().message);
  harness.send(1, badShare(view).message);
  const status = harness.server.status();
  expect(status).toMatchObject({ channels: 1, hashrate: 5, accepted: 1, blocks: 0, jobs: 1, seenShares: 1 });
  expect(status.rejected).toEqual(new Map([["difficulty-too-low", 1]]));
  expect(status.tip?.prevHash).toEqual(bytes32(0xa0));
  expect(status.activeJob).toEqual({ jobId: 1, height: 800_000 });
  expect(status.connections).toMatchObject([
    {
      connection: 1,
      mode: "grouped",
      channels: [{ channelId: 2, kind: "extended", userIdentity: "bob", accepted: 1 }],
    },
  ]);
});
