import {
  displayHash,
  type Hash,
  hex,
  MAX_TARGET,
  meetsTarget,
  stripWitness,
  target,
  targetFromBytes,
  targetFromHashrate,
  targetToBytes,
  txid,
  workOf,
} from "@adit/bitcoin";
import { REQUIRES_STANDARD_JOBS, u256, WORKER_HASHRATE_TRACKING } from "@adit/codec";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultChannelLimits } from "./limits.ts";
import { validateShare } from "./share-validation.ts";
import {
  bytes32,
  type ClientView,
  EASY_BITS,
  effectsOf,
  Harness,
  messages,
  messagesNamed,
  prevHash,
  START,
  shareErrors,
  template,
} from "./testing/harness.ts";

const NTIME = START / 1000;
const MASK = 0x1fffffe0;

function running(changes: ConstructorParameters<typeof Harness>[0] = {}): { harness: Harness; view: ClientView } {
  const harness = new Harness(changes);
  harness.connect(1);
  harness.newTip(1);
  return { harness, view: harness.open(1) };
}

describe("every error code of a share", () => {
  test("invalid-channel-id: unknown, the group's, another connection's, or of the other kind", () => {
    const { harness, view } = running();
    harness.connect(2);
    const standard = harness.open(1, "standard");
    const { message } = view.mine();
    for (const channelId of [0, 1, 4, 0xffffffff]) {
      expect(shareErrors(harness.send(1, { ...message, channelId }))).toEqual(["invalid-channel-id"]);
    }
    expect(shareErrors(harness.send(2, message))).toEqual(["invalid-channel-id"]);
    expect(shareErrors(harness.send(1, { ...message, channelId: standard.channelId }))).toEqual(["invalid-channel-id"]);
    const reverse = { ...standard.mine().message, channelId: view.channelId };
    expect(shareErrors(harness.send(1, reverse))).toEqual(["invalid-channel-id"]);
  });

  test("invalid-job-id: unknown, future, or sent only to channels that were open then", () => {
    const { harness, view } = running();
    const early = view.mine();
    harness.newWork(2);
    harness.input({ type: "template", template: template(3) });
    const late = harness.open(1);
    for (const jobId of [0, 3, 99]) {
      expect(shareErrors(harness.send(1, { ...early.message, jobId }))).toEqual(["invalid-job-id"]);
    }
    expect(shareErrors(harness.send(1, { ...early.message, channelId: late.channelId }))).toEqual(["invalid-job-id"]);
    expect(shareErrors(harness.send(1, early.message))).toEqual([]);
  });

  test("bad-extranonce-size: one byte too few or too many", () => {
    const { harness, view } = running();
    for (const size of [0, 15, 17, 32]) {
      const extranonce = new Uint8Array(size);
      const message = { ...view.mine().message, name: "SubmitSharesExtended", extranonce } as const;
      expect(shareErrors(harness.send(1, message))).toEqual(["bad-extranonce-size"]);
    }
  });

  test("stale-share goes before bad-extranonce-size", () => {
    const { harness, view } = running();
    const message = { ...view.mine().message, name: "SubmitSharesExtended", extranonce: new Uint8Array(3) } as const;
    harness.newTip(2, { prevHash: u256(bytes32(0xb0)) });
    expect(shareErrors(harness.send(1, message))).toEqual(["stale-share"]);
  });

  test.each([
    [NTIME - 1, ["invalid-share"]],
    [NTIME, []],
    [NTIME + 1, []],
    [NTIME + 7200, []],
    [NTIME + 7201, ["invalid-share"]],
    [0, ["invalid-share"]],
    [0xffffffff, ["invalid-share"]],
  ])("ntime %i gives %j", (ntime, expected) => {
    const { harness, view } = running();
    expect(shareErrors(harness.send(1, view.mine({ ntime }).message))).toEqual(expected);
  });

  test("ntime may be rolled once a second however old the tip is, and the window moves with it", () => {
    const { harness, view } = running();
    harness.now += 10_000_000;
    const latest = NTIME + 10_000 + 7200;
    expect(shareErrors(harness.send(1, view.mine({ ntime: NTIME + 10_000 }).message))).toEqual([]);
    expect(shareErrors(harness.send(1, view.mine({ ntime: latest }).message))).toEqual([]);
    expect(shareErrors(harness.send(1, view.mine({ ntime: latest + 1 }).message))).toEqual(["invalid-share"]);
  });

  test("ntime is measured against the node's clock, not ours", () => {
    for (const offset of [-7200, 7200]) {
      const harness = new Harness();
      harness.connect(1);
      harness.newTip(1, { headerTimestamp: NTIME + offset });
      const view = harness.open(1);
      expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
      const early = view.mine({ ntime: NTIME + offset - 1 });
      expect(shareErrors(harness.send(1, early.message))).toEqual(["invalid-share"]);
    }
  });

  test("ntime is measured against what its job was sent with, though the tip was told again with a later time", () => {
    const { harness, view } = running();
    const before = view.mine();
    harness.newTip(2, { headerTimestamp: NTIME + 5 });
    expect(shareErrors(harness.send(1, before.message))).toEqual([]);
    expect(shareErrors(harness.send(1, view.mine({ ntime: NTIME + 4 }).message))).toEqual(["invalid-share"]);
  });

  test("difficulty-too-low: a hash equal to the target is good, one above is not", () => {
    const { view } = running();
    const { hash, message } = view.mine();
    const job = {
      id: 1,
      workId: 1,
      origin: { kind: "template", templateId: 1n, height: undefined, template: template(1) },
      version: message.version,
      versionRollingAllowed: true,
      coinbaseTxPrefix: new Uint8Array(1),
      coinbaseTxSuffix: new Uint8Array(1),
      merklePath: [],
      tip: { prevHash: hash, ntime: NTIME, nbits: 0, networkTarget: new Uint8Array(32), since: START },
      minNtime: NTIME,
      serial: 1,
    } as const;
    const judge = (limit: bigint) =>
      validateShare(
        { nonce: 0, ntime: NTIME, version: job.version, extranonce: new Uint8Array(0) },
        {
          hashing: { shareHash: () => ({ hash, header: new Uint8Array(80) }) } as never,
          found: { phase: "active", job },
          targetBytes: targetToBytes(target(limit)),
          extranoncePrefix: new Uint8Array(4),
          extranonceSize: 0,
          tip: job.tip,
          ntimeWindowSec: 7200,
          now: START,
        },
      );
    const value = targetFromBytes(hash);
    expect(judge(value)).toMatchObject({ kind: "valid" });
    expect(judge(value - 1n)).toMatchObject({ kind: "rejected", errorCode: "difficulty-too-low" });
  });

  test("difficulty-too-low is what a share above the target gets on the wire", () => {
    const { harness, view } = running();
    const easy = targetToBytes(view.target);
    const bad = view.mine({ accept: (hash) => !meetsTarget(hash, easy) });
    const effects = harness.send(1, bad.message, "rig");
    expect(shareErrors(effects)).toEqual(["difficulty-too-low"]);
    expect(effectsOf(effects, "reject-share")).toEqual([
      {
        type: "reject-share",
        connection: 1,
        channelId: 2,
        userIdentity: "alice",
        worker: undefined,
        errorCode: "difficulty-too-low",
      },
    ]);
  });

  test("share-not-recorded: the store failed, and the same share may come again", () => {
    const { harness, view } = running();
    const { message } = view.mine();
    harness.store = () => "failed";
    expect(shareErrors(harness.send(1, message))).toEqual(["share-not-recorded"]);
    harness.store = () => "recorded";
    expect(shareErrors(harness.send(1, message))).toEqual([]);
    expect(harness.recorded).toHaveLength(1);
  });

  test("duplicate-share: the store knew it from before a restart", () => {
    const { harness, view } = running();
    harness.store = () => "duplicate";
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual(["duplicate-share"]);
    expect(harness.server.status()).toMatchObject({ accepted: 0, work: 0n });
  });

  test("share-rate-exceeded: a burst of 60, then ten times the target rate", () => {
    const { harness, view } = running();
    let from = 0;
    const submit = (): string | undefined => {
      const { message } = view.mine({ from });
      from = message.nonce + 1;
      return shareErrors(harness.send(1, message))[0];
    };
    for (let count = 0; count < 60; count += 1) expect(submit()).toBeUndefined();
    expect(submit()).toBe("share-rate-exceeded");
    harness.now += 1000;
    expect(submit()).toBeUndefined();
    expect(submit()).toBe("share-rate-exceeded");
  });

  test("too-many-shares: nothing is forgotten, the target gets harder, and the next tip starts over", () => {
    const limits = { ...defaultChannelLimits, seenSharesPerChannel: 5 };
    const { harness, view } = running({ limits });
    const shares: ReturnType<ClientView["mine"]>[] = [];
    for (let count = 0; count < 6; count += 1) {
      shares.push(view.mine({ from: (shares.at(-1)?.message.nonce ?? -1) + 1 }));
    }
    const before = view.target;
    const answers = shares.map(({ message }) => shareErrors(harness.send(1, message))[0]);
    expect(answers).toEqual([undefined, undefined, undefined, undefined, undefined, "too-many-shares"]);
    expect(view.target).toBeLessThan(before);
    expect(shareErrors(harness.send(1, shares[0]!.message))).toEqual(["duplicate-share"]);
    expect(messagesNamed(harness.send(1, shares[5]!.message), "SetTarget")).toEqual([]);
    harness.newTip(2, { prevHash: u256(bytes32(0xb0)) });
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  });

  test("too-many-shares holds on when the tip is only announced again", () => {
    const { harness, view } = running({ limits: { ...defaultChannelLimits, seenSharesPerChannel: 1 } });
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
    harness.newTip(2);
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual(["too-many-shares"]);
  });

  test("too-many-shares also when the memory of all channels is full", () => {
    const { harness, view } = running({ limits: { ...defaultChannelLimits, seenShares: 1 } });
    const first = view.mine();
    const second = view.mine({ from: first.message.nonce + 1 });
    expect(shareErrors(harness.send(1, first.message))).toEqual([]);
    expect(shareErrors(harness.send(1, second.message))).toEqual(["too-many-shares"]);
  });
});

