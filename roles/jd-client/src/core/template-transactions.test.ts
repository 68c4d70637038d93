import { pureHashing } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { TemplateTransactions, TransactionData } from "./template-transactions.ts";

const MIB = 1024 * 1024;
const empty = { excessData: new Uint8Array(), transactionList: [] };

describe("the transactions of a template", () => {
  test("are asked for once, and kept with bytes of their own", () => {
    const kept = new TemplateTransactions(pureHashing);
    expect([kept.want(1n), kept.want(1n), kept.find(1n)]).toEqual([true, false, "awaited"]);
    const received = Uint8Array.of(1, 2, 3);
    kept.add(1n, { excessData: Uint8Array.of(9), transactionList: [received] });
    received.fill(0);
    const data = kept.find(1n) as TransactionData;
    expect([data.transactions, data.excessData]).toEqual([[Uint8Array.of(1, 2, 3)], Uint8Array.of(9)]);
    expect(data.wtxids).toEqual([pureHashing.sha256d(Uint8Array.of(1, 2, 3))]);
    expect(data.wtxids).toBe(data.wtxids);
  });

  test("that were not asked for, or came once already, are not kept", () => {
    const kept = new TemplateTransactions(pureHashing);
    kept.add(1n, empty);
    expect(kept.find(1n)).toBeUndefined();
    kept.want(1n);
    kept.add(1n, empty);
    const first = kept.find(1n);
    kept.add(1n, { ...empty, transactionList: [Uint8Array.of(1)] });
    expect(kept.find(1n)).toBe(first);
  });

  test("may be refused, which is not asked again", () => {
    const kept = new TemplateTransactions(pureHashing);
    kept.want(1n);
    kept.refuse(1n);
    kept.refuse(2n);
    expect([kept.find(1n), kept.want(1n), kept.find(2n)]).toEqual(["refused", false, undefined]);
  });

  test("are those of the newest eight templates", () => {
    const kept = new TemplateTransactions(pureHashing);
    for (let id = 1n; id <= 9n; id += 1n) kept.want(id);
    expect([kept.find(1n), kept.find(2n), kept.find(9n)]).toEqual([undefined, "awaited", "awaited"]);
  });

  test("are no more than 64 MiB, but for one template", () => {
    const kept = new TemplateTransactions(pureHashing);
    const give = (id: bigint, mib: number): void => {
      kept.want(id);
      kept.add(id, { ...empty, transactionList: [new Uint8Array(mib * MIB)] });
    };
    give(1n, 30);
    give(2n, 34);
    expect(kept.find(1n)).toBeInstanceOf(TransactionData);
    give(3n, 1);
    expect([kept.find(1n), kept.find(2n) === undefined]).toEqual([undefined, false]);
    give(4n, 65);
    expect([kept.find(3n), kept.find(4n) === undefined]).toEqual([undefined, false]);
  });
});
