import {
  bip34Prefix,
  compactSize,
  decodeTransaction,
  encodeOutputs,
  hash,
  hex,
  meetsTarget,
  pureHashing,
  type TxOutput,
  targetFromBytes,
  targetToBytes,
} from "@adit/bitcoin";
import {
  type MiningMessage,
  REQUIRES_WORK_SELECTION,
  type SetCustomMiningJob,
  type SubmitSharesExtended,
  u256,
} from "@adit/codec";
import { beforeEach, describe, expect, test } from "vitest";
import type { CustomJobErrorCode, CustomJobRequest, TokenVerdict } from "./custom-job.ts";
import { defaultChannelLimits } from "./limits.ts";
import {
  bytes32,
  type ClientView,
  EASY_BITS,
  effectsOf,
  HARD_BITS,
  Harness,
  messages,
  messagesNamed,
  prevHash,
  START,
  shareErrors,
  template,
} from "./testing/harness.ts";

const PAYOUT = Uint8Array.of(0x51);
const OTHER = Uint8Array.of(0x52);
const EXTRANONCE = 20;
const MINER = 1;

function outputs(...list: readonly TxOutput[]): Uint8Array {
  return Uint8Array.from([...compactSize(list.length), ...encodeOutputs(list)]);
}

const PAID = outputs({ value: 5_000_000_000n, script: PAYOUT });

function customJob(changes: Partial<SetCustomMiningJob> = {}): SetCustomMiningJob {
  return {
    name: "SetCustomMiningJob",
    channelId: 2,
    requestId: 7,
    miningJobToken: Uint8Array.of(1, 2, 3),
    version: 0x20000000,
    prevHash: u256(bytes32(0xa0)),
    minNtime: START / 1000,
    nbits: HARD_BITS,
    coinbaseTxVersion: 2,
    coinbasePrefix: Uint8Array.from([...bip34Prefix(800_000), EXTRANONCE]),
    coinbaseTxInputNSequence: 0xfffffffe,
    coinbaseTxOutputs: PAID,
    coinbaseTxLocktime: 799_999,
    merklePath: [u256(bytes32(0x33))],
    ...changes,
  };
}

let asked: CustomJobRequest[];
let verdict: TokenVerdict;
let harness: Harness;
let view: ClientView;

function running(changes: ConstructorParameters<typeof Harness>[0] = {}): Harness {
  const made = new Harness({
    customJobs: {
      payoutScript: PAYOUT,
      minPayoutPercent: 100,
      judge: (request) => {
        asked.push(request);
        return verdict;
      },
    },
    ...changes,
  });
  made.newTip(1);
  made.connect(MINER, REQUIRES_WORK_SELECTION);
  return made;
}

beforeEach(() => {
  asked = [];
  verdict = { kind: "accepted", declarationId: Uint8Array.of(9) };
  harness = running();
  view = harness.open(MINER);
});

/** The answer to one request: its error code, or the job's id. */
function answer(sent: readonly MiningMessage[]): CustomJobErrorCode | number | undefined {
  for (const message of sent) {
    if (message.name === "SetCustomMiningJobError") return message.errorCode as CustomJobErrorCode;
    if (message.name === "SetCustomMiningJobSuccess") return message.jobId;
  }
  return undefined;
}

function set(changes: Partial<SetCustomMiningJob> = {}): CustomJobErrorCode | number | undefined {
  return answer(messages(harness.send(MINER, customJob(changes))));
}

