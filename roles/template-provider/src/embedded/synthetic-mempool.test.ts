import { decodeTransaction, encodeTransaction, hex, legacySigops, transactionWeight, txid, wtxid } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MempoolTransaction } from "../template/block-template.ts";
import { seeded } from "../testing/random.ts";
import { SyntheticMempool } from "./synthetic-mempool.ts";
import { syntheticTransaction } from "./synthetic-transaction.ts";

describe("a synthetic transaction", () => {
  test("is well formed, and what is said of it is true of its bytes", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { bytes, fee, ...said } = syntheticTransaction(seeded(seed));
        const tx = decodeTransaction(bytes);
        expect(encodeTransaction(tx)).toEqual(bytes);
        expect(said).toMatchObject({ txid: txid(bytes), wtxid: wtxid(bytes), weight: transactionWeight(tx) });
        expect(said.sigopsCost).toBeGreaterThanOrEqual(legacySigops(tx) * 4);
        expect(fee).toBeGreaterThanOrEqual(BigInt(Math.ceil(said.weight / 4)));
      }),
    );
  });

  test("comes with and without witnesses", () => {
    const random = seeded(1);
    const segwit = Array.from({ length: 40 }, () => decodeTransaction(syntheticTransaction(random).bytes).segwit);
    expect(new Set(segwit)).toEqual(new Set([true, false]));
  });
});

describe("the synthetic mempool", () => {
  const feesOf = (mempool: SyntheticMempool): bigint => mempool.transactions.reduce((sum, { fee }) => sum + fee, 0n);

  test("keeps its size and its order by fee rate, and pays more as time passes", () => {
    const mempool = new SyntheticMempool({ size: 20, random: seeded(3) });
    const first = feesOf(mempool);
    expect(mempool.transactions.length).toBe(10);
    for (let round = 0; round < 20; round++) mempool.arrive();
    expect(mempool.transactions.length).toBe(20);
    const rates = mempool.transactions.map(({ fee, weight }) => Number(fee) / weight);
    expect(rates).toEqual(rates.toSorted((a, b) => b - a));
    expect(feesOf(mempool)).toBeGreaterThan(first);
  });

  test("lets go of what a block took and fills up again", () => {
    const mempool = new SyntheticMempool({ size: 8, random: seeded(4) });
    const taken = mempool.transactions;
    mempool.remove(taken);
    expect(mempool.transactions).toEqual([]);
    mempool.arrive();
    expect(mempool.transactions.length).toBe(4);
    expect(mempool.transactions.some((transaction) => taken.includes(transaction))).toBe(false);
  });

  test("finds what waits by its id, and remembers what was paid by those that made room", () => {
    const mempool = new SyntheticMempool({ size: 4, random: seeded(6) });
    const seen = new Map<string, MempoolTransaction>();
    const note = (): void =>
      mempool.transactions.forEach((transaction) => seen.set(hex(transaction.txid), transaction));
    for (let round = 0; round < 10; round++) {
      note();
      mempool.arrive();
    }
    note();
    const waiting = new Set(mempool.transactions);
    const outbid = [...seen.values()].filter((transaction) => !waiting.has(transaction));
    expect(outbid.length).toBeGreaterThan(0);
    for (const transaction of waiting) expect(mempool.find(transaction.txid)).toBe(transaction);
    for (const transaction of outbid) expect(mempool.find(transaction.txid)).toBeUndefined();
    for (const { txid, fee } of seen.values()) expect(mempool.feeOf(txid)).toBe(fee);
    const [first] = mempool.transactions;
    mempool.remove([first!]);
    expect([mempool.find(first!.txid), mempool.feeOf(first!.txid)]).toEqual([undefined, undefined]);
  });

  test("stays empty with size 0", () => {
    const mempool = new SyntheticMempool({ size: 0, random: seeded(5) });
    mempool.arrive();
    expect(mempool.transactions).toEqual([]);
  });
});
