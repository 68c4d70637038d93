import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assembleCoinbase,
  type BlockContext,
  type BlockFault,
  bip34Prefix,
  buildCoinbase,
  checkBlock,
  decodeBlock,
  decodeTransaction,
  encodeBlock,
  encodeHeader,
  encodeOutputs,
  encodeTransaction,
  fromHex,
  type HeaderFields,
  hash,
  meetsTarget,
  merkleRootOf,
  restoreWitness,
  sha256d,
  subsidy,
  type Transaction,
  type TxInput,
  target,
  targetFromBits,
  targetToBytes,
  txid,
  witnessCommitmentOutput,
  wtxid,
} from "./index.ts";

const { blocks } = JSON.parse(readFileSync(new URL("vectors/blocks.json", import.meta.url), "utf8")) as {
  readonly blocks: readonly { readonly name: string; readonly height: number | null; readonly hex: string }[];
};

const NBITS = 0x207fffff;
const context: BlockContext = {
  height: 500,
  prevHash: new Uint8Array(32).fill(7),
  target: targetFromBits(NBITS),
  nbits: NBITS,
  medianTimePast: 1_700_000_000,
  now: 1_700_000_600,
  subsidyPlusFees: 50n,
};

const spend: Transaction = {
  version: 2,
  inputs: [
    {
      prevHash: hash(new Uint8Array(32).fill(9)),
      index: 0,
      script: new Uint8Array(0),
      sequence: 0xfffffffd,
      witness: [Uint8Array.of(1)],
    },
  ],
  outputs: [{ value: 10n, script: Uint8Array.of(0x51) }],
  locktime: 0,
  segwit: true,
};
const plain: Transaction = { ...spend, segwit: false, inputs: spend.inputs.map((only) => ({ ...only, witness: [] })) };

interface Recipe {
  readonly others?: readonly Transaction[];
  readonly coinbase?: (tx: Transaction) => Transaction;
  readonly header?: Partial<HeaderFields>;
  readonly missProof?: boolean;
  readonly leaveOutCoinbase?: boolean;
}

/** A block that fits the context but for what the recipe spoils, with proof of work (or, if asked, just not). */
function mine({
  others = [spend],
  coinbase = (tx) => tx,
  header = {},
  missProof = false,
  leaveOutCoinbase = false,
}: Recipe): Uint8Array {
  const first = coinbase(decodeCoinbase(others));
  const transactions = leaveOutCoinbase ? others : [first, ...others];
  const fields = {
    version: 0x20000000,
    prevHash: context.prevHash,
    merkleRoot: transactions.length === 0 ? new Uint8Array(32) : merkleRootOf(transactions.map(txid)),
    ntime: context.now,
    nbits: NBITS,
    ...header,
  };
  const meets = (bytes: Uint8Array): boolean => meetsTarget(sha256d(bytes), targetToBytes(context.target));
  let nonce = 0;
  while (meets(encodeHeader({ ...fields, nonce })) === missProof) nonce++;
  return encodeBlock(
    encodeHeader({ ...fields, nonce }),
    transactions.map((tx) => encodeTransaction(tx)),
  );
}

function decodeCoinbase(others: readonly Transaction[]): Transaction {
  const parts = buildCoinbase({
    txVersion: 2,
    scriptSigPrefix: bip34Prefix(context.height),
    tag: "test",
    extranonceSize: 8,
    inputSequence: 0xfffffffe,
    outputs: [{ value: 50n, script: Uint8Array.of(0x51) }],
    templateOutputs: encodeOutputs([witnessCommitmentOutput(others.map(wtxid))]),
    templateOutputsCount: 1,
    locktime: context.height - 1,
  });
  const full = restoreWitness(assembleCoinbase(parts, new Uint8Array(8)));
  return decodeTransaction(full);
}

const input = (tx: Transaction, change: Partial<TxInput>): Transaction => ({
  ...tx,
  inputs: tx.inputs.map((only) => ({ ...only, ...change })),
});
const script = (bytes: readonly number[]) => (tx: Transaction) => input(tx, { script: Uint8Array.from(bytes) });
const witness =
  (...items: readonly Uint8Array[]) =>
  (tx: Transaction): Transaction => ({ ...input(tx, { witness: items }), segwit: items.length > 0 });