/** A share of a custom job, put together from the messages alone. */
function mine(
  jobId: number,
  job: SetCustomMiningJob,
  accept: (found: Uint8Array) => boolean = (found) => meetsTarget(hash(found), targetToBytes(view.target)),
): SubmitSharesExtended {
  const extranonce = new Uint8Array(view.extranonceSize).fill(5);
  const scriptSig = [...job.coinbasePrefix, ...view.prefix, ...extranonce];
  const coinbase = Uint8Array.from([
    ...u32(job.coinbaseTxVersion),
    1,
    ...new Uint8Array(32),
    ...u32(0xffffffff),
    scriptSig.length,
    ...scriptSig,
    ...u32(job.coinbaseTxInputNSequence),
    ...job.coinbaseTxOutputs,
    ...u32(job.coinbaseTxLocktime),
  ]);
  const merkleRoot = pureHashing.merkleRoot(coinbase, job.merklePath);
  for (let nonce = 0; ; nonce += 1) {
    const header = Uint8Array.from([
      ...u32(job.version),
      ...job.prevHash,
      ...merkleRoot,
      ...u32(job.minNtime),
      ...u32(job.nbits),
      ...u32(nonce),
    ]);
    if (!accept(pureHashing.headerHash(header))) continue;
    const fields = { channelId: view.channelId, sequenceNumber: nonce, jobId, nonce, ntime: job.minNtime };
    return { name: "SubmitSharesExtended", ...fields, version: job.version, extranonce };
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

describe("a custom job", () => {
  test("is taken, and its shares are credited like any others", () => {
    const job = customJob();
    const jobId = set();
    expect(jobId).toBeTypeOf("number");
    expect(asked).toMatchObject([{ userIdentity: "alice", extranonceSize: EXTRANONCE, message: { requestId: 7 } }]);
    const share = mine(Number(jobId), job);
    expect(shareErrors(harness.send(MINER, share))).toEqual([]);
    expect(harness.recorded).toMatchObject([{ jobId, declaration: { id: Uint8Array.of(9) }, nonce: share.nonce }]);
    expect(hex(harness.recorded[0]?.extranonce ?? new Uint8Array(0))).toBe(hex(view.prefix) + hex(share.extranonce));
    expect(shareErrors(harness.send(MINER, share))).toEqual(["duplicate-share"]);
    expect(harness.server.status()).toMatchObject({ customJobs: 1, customShares: 1 });
  });

  test("has an id of its own, which a job of the server never has", () => {
    const first = set();
    const work = effectsOf(harness.newWork(5), "job-activated");
    const second = set();
    expect(new Set([first, work[0]?.job.id, second, 1]).size).toBe(4);
  });

  test("stays valid until the tip changes, whatever jobs the server makes in between", () => {
    const jobId = Number(set());
    for (let count = 0; count < 100; count += 1) {
      harness.tick();
      harness.newWork(count + 10);
    }
    const share = mine(jobId, customJob());
    expect(shareErrors(harness.send(MINER, share))).toEqual([]);
    const late = mine(jobId, customJob(), (found) => hex(found).startsWith("00"));
    harness.newTip(200, { prevHash: u256(bytes32(0xa1)) });
    expect(shareErrors(harness.send(MINER, late))).toEqual(["stale-share"]);
  });

  test("is judged by the target that held when it was set", () => {
    const jobId = Number(set());
    const before = mine(jobId, customJob());
    const hard = targetFromBytes(bytes32(0x01));
    harness.now += 5000;
    harness.send(MINER, {
      name: "UpdateChannel",
      channelId: view.channelId,
      nominalHashRate: 0,
      maximumTarget: u256(targetToBytes(hard)),
    });
    expect(shareErrors(harness.send(MINER, before))).toEqual([]);
    const next = Number(set({ requestId: 8, minNtime: START / 1000 + 1 }));
    const easy = mine(next, customJob({ minNtime: START / 1000 + 1 }), (found) => found[31] !== 0);
    expect(shareErrors(harness.send(MINER, easy))).toEqual(["difficulty-too-low"]);
  });

  test("is forgotten when too many newer ones were set", () => {
    const first = Number(set());
    for (let count = 0; count <= defaultChannelLimits.pastCustomJobs; count += 1) {
      harness.now += 1000;
      expect(set({ minNtime: START / 1000 + count + 1 })).toBeTypeOf("number");
    }
    expect(shareErrors(harness.send(MINER, mine(first, customJob())))).toEqual(["invalid-job-id"]);
  });

  test("brings a block to whoever has its transactions, before its share is recorded", () => {
    harness.newTip(2, { nBits: EASY_BITS, prevHash: u256(bytes32(0xa1)) });
    const job = customJob({ nbits: EASY_BITS, prevHash: u256(bytes32(0xa1)) });
    const jobId = Number(answer(messages(harness.send(MINER, job))));
    const effects = harness.send(
      MINER,
      mine(jobId, job, (found) => (found[31] ?? 255) < 0x10),
    );
    expect(effects.map(({ type }) => type).slice(0, 2)).toEqual(["custom-block", "record-share"]);
    const [found] = effectsOf(effects, "custom-block");
    expect(found?.block).toMatchObject({
      height: 800_000,
      templateId: undefined,
      declaration: { id: Uint8Array.of(9) },
    });
    const coinbase = decodeTransaction(found?.block.coinbase ?? new Uint8Array(0));
    expect(coinbase.outputs).toEqual([{ value: 5_000_000_000n, script: PAYOUT }]);
    expect(coinbase.inputs[0]?.witness).toEqual([new Uint8Array(32)]);
  });

  test("for the group is given to each of its channels", () => {
    const second = harness.open(MINER);
    const jobId = Number(set({ channelId: 1 }));
    for (const one of [view, second]) {
      view = one;
      expect(shareErrors(harness.send(MINER, mine(jobId, customJob())))).toEqual([]);
    }
    expect(harness.recorded).toHaveLength(2);
    expect(asked).toHaveLength(1);
  });

  test("for a group whose channels are not one user's is refused", () => {
    harness.open(MINER, "extended", { userIdentity: "bob" });
    expect(set({ channelId: 1 })).toBe("invalid-mining-job-token");
    expect(asked).toEqual([]);
  });
});

describe("a custom job is refused as", () => {
  test.each<[CustomJobErrorCode, Partial<SetCustomMiningJob>]>([
    ["invalid-channel-id", { channelId: 99 }],
    ["invalid-nbits", { nbits: HARD_BITS - 1 }],
    ["invalid-version", { version: 3 }],
    ["invalid-version", { version: 0x80000000 }],
    ["invalid-min-ntime", { minNtime: START / 1000 - 7201 }],
    ["invalid-min-ntime", { minNtime: START / 1000 + 7201 }],
    ["invalid-merkle-path", { merklePath: Array.from({ length: 33 }, () => u256(bytes32(1))) }],
    ["invalid-coinbase-prefix", { coinbasePrefix: new Uint8Array(0) }],
    ["invalid-coinbase-prefix", { coinbasePrefix: bip34Prefix(800_001) }],
    ["invalid-coinbase-prefix", { coinbasePrefix: Uint8Array.from([...bip34Prefix(800_000), ...new Uint8Array(77)]) }],
    ["invalid-coinbase-tx-locktime", { coinbaseTxLocktime: 800_000 }],
    ["invalid-coinbase-tx-locktime", { coinbaseTxLocktime: 500_000_000, coinbaseTxInputNSequence: 0xffffffff }],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: new Uint8Array(0) }],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: PAID.subarray(1) }],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: Uint8Array.from([...PAID, 0]) }],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: outputs() }],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: outputs({ value: 5n, script: OTHER }) }],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: outputs({ value: 0n, script: PAYOUT }) }],
    [
      "invalid-coinbase-tx-outputs",
      { coinbaseTxOutputs: outputs({ value: 99n, script: PAYOUT }, { value: 1n, script: OTHER }) },
    ],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: outputs({ value: 2_100_000_000_000_001n, script: PAYOUT }) }],
    [
      "invalid-coinbase-tx-outputs",
      { coinbaseTxOutputs: outputs({ value: 1n, script: PAYOUT }, { value: 0n, script: new Uint8Array(8192) }) },
    ],
  ])("%s with %j", (errorCode, changes) => {
    expect(set(changes)).toBe(errorCode);
    expect(asked).toEqual([]);
    expect(harness.server.status()).toMatchObject({ customJobs: 0 });
    expect(harness.server.status().refusedCustomJobs).toEqual(new Map([[errorCode, 1]]));
  });

  test("what is said of its token", () => {
    verdict = { kind: "refused", errorCode: "job-not-yet-validated" };
    expect(set()).toBe("job-not-yet-validated");
    expect(shareErrors(harness.send(MINER, mine(3, customJob())))).toEqual(["invalid-job-id"]);
  });

  test("jd-not-supported by a server that does without", () => {
    harness = running({ customJobs: null });
    view = harness.open(MINER);
    expect(set()).toBe("jd-not-supported");
  });

  test("jd-not-supported on a connection that did not ask for work selection", () => {
    harness.connect(2);
    harness.open(2);
    expect(answer(messages(harness.send(2, customJob())))).toBe("jd-not-supported");
  });

  test("custom-job-rate-exceeded when they come too fast, and the connection is closed when that goes on", () => {
    const codes: unknown[] = [];
    for (let count = 0; count < 25; count += 1) codes.push(set());
    expect(codes.filter((code) => typeof code === "number")).toHaveLength(defaultChannelLimits.customJobBurst);
    expect(codes.at(-1)).toBe("custom-job-rate-exceeded");
    harness.tick();
    expect(set()).toBeTypeOf("number");
    let closed = 0;
    for (let count = 0; count < 4000 && closed === 0; count += 1) {
      closed = effectsOf(harness.send(MINER, customJob()), "close-connection").length;
    }
    expect(closed).toBe(1);
  });
});

