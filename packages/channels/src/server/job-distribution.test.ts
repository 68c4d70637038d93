import { hex, restoreWitness } from "@adit/bitcoin";
import { REQUIRES_STANDARD_JOBS, REQUIRES_WORK_SELECTION, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { defaultChannelLimits } from "./limits.ts";
import { coinbaseOf } from "./share-validation.ts";
import {
  bytes32,
  effectsOf,
  HARD_BITS,
  Harness,
  messages,
  messagesNamed,
  prevHash,
  START,
  scriptSigSize,
  shareErrors,
  template,
} from "./testing/harness.ts";

const names = (effects: Parameters<typeof messages>[0]): readonly string[] => messages(effects).map(({ name }) => name);

function running(): Harness {
  const harness = new Harness();
  harness.newTip(1);
  return harness;
}

describe("a newly opened channel", () => {
  test("gets a future job and then the prevhash that names it, on its own id, before anything else", () => {
    const harness = running();
    harness.connect(1);
    const sent = messages(harness.requestOpen(1));
    expect(sent.map(({ name }) => name)).toEqual([
      "OpenExtendedMiningChannelSuccess",
      "NewExtendedMiningJob",
      "SetNewPrevHash",
    ]);
    expect(sent[1]).toMatchObject({ channelId: 2, jobId: 1, minNtime: null });
    expect(sent[2]).toMatchObject({ channelId: 2, jobId: 1, minNtime: START / 1000, nbits: HARD_BITS });
  });

  test("gets a standard job with its own merkle root when it is a standard channel, grouped or not", () => {
    const harness = running();
    harness.connect(1);
    harness.connect(2, REQUIRES_STANDARD_JOBS);
    for (const connection of [1, 2]) {
      const sent = messages(harness.requestOpen(connection, "standard"));
      expect(sent.map(({ name }) => name)).toEqual([
        "OpenStandardMiningChannelSuccess",
        "NewMiningJob",
        "SetNewPrevHash",
      ]);
      expect(sent[1]).toMatchObject({ channelId: 2, minNtime: null });
    }
  });

  test("does not disturb the other channels of its group", () => {
    const harness = running();
    harness.connect(1);
    harness.open(1);
    const effects = harness.requestOpen(1);
    for (const message of messages(effects)) expect("channelId" in message && message.channelId).toBe(3);
  });

  test("also gets the future jobs that wait, so that a later prevhash may name them", () => {
    const harness = running();
    harness.connect(1);
    harness.input({ type: "template", template: template(2) });
    const view = harness.open(1);
    expect([...view.jobs.keys()]).toEqual([1, 2]);
    harness.input({ type: "prev-hash", prevHash: prevHash(2, { prevHash: u256(bytes32(0xb0)) }) });
    expect(view.active).toBe(2);
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  });

  test("waits for the first template and prevhash, in order of the requests", () => {
    const harness = new Harness();
    harness.connect(1);
    harness.connect(2);
    expect(harness.requestOpen(1)).toEqual([]);
    expect(harness.requestOpen(2)).toEqual([]);
    harness.input({ type: "template", template: template(1) });
    expect(harness.channels.get(1)).toHaveLength(0);
    const opened = messagesNamed(
      harness.input({ type: "prev-hash", prevHash: prevHash(1) }),
      "OpenExtendedMiningChannelSuccess",
    );
    expect(opened.map(({ extranoncePrefix }) => hex(extranoncePrefix))).toEqual(["01000000", "01000001"]);
  });

  test("is refused when too many requests wait already, and one whose connection went is forgotten", () => {
    const harness = new Harness({ limits: { ...defaultChannelLimits, pendingOpens: 2 } });
    harness.connect(1);
    harness.connect(2);
    harness.requestOpen(1);
    harness.requestOpen(1);
    expect(messages(harness.requestOpen(2))).toMatchObject([{ errorCode: "channel-capacity-exhausted" }]);
    harness.input({ type: "disconnected", connection: 1 });
    expect(harness.server.status().pendingOpens).toBe(0);
    expect(names(harness.newTip(1))).toEqual([]);
  });
});

describe("a template", () => {
  test("becomes one job, sent once to the group of every connection that has channels", () => {
    const harness = running();
    for (const connection of [1, 2, 3]) harness.connect(connection);
    for (const connection of [1, 1, 2]) harness.open(connection);
    harness.open(2, "standard");
    const effects = effectsOf(harness.newWork(2), "send");
    expect(effects).toHaveLength(1);
    expect(effects[0]?.to).toEqual([1, 2]);
    expect(effects[0]?.message).toMatchObject({ name: "NewExtendedMiningJob", channelId: 1, jobId: 2 });
  });

  test("becomes a standard job for each channel of a connection that requires them", () => {
    const harness = running();
    harness.connect(1, REQUIRES_STANDARD_JOBS);
    harness.open(1, "standard");
    harness.open(1, "standard");
    const jobs = messagesNamed(harness.newWork(2), "NewMiningJob");
    expect(jobs.map(({ channelId }) => channelId)).toEqual([2, 3]);
    expect(hex(jobs[0]!.merkleRoot)).not.toBe(hex(jobs[1]!.merkleRoot));
    for (const view of harness.channels.get(1)!) {
      expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
    }
  });

  test("that is not a future one is work at once, from the tip's header_timestamp on", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    expect(messages(harness.newWork(2))).toMatchObject([{ jobId: 2, minNtime: START / 1000 }]);
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  });

  test("gives standard and extended members of one group the same coinbase size", () => {
    const harness = running();
    harness.connect(1);
    const extended = harness.open(1, "extended");
    const standard = harness.open(1, "standard");
    expect(extended.prefix.length + extended.extranonceSize).toBe(20);
    expect(standard.prefix).toHaveLength(20);
    expect(hex(standard.prefix)).toBe(`01000001${"00".repeat(16)}`);
    harness.newWork(2);
    for (const view of [extended, standard]) {
      expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
    }
  });

  test("without a tip is only reported", () => {
    const harness = new Harness();
    const effects = harness.newWork(1);
    expect(effects).toMatchObject([{ type: "log", event: "template-before-prev-hash" }]);
  });

  test("with the id of a future one takes its place", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    harness.input({ type: "template", template: template(2) });
    harness.input({ type: "template", template: template(2, { version: 0x20000020 }) });
    harness.input({ type: "prev-hash", prevHash: prevHash(2) });
    expect(view.active).toBe(3);
  });

  test("whose future job is the oldest of more than sixteen is forgotten", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    for (let id = 2; id <= 18; id += 1) harness.input({ type: "template", template: template(id) });
    const effects = harness.input({ type: "prev-hash", prevHash: prevHash(3, { prevHash: u256(bytes32(0xb0)) }) });
    expect(messages(effects)).toMatchObject([{ name: "SetNewPrevHash", jobId: 3 }]);
    expect(view.active).toBe(3);
    const again = running();
    for (let id = 2; id <= 18; id += 1) again.input({ type: "template", template: template(id) });
    const forgotten = again.input({ type: "prev-hash", prevHash: prevHash(2, { prevHash: u256(bytes32(0xb0)) }) });
    expect(forgotten).toMatchObject([{ type: "log", event: "prev-hash-without-job" }]);
  });
});

