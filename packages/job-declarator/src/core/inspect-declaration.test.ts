import { hash, witnessCommitmentOutput } from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { declaration, type SampleDeclaration } from "../testing/declaring.ts";
import { concat, hashOf, PAYOUT_SCRIPT, REWARD, transaction } from "../testing/sample-template.ts";
import { inspectDeclaration } from "./inspect-declaration.ts";

const other = { value: 1n, script: Uint8Array.of(0x51) };
const payout = { value: REWARD, script: PAYOUT_SCRIPT };
const transactions = [transaction(1), transaction(2)];

function verdict(sample: Partial<SampleDeclaration>): string {
  const inspected = inspectDeclaration(declaration(sample), PAYOUT_SCRIPT);
  return "errorCode" in inspected ? `${inspected.errorCode}: ${inspected.detail}` : "sound";
}

/** The message of a good declaration with its coinbase changed byte by byte. */
function edited(edit: (parts: { prefix: Uint8Array; suffix: Uint8Array }) => void): string {
  const good = declaration({ transactions });
  const parts = { prefix: good.coinbaseTxPrefix.slice(), suffix: good.coinbaseTxSuffix.slice() };
  edit(parts);
  return verdict({
    transactions,
    message: { coinbaseTxPrefix: parts.prefix, coinbaseTxSuffix: parts.suffix },
  });
}

describe("a coinbase is sound", () => {
  test.each<[string, Partial<SampleDeclaration>]>([
    ["with transactions", { transactions }],
    ["without", {}],
    ["with the pool's output not the first", { coinbase: { outputs: [other, payout] } }],
    ["with further outputs that take some of the reward", { coinbase: { outputs: [payout, other, payout] } }],
    [
      "with another reserved value than zeros",
      { transactions, coinbase: { reservedValue: new Uint8Array(32).fill(1) } },
    ],
    ["with an extranonce of 1 byte", { coinbase: { extranonceSize: 1 } }],
    ["with an extranonce of 32 bytes", { coinbase: { extranonceSize: 32 } }],
    ["with a scriptSig of 100 bytes", { coinbase: { tag: new Uint8Array(98 - 20), extranonceSize: 20 } }],
    [
      "without BIP141 fields and without transactions",
      { coinbase: { reservedValue: undefined, commitment: undefined } },
    ],
  ])("%s", (_, sample) => {
    expect(verdict(sample)).toBe("sound");
  });
});

describe("a coinbase is refused as invalid-coinbase-tx", () => {
  test.each<[string, Partial<SampleDeclaration>]>([
    ["payout output is missing", { coinbase: { outputs: [other] } }],
    [
      "payout output is missing",
      { coinbase: { outputs: [{ ...payout, script: Uint8Array.of(...PAYOUT_SCRIPT, 0) }] } },
    ],
    ["payout output pays nothing", { coinbase: { outputs: [other, { ...payout, value: 0n }] } }],
    ["more than 21 million", { coinbase: { outputs: [{ ...payout, value: 2_100_000_000_000_001n }] } }],
    ["more than 21 million", { coinbase: { outputs: [payout, { ...other, value: 2_100_000_000_000_000n }] } }],
    ["witness commitment is missing", { transactions, coinbase: { commitment: undefined } }],
    ["witness commitment is missing", { coinbase: { commitment: undefined } }],
    ["must not be stripped", { transactions, coinbase: { reservedValue: undefined } }],
    ["must not be stripped", { coinbase: { reservedValue: undefined } }],
    ["witness commitment is missing", { transactions, coinbase: { reservedValue: undefined, commitment: undefined } }],
    [
      "one item of 32 bytes",
      { coinbase: { reservedValue: new Uint8Array(31), commitment: witnessCommitmentOutput([]) } },
    ],
    ["is not that of wtxid_list", { transactions, coinbase: { wtxids: [], commitment: witnessCommitmentOutput([]) } }],
    [
      "is not that of wtxid_list",
      { transactions, coinbase: { commitment: witnessCommitmentOutput(transactions.map(({ wtxid }) => wtxid)) } },
    ],
  ])("whose %s", (detail, sample) => {
    expect(verdict(sample)).toMatch(/^invalid-coinbase-tx: /);
    expect(verdict(sample)).toContain(detail);
  });

  test.each([
    ["prefix ends before its scriptSig", (parts: { prefix: Uint8Array }) => (parts.prefix = parts.prefix.slice(0, 42))],
    ["suffix is cut", (parts: { suffix: Uint8Array }) => (parts.suffix = parts.suffix.slice(0, -1))],
    ["suffix goes on", (parts: { suffix: Uint8Array }) => (parts.suffix = concat(parts.suffix, Uint8Array.of(0)))],
    ["suffix is empty", (parts: { suffix: Uint8Array }) => (parts.suffix = new Uint8Array())],
    [
      "number of witness items is not in its shortest form",
      (parts: { suffix: Uint8Array }) =>
        (parts.suffix = concat(parts.suffix.slice(0, -38), Uint8Array.of(0xfd, 1, 0), parts.suffix.slice(-37))),
    ],
    [
      "number of outputs is not in its shortest form",
      (parts: { suffix: Uint8Array }) =>
        (parts.suffix = concat(parts.suffix.slice(0, 4), Uint8Array.of(0xfd, 2, 0), parts.suffix.slice(5))),
    ],
    ["flag is 2", (parts: { prefix: Uint8Array }) => (parts.prefix[5] = 2)],
  ])("whose %s, or as its input", (_, edit) => {
    expect(edited(edit)).toMatch(/^invalid-coinbase-tx(-input)?: /);
  });
});