describe("a custom job on a block that this server does not know", () => {
  const ahead = { prevHash: u256(bytes32(0xa1)) };
  const next = { ...ahead, coinbasePrefix: bip34Prefix(800_001) };

  test("is taken when that becomes the tip", () => {
    expect(set(next)).toBeUndefined();
    expect(harness.server.status().waitingCustomJobs).toBe(1);
    harness.input({ type: "template", template: template(2, { coinbasePrefix: bip34Prefix(800_001) }) });
    const effects = harness.input({ type: "prev-hash", prevHash: prevHash(2, ahead) });
    expect(messagesNamed(effects, "SetCustomMiningJobSuccess")).toMatchObject([{ channelId: 2, requestId: 7 }]);
    expect(harness.server.status().waitingCustomJobs).toBe(0);
  });

  test("is refused as stale-chain-tip when it does not, in time", () => {
    expect(set(next)).toBeUndefined();
    expect(answer(messages(harness.tick(4)))).toBeUndefined();
    expect(answer(messages(harness.tick(1)))).toBe("stale-chain-tip");
    expect(answer(messages(harness.tick(60)))).toBeUndefined();
  });

  test("is refused at once when that was the tip before", () => {
    harness.newTip(2, ahead);
    expect(set()).toBe("stale-chain-tip");
  });

  test("gives way to the newer of three", () => {
    set({ ...next, requestId: 1 });
    set({ ...next, requestId: 2 });
    const [refused] = messagesNamed(
      harness.send(MINER, customJob({ ...next, requestId: 3 })),
      "SetCustomMiningJobError",
    );
    expect(refused).toMatchObject({ requestId: 1, errorCode: "stale-chain-tip" });
    expect(harness.server.status().waitingCustomJobs).toBe(2);
  });

  test("is forgotten with its connection, and refused when its channel is closed", () => {
    set(next);
    harness.close(MINER, view);
    const effects = harness.newTip(2, ahead);
    expect(answer(messages(effects))).toBe("invalid-channel-id");
    view = harness.open(MINER);
    set({ channelId: view.channelId, prevHash: u256(bytes32(0xa2)) });
    harness.input({ type: "disconnected", connection: MINER });
    expect(harness.server.status().waitingCustomJobs).toBe(0);
  });

  test("keeps bytes of its own while it waits", () => {
    const message = customJob({ ...next, prevHash: u256(ahead.prevHash.slice()), coinbaseTxOutputs: PAID.slice() });
    harness.send(MINER, message);
    message.coinbaseTxOutputs.fill(0);
    message.prevHash.fill(0);
    harness.input({ type: "template", template: template(2, { coinbasePrefix: bip34Prefix(800_001) }) });
    const effects = harness.input({ type: "prev-hash", prevHash: prevHash(2, ahead) });
    expect(messagesNamed(effects, "SetCustomMiningJobSuccess")).toHaveLength(1);
  });
});