describe("each of the 32 version bits", () => {
  const bits = Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0);
  const kinds = [
    ["extended", 0],
    ["standard", 0],
    ["standard", REQUIRES_STANDARD_JOBS],
  ] as const;

  test.each(kinds)("may be rolled within the mask and not outside it (%s, flags %i)", (kind, flags) => {
    for (const versionRollingAllowed of [true, false]) {
      const harness = new Harness({ versionRollingAllowed, limits: { ...defaultChannelLimits, shareBurst: 100 } });
      harness.connect(1, flags);
      harness.newTip(1);
      const view = harness.open(1, kind);
      for (const bit of bits) {
        const { message } = view.mine({ version: (0x20000000 ^ bit) >>> 0 });
        const rollable = (bit & MASK) !== 0;
        const allowed = rollable ? [] : ["invalid-non-rollable-version-bit"];
        const expected = versionRollingAllowed ? allowed : ["version-rolling-not-allowed"];
        expect(shareErrors(harness.send(1, message))).toEqual(expected);
      }
    }
  });
});

describe("a share is credited once", () => {
  test("on the same channel, other channels, other connections, and after a reconnect", () => {
    const { harness, view } = running();
    const { message } = view.mine();
    expect(shareErrors(harness.send(1, message))).toEqual([]);
    expect(shareErrors(harness.send(1, message))).toEqual(["duplicate-share"]);
    expect(shareErrors(harness.send(1, { ...message, sequenceNumber: 99 }))).toEqual(["duplicate-share"]);
    harness.input({ type: "disconnected", connection: 1 });
    harness.connect(2);
    const again = harness.open(2);
    // Another prefix makes it another coinbase, so the old nonce is worth nothing there.
    expect(hex(again.prefix)).not.toBe(hex(view.prefix));
    const replay = shareErrors(harness.send(2, { ...message, channelId: again.channelId }));
    expect(replay).not.toEqual([]);
    expect(harness.recorded).toHaveLength(1);
  });

  test("under a new job id of the same template, also with a later min_ntime", () => {
    const { harness, view } = running();
    const { message } = view.mine({ ntime: NTIME + 10 });
    expect(shareErrors(harness.send(1, message))).toEqual([]);
    harness.newWork(1);
    expect(shareErrors(harness.send(1, { ...message, jobId: 2 }))).toEqual(["duplicate-share"]);
    harness.newTip(1, { headerTimestamp: NTIME + 10 });
    expect(view.active).toBe(3);
    expect(shareErrors(harness.send(1, { ...message, jobId: 3 }))).toEqual(["duplicate-share"]);
  });

  test("when a reorganisation brings its tip back", () => {
    const { harness, view } = running();
    const { message } = view.mine();
    expect(shareErrors(harness.send(1, message))).toEqual([]);
    harness.newTip(2, { prevHash: u256(bytes32(0xb0)) });
    harness.now += 3_600_000;
    harness.newTip(1, {});
    expect(view.active).toBe(3);
    expect(shareErrors(harness.send(1, { ...message, jobId: 3 }))).toEqual(["duplicate-share"]);
  });

  test("while its record is still under way", () => {
    const { harness, view } = running();
    harness.store = () => undefined;
    const { message } = view.mine();
    expect(effectsOf(harness.send(1, message), "record-share")).toHaveLength(1);
    expect(shareErrors(harness.send(1, message))).toEqual(["duplicate-share"]);
  });
});