const height = bip34Prefix(context.height);
const bulky = (size: number): Transaction => ({
  ...plain,
  outputs: [{ value: 0n, script: new Uint8Array(size).fill(0x6a) }],
});
const checksigs = (count: number): Transaction => ({
  ...plain,
  outputs: [{ value: 0n, script: new Uint8Array(count).fill(0xac) }],
});
// Sizes that fill a block to exactly 4,000,000 weight units beside its coinbase: found from the weight of an empty one.
const weightOf = (block: Uint8Array): number =>
  decodeBlock(block).transactions.reduce((sum, tx) => sum + encodeTransaction(tx, false).length, 81) * 3 + block.length;
const fill = 900_000 + Math.floor((4_000_000 - weightOf(mine({ others: [bulky(900_000)] }))) / 4);

describe("a block in order", () => {
  test.each([
    ["with a witness transaction", {}],
    ["with its coinbase alone", { others: [] }],
    [
      "without commitment or witnesses",
      { others: [plain], coinbase: (tx) => ({ ...witness()(tx), outputs: tx.outputs.slice(0, 1) }) },
    ],
    ["of the latest time allowed", { header: { ntime: context.now + 7200 } }],
    ["of the earliest time allowed", { header: { ntime: context.medianTimePast + 1 } }],
    ["with rolled version bits", { header: { version: 0x3fffe000 } }],
    ["with a scriptSig of 100 bytes", { coinbase: script([...height, ...new Uint8Array(100 - height.length)]) }],
    ["that is full", { others: [bulky(fill)] }],
    ["with the most signature operations allowed", { others: [checksigs(20_000)] }],
    ["with a lock time that has passed by height", { others: [{ ...spend, locktime: 499 }] }],
    ["with a lock time that has passed by time", { others: [{ ...spend, locktime: context.medianTimePast - 1 }] }],
    [
      "with a lock time that nothing makes count",
      { others: [input({ ...spend, locktime: 4e9 }, { sequence: 0xffffffff })] },
    ],
  ] satisfies readonly (readonly [string, Recipe])[])("%s has no fault", (_, recipe) => {
    expect(checkBlock(mine(recipe), context)).toEqual([]);
  });

  test.each(blocks.filter(({ name }) => name.startsWith("mainnet")))(
    "$name, a real one, has no fault but its age",
    ({ height, hex: text }) => {
      const bytes = fromHex(text);
      const { header, transactions } = decodeBlock(bytes);
      const paid = transactions[0]?.outputs.reduce((sum, output) => sum + output.value, 0n) ?? 0n;
      const faults = checkBlock(bytes, {
        height: height ?? 0,
        prevHash: header.prevHash,
        target: targetFromBits(header.nbits),
        nbits: header.nbits,
        medianTimePast: header.ntime - 1,
        now: header.ntime,
        subsidyPlusFees: paid,
      });
      expect(faults).toEqual((height ?? 0) > 227_931 ? [] : ["bad-version", "bad-cb-height"]);
      expect(paid).toBeGreaterThanOrEqual(subsidy(height ?? 0, "mainnet"));
    },
  );
});