test("work on a job that pays a part elsewhere counts for the rest, where that is allowed", () => {
  harness = running({ customJobs: { payoutScript: PAYOUT, minPayoutPercent: 75, judge: () => verdict } });
  view = harness.open(MINER);
  const three = outputs({ value: 25n, script: OTHER }, { value: 75n, script: PAYOUT });
  const jobs = [customJob(), customJob({ coinbaseTxOutputs: three })];
  for (const job of jobs) {
    const jobId = Number(answer(messages(harness.send(MINER, job))));
    expect(shareErrors(harness.send(MINER, mine(jobId, job)))).toEqual([]);
  }
  const [whole, part] = harness.recorded.map(({ work }) => work);
  expect(part).toBe(((whole ?? 0n) * 75n) / 100n);
  const less = outputs({ value: 26n, script: OTHER }, { value: 74n, script: PAYOUT });
  expect(set({ coinbaseTxOutputs: less })).toBe("invalid-coinbase-tx-outputs");
});

test("a connection for custom jobs has few channels, no jobs of the server, and no shares on them", () => {
  const { workSelectionChannels } = defaultChannelLimits;
  for (let count = 1; count < workSelectionChannels; count += 1) harness.open(MINER);
  const refused = harness.requestOpen(MINER);
  expect(messagesNamed(refused, "OpenMiningChannelError")).toMatchObject([{ errorCode: "channel-capacity-exhausted" }]);
  const sent = [...messages(harness.newWork(3)), ...messages(harness.newTip(4, { prevHash: u256(bytes32(0xa1)) }))];
  expect(sent).toEqual([]);
  expect(harness.server.activeJobId).toBeTypeOf("number");
  const stolen = mine(harness.server.activeJobId ?? 0, customJob());
  expect(shareErrors(harness.send(MINER, stolen))).toEqual(["invalid-job-id"]);
});
