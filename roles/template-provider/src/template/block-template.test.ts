import {
  compactSize,
  encodeTransaction,
  hash,
  legacySigops,
  type Transaction,
  type TxOutput,
  transactionWeight,
  txid,
  wtxid,
} from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chainBits } from "../config.ts";
import { type ChainTip, genesisTip } from "../embedded/chain-tip.ts";
import { embeddedTemplate } from "../embedded/embedded-chain.ts";
import { newTemplateMessage, setNewPrevHashMessage } from "../template-messages.ts";
import { coinbaseFor, solve } from "../testing/solve.ts";
import { fitsInBlock, type MempoolTransaction, reservedWeight } from "./block-template.ts";
import { checkSolution } from "./solution.ts";

const NOW = 1_800_000_000_000;
const bits = chainBits({ hashesPerBlock: 2 });

/** A transaction of about `size` bytes with `sigops` legacy signature operations. */
function waiting({
  size,
  sigops,
  fee,
  salt,
  segwit,
}: {
  size: number;
  sigops: number;
  fee: number;
  salt: number;
  segwit: boolean;
}): MempoolTransaction {
  const input = { prevHash: hash(new Uint8Array(32).fill(salt % 255).fill(salt >> 8, 0, 2)), index: salt, sequence: 1 };
  const padding = new Uint8Array(size);
  const tx: Transaction = {
    version: 2,
    inputs: [{ ...input, script: segwit ? new Uint8Array(0) : padding, witness: segwit ? [padding] : [] }],
    outputs: [{ value: 1n, script: new Uint8Array(sigops).fill(0xac) }],
    locktime: 0,
    segwit,
  };
  return {
    bytes: encodeTransaction(tx),
    txid: txid(tx),
    wtxid: wtxid(tx),
    fee: BigInt(fee),
    weight: transactionWeight(tx),
    sigopsCost: legacySigops(tx) * 4,
  };
}

const mempools = fc
  .array(
    fc.record({
      size: fc.oneof(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 100_000, max: 900_000 })),
      sigops: fc.oneof(
        { weight: 3, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 15_000 }) },
      ),
      fee: fc.integer({ min: 0, max: 1_000_000 }),
      segwit: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  .map((list) => list.map((each, salt) => waiting({ ...each, salt })));

const tips = fc
  .record({
    height: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 5_000 })),
    hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  })
  .map(({ height, hash: bytes }): ChainTip => ({ height, hash: hash(bytes), times: genesisTip.times }));

/** One output that uses up what was announced: its size to the byte, or as close as its length prefix allows. */
function fillRoom(size: number, sigops: number, value: bigint): TxOutput[] {
  const scriptSize = [9, 11, 13]
    .map((around) => size - around)
    .find((script) => outputSize(script) <= size && script >= 0);
  if (scriptSize === undefined) return [];
  return [{ value, script: Uint8Array.from({ length: scriptSize }, (_, at) => (at < sigops ? 0xac : 0x51)) }];
}

function outputSize(scriptSize: number): number {
  return 8 + compactSize(Math.max(0, scriptSize)).length + scriptSize;
}

describe("a template", () => {
  test("makes, with any coinbase within the announced room, a block that is valid", () => {
    fc.assert(
      fc.property(
        mempools,
        tips,
        fc.record({
          maxAdditionalSize: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 65_000 }), fc.nat({ max: 999_708 })),
          maxAdditionalSigops: fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 20_000 })),
        }),
        (transactions, tip, room) => {
          const template = embeddedTemplate({ tip, bits, waiting: transactions, room });
          const work = {
            template: newTemplateMessage(1n, template, true),
            prevHash: setNewPrevHashMessage(1n, template, 1_800_000_000),
          };
          const outputs = fillRoom(room.maxAdditionalSize, room.maxAdditionalSigops, template.valueRemaining);
          const coinbaseTx = coinbaseFor(work, { outputs, tag: "t".repeat(58), extranonceSize: 32 });
          const solution = solve(work, { coinbaseTx });
          const outcome = checkSolution(solution, {
            template,
            headerTimestamp: 1_800_000_000,
            now: NOW,
            solvedBy: "client",
          });
          const faults = outcome.kind === "refused" ? outcome.faults : [];
          // With no room for an output the value cannot be claimed: lost money, but a valid block.
          expect(faults.filter((fault) => outputs.length > 0 || fault !== "coinbase-value-unclaimed")).toEqual([]);
        },
      ),
      { numRuns: 50 },
    );
  }, 120_000);

  test("takes the best paying transactions and leaves the announced weight free", () => {
    const transactions = Array.from({ length: 5 }, (_, salt) =>
      waiting({ size: 240_000, sigops: 0, fee: 1000 - salt, salt, segwit: false }),
    );
    const all = embeddedTemplate({
      tip: genesisTip,
      bits,
      waiting: transactions,
      room: { maxAdditionalSize: 0, maxAdditionalSigops: 0 },
    });
    expect(all.transactions).toEqual(transactions.slice(0, 4));
    expect(all.fees).toBe(3994n);
    expect(all.valueRemaining).toBe(5_000_003_994n);
    const less = embeddedTemplate({
      tip: genesisTip,
      bits,
      waiting: transactions,
      room: { maxAdditionalSize: 50_000, maxAdditionalSigops: 0 },
    });
    expect(less.transactions).toEqual(transactions.slice(0, 3));
  });

  test("leaves the announced signature operations free", () => {
    const transactions = [
      waiting({ size: 10, sigops: 15_000, fee: 2, salt: 1, segwit: false }),
      waiting({ size: 10, sigops: 4_990, fee: 1, salt: 2, segwit: false }),
    ];
    const count = (maxAdditionalSigops: number): number =>
      embeddedTemplate({
        tip: genesisTip,
        bits,
        waiting: transactions,
        room: { maxAdditionalSize: 100, maxAdditionalSigops },
      }).transactions.length;
    expect(count(10)).toBe(2);
    expect(count(11)).toBe(1);
    expect(count(20_000)).toBe(0);
    expect(count(65_535)).toBe(0);
  });

  test("follows BIP34 and BIP54 in its coinbase fields", () => {
    const tip: ChainTip = { ...genesisTip, height: 299 };
    expect(
      embeddedTemplate({ tip, bits, waiting: [], room: { maxAdditionalSize: 0, maxAdditionalSigops: 0 } }),
    ).toMatchObject({
      height: 300,
      version: 0x20000000,
      coinbasePrefix: Uint8Array.of(2, 0x2c, 0x01),
      coinbaseSequence: 0xfffffffe,
      coinbaseLocktime: 299,
      valueRemaining: 1_250_000_000n,
      outputsCount: 1,
      merklePath: [],
    });
  });
});

describe("the weight kept for the coinbase", () => {
  test("is the formula of spec 7.1, and never below Bitcoin Core's floor", () => {
    expect(reservedWeight({ maxAdditionalSize: 0, maxAdditionalSigops: 0 })).toBe(2000);
    expect(reservedWeight({ maxAdditionalSize: 208, maxAdditionalSigops: 0 })).toBe(2000);
    expect(reservedWeight({ maxAdditionalSize: 209, maxAdditionalSigops: 0 })).toBe(1168 + 4 * 209);
  });

  test("may fill a block and no more", () => {
    expect(fitsInBlock({ maxAdditionalSize: 999_708, maxAdditionalSigops: 0 })).toBe(true);
    expect(fitsInBlock({ maxAdditionalSize: 999_709, maxAdditionalSigops: 0 })).toBe(false);
  });
});
