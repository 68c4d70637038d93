import { displayHash, hex, targetFromBits } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NodeError } from "./errors.ts";
import { readTemplate } from "./read-template.ts";
import { bytesOf, displayed, rawTemplate, rawTransaction } from "./testing/raw-template.ts";
import { TransactionStore } from "./transaction-store.ts";

const site = { node: "127.0.0.1:18443", method: "getblocktemplate" };
const read = (result: unknown, store = new TransactionStore()): ReturnType<typeof readTemplate> =>
  readTemplate(result, store, site);

function faultOf(result: unknown): string {
  try {
    read(result);
  } catch (error) {
    if (error instanceof NodeError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "none";
}

test("reads a template of Bitcoin Core", () => {
  const template = read(rawTemplate({ transactions: [rawTransaction(1), rawTransaction(2, { depends: [1] })] }));
  expect(displayHash(template.prevHash)).toBe(displayed(1));
  expect(template).toMatchObject({
    version: 0x2000_0000,
    height: 102,
    bits: 0x207f_ffff,
    target: targetFromBits(0x207f_ffff),
    minTime: 1_700_000_000,
    curTime: 1_700_000_600,
    coinbaseValue: 5_000_000_000n,
    weightLimit: 4_000_000,
    sigopsLimit: 80_000,
    longPollId: `${displayed(1)}7`,
  });
  expect(template.witnessCommitment).toHaveLength(38);
  expect(template.transactions[1]).toMatchObject({
    bytes: bytesOf(2),
    fee: 1_002n,
    weight: 400,
    sigopsCost: 1,
    depends: [0],
  });
});

describe("a template of another node", () => {
  test("before segwit is in force is counted by BIP141 and has no commitment", () => {
    const template = read(
      rawTemplate({
        rules: ["csv"],
        weightlimit: undefined,
        sizelimit: 1_000_000,
        sigoplimit: 20_000,
        transactions: [rawTransaction(1, { sigops: 3 })],
      }),
    );
    expect(template).toMatchObject({ weightLimit: 4_000_000, sigopsLimit: 80_000, witnessCommitment: undefined });
    expect(template.transactions[0]?.sigopsCost).toBe(12);
  });

  test("with the hash of a commitment alone, as btcd's, has its whole script", () => {
    const given = "ab".repeat(32);
    const { witnessCommitment } = read(rawTemplate({ rules: undefined, default_witness_commitment: given }));
    expect(witnessCommitment && hex(witnessCommitment)).toBe(`6a24aa21a9ed${given}`);
  });

  test("without rules, as btcd's, keeps the commitment it has", () => {
    expect(read(rawTemplate({ rules: undefined })).witnessCommitment).toHaveLength(38);
    expect(read(rawTemplate({ rules: undefined, default_witness_commitment: undefined })).witnessCommitment).toBe(
      undefined,
    );
  });

  test("without long polling has no id for it", () => {
    expect(read(rawTemplate({ longpollid: undefined })).longPollId).toBeUndefined();
  });

  test("with a signed version has it unsigned", () => {
    expect(read(rawTemplate({ version: -0x2000_0000 })).version).toBe(0xe000_0000);
  });
});

test.each([
  ["previousblockhash", "xyz"],
  ["height", 1.5],
  ["bits", "0x207fffff"],
  ["bits", "00000000"],
  ["bits", "ff7fffff"],
  ["mintime", -1],
  ["coinbasevalue", 2 ** 60],
  ["coinbasevalue", undefined],
  ["transactions", {}],
  ["default_witness_commitment", "6a2"],
  ["sigoplimit", undefined],
])("a %s of %j is refused, and named where it can be", (field, value) => {
  expect(faultOf(rawTemplate({ [field]: value }))).toMatch(
    /^bad-response: 127\.0\.0\.1:18443 getblocktemplate: the answer/,
  );
});

test.each([
  ["data", "0"],
  ["data", "zz"],
  ["txid", "12"],
  ["fee", -1],
  ["fee", 0.5],
  ["weight", 0],
  ["sigops", -1],
  ["depends", [0]],
  ["depends", [2]],
  ["depends", [3]],
])("a transaction with %s %j is refused", (field, value) => {
  const transactions = [rawTransaction(1), { ...rawTransaction(2), [field]: value }];
  expect(faultOf(rawTemplate({ transactions }))).toMatch(/^bad-response: /);
});

test("names the transaction and the field at fault", () => {
  const transactions = [rawTransaction(1), { ...rawTransaction(2), fee: "free" }];
  expect(faultOf(rawTemplate({ transactions }))).toContain("transactions.1.fee: ");
});

test("whatever the result is, it is a template or a bad response", () => {
  const fields = Object.keys(rawTemplate());
  fc.assert(
    fc.property(fc.constantFrom(...fields), fc.jsonValue(), (field, value) => {
      expect(faultOf(rawTemplate({ [field]: value }))).toMatch(/^(none$|bad-response: )/);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(faultOf(value)).toMatch(/^bad-response: /);
    }),
  );
});

test("keeps fees, order and dependencies of any list", () => {
  const list = fc.array(fc.record({ fee: fc.nat(), depends: fc.array(fc.nat(), { maxLength: 3 }) }), { maxLength: 30 });
  fc.assert(
    fc.property(list, (wanted) => {
      const dependsOf = (at: number): readonly number[] =>
        at === 0 ? [] : [...new Set((wanted[at]?.depends ?? []).map((value) => value % at))];
      const transactions = wanted.map(({ fee }, at) =>
        rawTransaction(at, { fee, depends: dependsOf(at).map((position) => position + 1) }),
      );
      const got = read(rawTemplate({ transactions })).transactions;
      expect(got.map(({ fee }) => fee)).toEqual(wanted.map(({ fee }) => BigInt(fee)));
      expect(got.map(({ depends }) => depends)).toEqual(wanted.map((_, at) => dependsOf(at)));
      expect(got.map(({ wtxid }) => displayHash(wtxid))).toEqual(transactions.map(({ hash }) => hash));
    }),
    { numRuns: 30 },
  );
});

describe("transactions of earlier templates", () => {
  const templateOf = (...seeds: readonly number[]): unknown =>
    rawTemplate({ transactions: seeds.map((seed) => rawTransaction(seed)) });

  test("are the same bytes in the next two templates, and decoded anew after that", () => {
    const store = new TransactionStore();
    const [first] = read(templateOf(1, 2), store).transactions;
    expect(read(templateOf(1), store).transactions[0]?.bytes).toBe(first?.bytes);
    expect(read(templateOf(3), store).transactions[0]?.bytes).not.toBe(first?.bytes);
    expect(read(templateOf(1), store).transactions[0]?.bytes).toBe(first?.bytes);
    read(templateOf(3), store);
    read(templateOf(3), store);
    expect(read(templateOf(1), store).transactions[0]?.bytes).not.toBe(first?.bytes);
  });

  test("take fee and dependencies from the new template", () => {
    const store = new TransactionStore();
    read(templateOf(1, 2), store);
    const transactions = [rawTransaction(1), rawTransaction(2, { fee: 7, depends: [1] })];
    expect(read(rawTemplate({ transactions }), store).transactions[1]).toMatchObject({ fee: 7n, depends: [0] });
  });
});