describe("a coinbase is refused as invalid-coinbase-tx-input", () => {
  test.each([
    { name: "1 byte of scriptSig", at: 43, value: 1, detail: "a scriptSig has 2 to 100 bytes" },
    {
      name: "101 bytes of scriptSig",
      at: 43,
      value: 101,
      detail: "a scriptSig has 2 to 100 bytes, extranonce included, not 101",
    },
    {
      name: "a scriptSig whose length needs three bytes",
      at: 43,
      value: 0xfd,
      detail: "a scriptSig has 2 to 100 bytes",
    },
    { name: "no byte left for the extranonce", at: 43, value: 8, detail: "leaves 0 bytes" },
    { name: "33 bytes left for it", at: 43, value: 8 + 33, detail: "leaves 33 bytes" },
    { name: "two inputs", at: 6, value: 2, detail: "exactly one input" },
    { name: "no input", at: 6, value: 0, detail: "exactly one input" },
    { name: "a previous output", at: 7, value: 1, detail: "spend nothing" },
    { name: "an index of 0", at: 39, value: 0, detail: "spend nothing" },
    { name: "no height", at: 44, value: 0x4c, detail: "does not start with the block's height" },
    {
      name: "a height in more bytes than it needs",
      at: 45,
      value: 0,
      detail: "does not start with the block's height",
    },
  ])("with $name", ({ at, value, detail }) => {
    const result = edited((parts) => {
      parts.prefix[at] = value;
    });
    expect(result).toMatch(/^invalid-coinbase-tx-input: /);
    expect(result).toContain(detail);
  });
});

describe("a list of transactions is refused as invalid-job", () => {
  const list = (length: number) => Array.from({ length }, (_, at) => u256(hashOf(at)));

  test("with one more than fits in a block, before its coinbase is read", () => {
    const message = { wtxidList: list(16_667), coinbaseTxPrefix: new Uint8Array() };
    expect(verdict({ message })).toBe("invalid-job: 16667 transactions fit in no block, 16,666 are the most");
    expect(verdict({ message: { ...message, wtxidList: list(16_666) } })).toContain("invalid-coinbase-tx");
  });

  test("with the largest list that the message can hold", () => {
    expect(verdict({ message: { wtxidList: list(65_535) } })).toContain("fit in no block");
  });

  test("with a transaction twice", () => {
    const [first] = transactions;
    expect(verdict({ transactions: [...transactions, first!] })).toBe(
      "invalid-job: a transaction is in wtxid_list twice",
    );
  });

  test("and the most that fit are sound", () => {
    const wtxids = list(16_666).map((wtxid) => hash(wtxid));
    expect(verdict({ coinbase: { wtxids }, message: { wtxidList: list(16_666) } })).toBe("sound");
  });
});

test("what is kept of a declaration is no view into its frame", () => {
  const message = declaration({ transactions });
  const inspected = inspectDeclaration(message, PAYOUT_SCRIPT);
  if ("errorCode" in inspected) throw new Error(inspected.detail);
  const before = structuredClone(inspected);
  for (const bytes of [message.coinbaseTxPrefix, message.coinbaseTxSuffix, ...message.wtxidList]) bytes.fill(0xee);
  expect(inspected).toEqual(before);
});