describe("a block", () => {
  const easy = { nBits: EASY_BITS };
  /** Half of all hashes are blocks on this network. */
  const isBlock = (hash: Hash): boolean => (hash[31] ?? 0) < 0x80;

  test("is submitted before its share is recorded, with a coinbase that hashes into the header", () => {
    for (const kind of ["standard", "extended"] as const) {
      const harness = new Harness();
      harness.connect(1);
      harness.newTip(1, easy);
      const view = harness.open(1, kind);
      const share = view.mine();
      const effects = harness.send(1, share.message);
      expect(effects.slice(0, 2).map(({ type }) => type)).toEqual(["submit-solution", "record-share"]);
      const [submitted] = effectsOf(effects, "submit-solution");
      const { solution, block } = submitted!;
      const { nonce, ntime, version } = share.message;
      expect(solution).toMatchObject({ templateId: 1n, version, headerTimestamp: ntime, headerNonce: nonce });
      expect(displayHash(block.hash)).toBe(displayHash(share.hash));
      expect(block).toMatchObject({ height: 800_000, templateId: 1n, channelId: 2, userIdentity: "alice" });
      expect(block.header).toHaveLength(80);
      expect(hex(solution.coinbaseTx)).toBe(hex(block.coinbase));
      expect(hex(txid(block.coinbase))).toBe(hex(txid(stripWitness(block.coinbase))));
      expect(harness.recorded).toMatchObject([{ isBlock: true, jobId: 1, workId: 1, declaration: undefined }]);
    }
  });

  test("is acknowledged at once after its record", () => {
    const { harness, view } = running();
    harness.newTip(2, { ...easy, prevHash: u256(bytes32(0xb0)) });
    const effects = harness.send(1, view.mine().message);
    expect(messages(effects)).toMatchObject([{ name: "SubmitSharesSuccess", newSubmitsAcceptedCount: 1 }]);
  });

  test("must meet the template provider's target as well as nbits", () => {
    const { harness, view } = running();
    const halves = { nBits: EASY_BITS, target: u256(bytes32(1)), prevHash: u256(bytes32(0xb0)) };
    harness.newTip(2, halves);
    const effects = harness.send(1, view.mine({ accept: (hash) => hash[31]! > 1 && hash[31]! < 0x10 }).message);
    expect(effectsOf(effects, "submit-solution")).toEqual([]);
  });

  test("that comes late is still submitted, and its share is stale", () => {
    const { harness, view } = running();
    harness.newTip(2, { ...easy, prevHash: u256(bytes32(0xb0)) });
    const late = view.mine();
    harness.newTip(3, { prevHash: u256(bytes32(0xc0)) });
    const effects = harness.send(1, late.message);
    expect(effects.map(({ type }) => type)).toEqual(["submit-solution", "send", "reject-share"]);
    expect(effectsOf(effects, "submit-solution")[0]?.solution.templateId).toBe(2n);
    expect(shareErrors(effects)).toEqual(["stale-share"]);
  });

  test("is submitted whatever policy says of its share, and never twice", () => {
    const { harness, view } = running({ limits: { ...defaultChannelLimits, shareBurst: 1 } });
    harness.newTip(2, { ...easy, prevHash: u256(bytes32(0xb0)) });
    const hard = targetToBytes(view.target);
    const first = view.mine();
    const cases = [
      [first, undefined],
      [first, "duplicate-share"],
      [view.mine({ from: first.message.nonce + 1 }), "share-rate-exceeded"],
      [view.mine({ ntime: NTIME - 1, accept: isBlock }), "invalid-share"],
      [view.mine({ version: 1, accept: isBlock }), "invalid-non-rollable-version-bit"],
      [view.mine({ accept: (hash) => isBlock(hash) && !meetsTarget(hash, hard) }), "difficulty-too-low"],
    ] as const;
    const submitted: string[] = [];
    for (const [share, errorCode] of cases) {
      const effects = harness.send(1, share.message);
      expect(shareErrors(effects)[0]).toBe(errorCode);
      submitted.push(...effectsOf(effects, "submit-solution").map(({ block }) => displayHash(block.hash)));
    }
    expect(submitted).toEqual(
      cases.filter(([, errorCode]) => errorCode !== "duplicate-share").map(([share]) => displayHash(share.hash)),
    );
  });

  test("found after the prefix was rotated is rebuilt with the prefix of its job", () => {
    for (const kind of ["standard", "extended"] as const) {
      const harness = new Harness();
      harness.connect(1);
      harness.newTip(1, easy);
      const view = harness.open(1, kind);
      const before = view.mine();
      const old = view.prefix;
      const rotated = harness.input({ type: "rotate-extranonce-prefix", connection: 1, channelId: view.channelId });
      expect(messages(rotated)).toMatchObject([{ name: "SetExtranoncePrefix", channelId: view.channelId }]);
      expect(hex(view.prefix)).not.toBe(hex(old));
      const [submitted] = effectsOf(harness.send(1, before.message), "submit-solution");
      expect(displayHash(submitted!.block.hash)).toBe(displayHash(before.hash));
      expect(hex(submitted!.block.coinbase)).toContain(hex(old));
      harness.newWork(2);
      const after = view.mine();
      const [next] = effectsOf(harness.send(1, after.message), "submit-solution");
      expect(displayHash(next!.block.hash)).toBe(displayHash(after.hash));
      expect(hex(next!.block.coinbase)).toContain(hex(view.prefix));
    }
  });

  test("found on a future job that was sent before the prefix was rotated has the old prefix", () => {
    const harness = new Harness();
    harness.connect(1);
    harness.newTip(1, easy);
    const view = harness.open(1);
    harness.input({ type: "template", template: template(2) });
    harness.input({ type: "rotate-extranonce-prefix", connection: 1, channelId: view.channelId });
    harness.input({ type: "prev-hash", prevHash: prevHash(2, { ...easy, prevHash: u256(bytes32(0xb0)) }) });
    const share = view.mine();
    expect(share.message.jobId).toBe(2);
    expect(effectsOf(harness.send(1, share.message), "submit-solution")).toHaveLength(1);
  });
});