describe("a prevhash", () => {
  test("goes out once for all groups and makes the jobs before it stale", () => {
    const harness = running();
    harness.connect(1);
    harness.connect(2);
    const view = harness.open(1);
    harness.open(2);
    const late = view.mine();
    harness.input({ type: "template", template: template(2) });
    const effects = harness.input({ type: "prev-hash", prevHash: prevHash(2, { prevHash: u256(bytes32(0xb0)) }) });
    expect(effectsOf(effects, "send")).toMatchObject([
      { to: [1, 2], message: { name: "SetNewPrevHash", channelId: 1, jobId: 2 } },
    ]);
    expect(shareErrors(harness.send(1, late.message))).toEqual(["stale-share"]);
  });

  test("leaves no other future job: a later one may not be named any more", () => {
    const harness = running();
    harness.connect(1);
    harness.open(1);
    for (const id of [2, 3]) harness.input({ type: "template", template: template(id) });
    harness.input({ type: "prev-hash", prevHash: prevHash(3, { prevHash: u256(bytes32(0xb0)) }) });
    const effects = harness.input({ type: "prev-hash", prevHash: prevHash(2, { prevHash: u256(bytes32(0xc0)) }) });
    expect(effects).toMatchObject([{ type: "log", event: "prev-hash-without-job" }]);
  });

  test("for a template nobody knows stops credit for old work, and is announced with the next template", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    const late = view.mine();
    const lost = harness.input({ type: "prev-hash", prevHash: prevHash(9, { prevHash: u256(bytes32(0xb0)) }) });
    expect(lost).toMatchObject([{ type: "log", level: "warn", event: "prev-hash-without-job" }]);
    expect(shareErrors(harness.send(1, late.message))).toEqual(["stale-share"]);
    expect(messages(harness.newWork(10))).toMatchObject([
      { name: "NewExtendedMiningJob", jobId: 2, minNtime: null },
      { name: "SetNewPrevHash", jobId: 2, prevHash: bytes32(0xb0) },
    ]);
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  });

  test("that comes before its template is announced when the template comes", () => {
    const harness = new Harness();
    harness.connect(1);
    harness.requestOpen(1);
    harness.input({ type: "prev-hash", prevHash: prevHash(5) });
    harness.input({ type: "template", template: template(5) });
    expect(harness.channels.get(1)?.[0]?.active).toBe(1);
  });

  test("that repeats the tip for a template in use changes nothing", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    expect(messages(harness.input({ type: "prev-hash", prevHash: prevHash(1) }))).toEqual([]);
    expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  });

  test("that repeats the tip with a new template, as after a reconnect, keeps older work creditable", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    const before = view.mine();
    harness.newTip(2);
    expect(view.active).toBe(2);
    expect(shareErrors(harness.send(1, before.message))).toEqual([]);
  });

  test("with a target that no block can meet is refused", () => {
    const harness = running();
    const effects = harness.newTip(2, { nBits: 0x20ffffff });
    expect(effects).toMatchObject([{ type: "log", event: "prev-hash-refused" }]);
    expect(harness.newTip(3, { target: u256(bytes32(0)) })).toMatchObject([{ event: "prev-hash-refused" }]);
  });
});

