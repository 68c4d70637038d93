import { txid, wtxid } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { answerIn, Declaring, LIMITS, sentIn } from "../testing/declaring.ts";
import { coinbaseParts, concat, transaction } from "../testing/sample-template.ts";
import type { DeclaratorEffect } from "./effects.ts";
import type { KnownTransaction } from "./known-transaction.ts";

const transactions = [1, 2, 3, 4].map((seed) => transaction(seed));
const [first, second, third, fourth] = transactions;

/** A server that has asked connection 1 for the second and the fourth of four transactions, under request 7. */
function asking(): Declaring {
  const server = new Declaring();
  server.connect();
  server.lookUp(server.declare(1, { transactions, requestId: 7 }), [first!, third!]);
  return server;
}

function provide(server: Declaring, list: readonly Uint8Array[], requestId = 7): readonly DeclaratorEffect[] {
  return server.message(1, { name: "ProvideMissingTransactionsSuccess", requestId, transactionList: [...list] });
}

const bytesOf = (list: readonly (KnownTransaction | undefined)[]): readonly Uint8Array[] =>
  list.map((one) => one!.bytes);

test("a client that sends more transactions than it may in a minute is refused, and soon declares again", () => {
  const server = new Declaring({ maxTransactionsPerMinute: 6 });
  server.connect();
  const late = "internal-error: more than 6 transactions a minute; declare less often";
  const few = transactions.slice(0, 2);
  expect(answerIn(server.succeed(1, { transactions: few }))).toBe("declared");
  server.lookUp(server.declare(1, { requestId: 2, transactions: few }), []);
  const transactionList = few.map(({ bytes }) => bytes);
  expect(transactionList.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(240);
  const provided = server.message(1, { name: "ProvideMissingTransactionsSuccess", requestId: 2, transactionList });
  expect(answerIn(server.verdict(provided))).toBe("declared");
  expect(answerIn(server.declare(1, { requestId: 3, transactions: few }))).toBe(late);
  server.pass(60_000);
  server.lookUp(server.declare(1, { requestId: 4, transactions: few }), []);
  const long = {
    name: "ProvideMissingTransactionsSuccess",
    requestId: 4,
    transactionList: [new Uint8Array(2_000)],
  } as const;
  expect(answerIn(server.message(1, long))).toBe(late);
  server.pass(60_000);
  expect(answerIn(server.succeed(1, { requestId: 5, transactions: few }))).toBe("declared");
});

describe("transactions that are not known", () => {
  test("are asked for by their positions, once", () => {
    const server = new Declaring();
    server.connect();
    const effects = server.lookUp(server.declare(1, { transactions, requestId: 7 }), [first!, third!]);
    expect(effects).toEqual([
      {
        type: "send",
        connection: 1,
        message: { name: "ProvideMissingTransactions", requestId: 7, unknownTxPositionList: [1, 3] },
      },
      { type: "missing-asked", connection: 1, requestId: 7, transactions: 2 },
    ]);
    expect(server.pass(LIMITS.missingTimeoutMs - 1)).toEqual([]);
  });

  test("complete the block when they come", () => {
    const server = asking();
    const complete = provide(server, bytesOf([second, fourth]));
    expect(complete.map(({ type }) => type)).toEqual(["check"]);
    expect(answerIn(server.verdict(complete))).toBe("declared");
    expect(server.core.jobs.transactions).toBe(4);
  });

  test("are copied out of the frame they came in", () => {
    const server = asking();
    const list = bytesOf([second, fourth]).map((bytes) => bytes.slice());
    const complete = provide(server, list);
    for (const bytes of list) bytes.fill(0);
    expect(answerIn(server.verdict(complete, { kind: "no-node" }))).toBe("declared");
  });

  test("are waited for so long and no longer", () => {
    const server = asking();
    server.pass(LIMITS.missingTimeoutMs - 1);
    const late = server.pass(1);
    expect(answerIn(late)).toBe("missing-txs: the transactions that were asked for did not come in time");
    expect([server.core.pending, server.core.tokens]).toEqual([0, 0]);
    const [ignored] = provide(server, bytesOf([second, fourth]));
    expect(ignored).toEqual({ type: "ignored", connection: 1, message: "ProvideMissingTransactions.Success" });
  });

  test("may be all of them", () => {
    const server = new Declaring();
    server.connect();
    server.lookUp(server.declare(1, { transactions, requestId: 7 }), []);
    expect(answerIn(server.verdict(provide(server, bytesOf(transactions))))).toBe("declared");
  });
});

describe("an answer that is anything but the transactions that were asked for ends the declaration:", () => {
  const { prefix, suffix } = coinbaseParts();
  test.each<[string, readonly Uint8Array[], string]>([
    ["too few", bytesOf([second]), "2 transactions were asked for and 1 came"],
    ["none", [], "2 transactions were asked for and 0 came"],
    ["too many", bytesOf([second, fourth, first]), "2 transactions were asked for and 3 came"],
    ["another order", bytesOf([fourth, second]), "what came is not transaction 1 of wtxid_list"],
    ["one twice", bytesOf([second, second]), "what came is not transaction 3 of wtxid_list"],
    ["one that was not asked for", bytesOf([second, first]), "what came is not transaction 3 of wtxid_list"],
    ["one that is in no list", bytesOf([second, transaction(9)]), "what came is not transaction 3 of wtxid_list"],
    ["bytes that are none", [second!.bytes, Uint8Array.of(1, 2, 3)], "what came is not transaction 3 of wtxid_list"],
    ["an empty one", [second!.bytes, new Uint8Array()], "what came is not transaction 3 of wtxid_list"],
    ["one with a byte behind it", [second!.bytes, concat(fourth!.bytes, Uint8Array.of(0))], "not transaction 3"],
    ["16 MB of zeros", [new Uint8Array(16_000_000), fourth!.bytes], "what came is not transaction 1 of wtxid_list"],
    ["a coinbase", [concat(prefix, new Uint8Array(8), suffix), fourth!.bytes], "not transaction 1"],
  ])("%s", (_, list, detail) => {
    const server = asking();
    const effects = provide(server, list);
    expect(answerIn(effects)).toMatch(/^invalid-job: /);
    expect(answerIn(effects)).toContain(detail);
    expect(server.core.pending).toBe(0);
    expect(server.core.jobs).toEqual({ count: 0, transactions: 0, bytes: 0 });
  });

  test("and the same transactions in another declaration are asked for again", () => {
    const server = asking();
    provide(server, bytesOf([second, first]));
    const again = server.lookUp(server.declare(1, { transactions, requestId: 8 }), [first!, third!]);
    expect(sentIn(again)).toContainEqual(expect.objectContaining({ unknownTxPositionList: [1, 3] }));
  });
});

test("a coinbase among the declared transactions is refused when it is provided", () => {
  const server = new Declaring();
  server.connect();
  const { prefix, suffix } = coinbaseParts();
  const bytes = concat(prefix, new Uint8Array(8), suffix);
  const coinbase = { bytes, txid: txid(bytes), wtxid: wtxid(bytes) };
  server.lookUp(server.declare(1, { transactions: [coinbase], requestId: 7 }), []);
  expect(answerIn(provide(server, [bytes]))).toBe("invalid-job: what came is not transaction 0 of wtxid_list");
});

describe("transactions that nobody waits for", () => {
  const ignored = [{ type: "ignored", connection: 1, message: "ProvideMissingTransactions.Success" }];

  test("are ignored: of a request that is not known, or that wants nothing", () => {
    const server = asking();
    expect(provide(server, bytesOf([second, fourth]), 8)).toEqual(ignored);
    server.declare(1, { requestId: 9 });
    expect(provide(server, [], 9)).toEqual(ignored);
    expect(server.core.pending).toBe(2);
  });

  test("are ignored when another connection was asked for them", () => {
    const server = asking();
    server.connect([2]);
    const transactionList = [...bytesOf([second, fourth])];
    const effects = server.message(2, { name: "ProvideMissingTransactionsSuccess", requestId: 7, transactionList });
    expect(effects).toEqual([{ ...ignored[0], connection: 2 }]);
    expect(answerIn(server.verdict(provide(server, transactionList)))).toBe("declared");
  });
});

test("more bytes of known transactions than any block holds are refused before a node is asked", () => {
  const server = new Declaring();
  server.connect();
  const large = [1, 2].map((seed) => transaction(seed, { bytes: 2_000_000 }));
  expect(answerIn(server.lookUp(server.declare(1, { transactions: large }), large))).toContain("fit in no block");
});