describe("a share that is accepted", () => {
  test("carries the worker only when extension 0x0002 was negotiated", () => {
    const harness = new Harness();
    harness.newTip(1);
    harness.connect(1);
    harness.connect(2, 0, [WORKER_HASHRATE_TRACKING]);
    for (const connection of [1, 2]) harness.send(connection, harness.open(connection).mine().message, "rig7");
    expect(harness.recorded.map(({ worker }) => worker)).toEqual([undefined, "rig7"]);
  });

  test("is credited with its job's target, and tells the hash's own difficulty apart", () => {
    const { harness, view } = running();
    harness.send(1, view.mine().message);
    const [share] = harness.recorded;
    expect(share!.work).toBe(workOf(targetFromHashrate(1, 6)));
    expect(share!.shareDifficulty).toBeGreaterThanOrEqual(share!.difficulty);
    expect(share).toMatchObject({ connection: 1, channelId: 2, sequenceNumber: 1, ntime: NTIME, receivedAt: START });
  });

  test("may have any sequence number: repeated, falling or wrapped", () => {
    const { harness, view } = running({ shareBatchSize: 1 });
    let from = 0;
    for (const sequenceNumber of [5, 5, 1, 0xffffffff, 0]) {
      const { message } = view.mine({ from });
      from = message.nonce + 1;
      const effects = harness.send(1, { ...message, sequenceNumber });
      expect(messages(effects)).toMatchObject([{ name: "SubmitSharesSuccess", lastSequenceNumber: sequenceNumber }]);
    }
  });
});

test("no share, whatever its fields, makes the server throw or go unanswered", () => {
  const { harness, view } = running({ limits: { ...defaultChannelLimits, floodRejects: Number.POSITIVE_INFINITY } });
  const u32 = fc.oneof(fc.constantFrom(0, 1, 2, NTIME, 0x20000000, 0xffffffff), fc.nat(0xffffffff));
  const fields = { channelId: u32, sequenceNumber: u32, jobId: u32, nonce: u32, ntime: u32, version: u32 };
  fc.assert(
    fc.property(fc.record(fields), fc.uint8Array({ maxLength: 32 }), fc.boolean(), (share, extranonce, extended) => {
      const effects = extended
        ? harness.send(1, { name: "SubmitSharesExtended", ...share, extranonce })
        : harness.send(1, { name: "SubmitSharesStandard", ...share });
      expect(shareErrors(effects).length + effectsOf(effects, "record-share").length).toBe(1);
    }),
  );
  expect(view.target).toBeLessThan(MAX_TARGET);
});