describe("jobs kept", () => {
  test("32 past jobs stay creditable, the one before them is unknown", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    const shares = [view.mine()];
    for (let id = 2; id <= 34; id += 1) {
      harness.now += 1000;
      harness.newWork(id);
      shares.push(view.mine());
    }
    const answers = shares.map(({ message }) => shareErrors(harness.send(1, message))[0]);
    expect(answers).toEqual(["invalid-job-id", ...Array.from({ length: 33 }, () => undefined)]);
  });

  test("64 stale jobs are known as stale, older ones not at all", () => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    const shares = [view.mine()];
    for (let id = 2; id <= 66; id += 1) {
      harness.now += 1000;
      harness.newTip(id, { prevHash: u256(bytes32(id)) });
      shares.push(view.mine());
    }
    const answers = shares.map(({ message }) => shareErrors(harness.send(1, message))[0]);
    expect(answers[0]).toBe("invalid-job-id");
    expect(answers.slice(1, 65)).toEqual(Array.from({ length: 64 }, () => "stale-share"));
    expect(answers[65]).toBeUndefined();
  });
});

describe("a connection with work selection", () => {
  test("opens extended channels and is sent no jobs, even before the first template", () => {
    const harness = new Harness();
    harness.connect(1, REQUIRES_WORK_SELECTION);
    expect(names(harness.requestOpen(1))).toEqual(["OpenExtendedMiningChannelSuccess"]);
    expect(names(harness.newTip(1))).toEqual([]);
    expect(names(harness.newWork(2))).toEqual([]);
  });

  test("gets no credit for jobs of the server, and custom jobs are answered with jd-not-supported", () => {
    const harness = running();
    harness.connect(1, REQUIRES_WORK_SELECTION);
    const view = harness.open(1);
    const common = { channelId: view.channelId, sequenceNumber: 1, jobId: 1, nonce: 0, ntime: START / 1000 };
    const extranonce = new Uint8Array(16);
    const share = { name: "SubmitSharesExtended", ...common, version: 0x20000000, extranonce } as const;
    expect(shareErrors(harness.send(1, share))).toEqual(["invalid-job-id"]);
    const custom = harness.send(1, {
      name: "SetCustomMiningJob",
      channelId: view.channelId,
      requestId: 77,
      miningJobToken: new Uint8Array(1),
      version: 0x20000000,
      prevHash: u256(bytes32(1)),
      minNtime: 0,
      nbits: HARD_BITS,
      coinbaseTxVersion: 2,
      coinbasePrefix: new Uint8Array(250),
      coinbaseTxInputNSequence: 0,
      coinbaseTxOutputs: new Uint8Array(0),
      coinbaseTxLocktime: 0,
      merklePath: [],
    });
    expect(messages(custom)).toMatchObject([
      { name: "SetCustomMiningJobError", channelId: view.channelId, requestId: 77, errorCode: "jd-not-supported" },
    ]);
  });
});