const spoiled: Readonly<Record<Exclude<BlockFault, "bad-block-encoding">, readonly Recipe[]>> = {
  "high-hash": [{ missProof: true }],
  "bad-prevblk": [{ header: { prevHash: new Uint8Array(32).fill(8) } }],
  "bad-diffbits": [{ header: { nbits: 0x207ffffe } }],
  "time-too-old": [{ header: { ntime: context.medianTimePast } }],
  "time-too-new": [{ header: { ntime: context.now + 7201 } }],
  "bad-version": [{ header: { version: 3 } }, { header: { version: 0x80000000 } }],
  "bad-txnmrklroot": [{ header: { merkleRoot: new Uint8Array(32) } }],
  "bad-txns-duplicate": [{ others: [plain, plain, plain].map((tx, n) => ({ ...tx, version: n === 0 ? 1 : 2 })) }],
  "bad-cb-missing": [
    { leaveOutCoinbase: true, others: [plain] },
    { leaveOutCoinbase: true, others: [] },
  ],
  "bad-cb-multiple": [
    { others: [input(plain, { prevHash: hash(new Uint8Array(32)), index: 0xffffffff, script: Uint8Array.of(1, 2) })] },
  ],
  "bad-cb-length": [
    { coinbase: script([...height, ...new Uint8Array(101 - height.length)]) },
    { coinbase: script([...height, ...new Uint8Array(300)]) },
  ],
  "bad-cb-height": [
    { coinbase: script([...bip34Prefix(501), 0]) },
    { coinbase: script([0x4c, ...height]) },
    { coinbase: script(Array.from(height.subarray(0, 2))) },
  ],
  "bad-cb-amount": [
    { coinbase: (tx) => ({ ...tx, outputs: [{ value: 1n, script: Uint8Array.of(0x51) }, ...tx.outputs] }) },
  ],
  "bad-txns-vout-empty": [
    { others: [{ ...plain, outputs: [] }] },
    { others: [], coinbase: (tx) => ({ ...witness()(tx), outputs: [] }) },
  ],
  "bad-txns-nonfinal": [
    { coinbase: (tx) => ({ ...tx, locktime: 500 }) },
    { others: [{ ...spend, locktime: context.medianTimePast }] },
  ],
  "bad-witness-nonce-size": [
    { coinbase: witness() },
    { coinbase: witness(new Uint8Array(31)) },
    { coinbase: witness(new Uint8Array(32), new Uint8Array(0)) },
  ],
  "bad-witness-merkle-match": [
    { coinbase: witness(new Uint8Array(32).fill(1)) },
    { coinbase: (tx) => ({ ...tx, outputs: [...tx.outputs, witnessCommitmentOutput([])] }) },
  ],
  "unexpected-witness": [
    { coinbase: (tx) => ({ ...witness()(tx), outputs: tx.outputs.slice(0, 1) }) },
    { others: [plain], coinbase: (tx) => ({ ...tx, outputs: tx.outputs.slice(0, 1) }) },
  ],
  "bad-blk-weight": [{ others: [bulky(fill + 1)] }],
  "bad-blk-sigops": [
    { others: [checksigs(20_001)] },
    { others: [{ ...plain, outputs: [{ value: 0n, script: new Uint8Array(1001).fill(0xae) }] }] },
  ],
};

describe("a block with one fault", () => {
  test.each(
    Object.entries(spoiled).flatMap(([fault, recipes]) => recipes.map((recipe, n) => [fault, n, recipe] as const)),
  )("%s (%i) is told exactly that", (fault, _, recipe) => {
    expect(checkBlock(mine(recipe), context)).toEqual([fault]);
  });

  test("a coinbase script of one byte is too short, as Bitcoin Core says of the first sixteen heights", () => {
    const block = mine({ coinbase: script([0x55]) });
    expect(checkBlock(block, { ...context, height: 5 })).toEqual(["bad-cb-length", "bad-txns-nonfinal"]);
  });

  test("the hash must meet the node's target and the header's own", () => {
    const block = mine({});
    expect(checkBlock(block, { ...context, target: target(1n) })).toEqual(["high-hash"]);
    expect(checkBlock(block, { ...context, target: target(1n), nbits: 0x1d00ffff })).toEqual([
      "high-hash",
      "bad-diffbits",
    ]);
    expect(checkBlock(mine({ header: { nbits: 0x1d00ffff } }), context)).toEqual(["high-hash", "bad-diffbits"]);
    expect(checkBlock(mine({ header: { nbits: 0 } }), context)).toEqual(["high-hash", "bad-diffbits"]);
  });
});

test("a block of more bytes than weight is allowed is not even read", () => {
  expect(checkBlock(new Uint8Array(4_000_001), context)).toEqual(["bad-blk-weight"]);
});

describe("a block with many faults", () => {
  test("is told all of them", () => {
    const block = mine({ header: { ntime: 1, version: 1 }, coinbase: witness() });
    expect(checkBlock(block, context)).toEqual(["time-too-old", "bad-version", "bad-witness-nonce-size"]);
  });
});

describe("bytes that are no block", () => {
  test("are a fault, not an exception", () => {
    const block = mine({});
    expect(checkBlock(block.subarray(0, -1), context)).toEqual(["bad-block-encoding"]);
    expect(checkBlock(Uint8Array.of(...block, 0), context)).toEqual(["bad-block-encoding"]);
    fc.assert(
      fc.property(fc.nat(block.length - 1), fc.nat(255), (at, byte) => {
        fc.pre(block[at] !== byte);
        const bent = block.slice();
        bent[at] = byte;
        // Any change in the transactions shows; one in the nonce or version may make another valid header.
        if (at >= 80) expect(checkBlock(bent, context)).not.toEqual([]);
        else checkBlock(bent, context);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(checkBlock(bytes, context)).toEqual(["bad-block-encoding"]);
      }),
    );
  });
});