describe("the coinbase", () => {
  test("of a template whose real prefix makes the script too long is refused, and the job before goes on", () => {
    // 8 + 1 + 70 + 1 + 20 bytes are exactly the 100 that consensus allows.
    const fits = new Harness({ coinbaseTag: "x".repeat(70) });
    fits.connect(1);
    fits.newTip(1);
    const view = fits.open(1);
    expect(messages(fits.newWork(2, { coinbasePrefix: new Uint8Array(8).fill(1) }))).toHaveLength(1);
    const job = view.jobs.get(2)!.message;
    if (job.name !== "NewExtendedMiningJob") throw new Error("an extended job was expected");
    expect(scriptSigSize(restoreWitness(coinbaseOf(job, view.prefix, new Uint8Array(16))))).toBe(100);

    const tooLong = new Harness({ coinbaseTag: "x".repeat(71) });
    tooLong.connect(1);
    tooLong.newTip(1);
    const other = tooLong.open(1);
    const refused = tooLong.newWork(2, { coinbasePrefix: new Uint8Array(8).fill(1) });
    expect(refused).toMatchObject([{ type: "log", level: "warn", event: "template-refused" }]);
    expect(other.active).toBe(1);
    expect(shareErrors(tooLong.send(1, other.mine().message))).toEqual([]);
  });

  test.each([9, 75, 76, 250, 255])("of a template with a prefix of %i bytes is refused", (size) => {
    const harness = running();
    const effects = harness.newWork(2, { coinbasePrefix: new Uint8Array(size).fill(1) });
    expect(effects).toMatchObject([{ type: "log", event: "template-refused" }]);
  });

  test.each([
    ["a merkle path that no block has", { merklePath: Array(33).fill(u256(bytes32(1))) }],
    ["a version that no block has had for years", { version: 3 }],
    ["a negative version", { version: 0x80000000 }],
    ["more money than there is", { coinbaseTxValueRemaining: 2_100_000_000_000_001n }],
  ])("of a template with %s is refused, and the job before goes on", (_what, changes) => {
    const harness = running();
    harness.connect(1);
    const view = harness.open(1);
    expect(harness.newWork(2, changes)).toMatchObject([{ type: "log", level: "warn", event: "template-refused" }]);
    expect(view.active).toBe(1);
  });

  test("never has an extranonce that a single push opcode cannot hold", () => {
    for (const totalSize of [33, 75, 76, 255]) {
      const extranonce = { totalSize, prefix: Uint8Array.of(1), indexSize: 3, start: 0 };
      expect(() => new Harness({ extranonce })).toThrow();
    }
    expect(() => new Harness({ coinbaseTag: "x".repeat(76) })).toThrow();
  });

  test("that does not pay out exactly what the template leaves is refused", () => {
    for (const value of [4_999_999_999n, 5_000_000_001n]) {
      const harness = new Harness({ rewardOutputs: () => [{ value, script: Uint8Array.of(0x51) }] });
      expect(harness.newTip(1)).toMatchObject([{ event: "template-refused" }, { event: "prev-hash-without-job" }]);
    }
  });
});

test("losing the template source leaves the jobs in place", () => {
  const harness = running();
  harness.connect(1);
  const view = harness.open(1);
  expect(harness.input({ type: "template-source-lost" })).toMatchObject([{ type: "log" }]);
  expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
});

test("the decoded fields of a template may be reused by the caller", () => {
  const harness = new Harness();
  harness.connect(1);
  const source = template(1);
  const tip = prevHash(1);
  harness.input({ type: "template", template: source });
  harness.input({ type: "prev-hash", prevHash: tip });
  for (const bytes of [source.coinbasePrefix, ...source.merklePath, tip.prevHash, tip.target]) bytes.fill(0xee);
  const view = harness.open(1);
  expect(view.jobs.get(1)?.tip?.prevHash).toEqual(bytes32(0xa0));
  expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
});
