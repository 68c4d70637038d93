import { decodeBlock, encodeHeader, fromHex, hex, sha256d, txid } from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { answerIn, blocksIn, Declaring, LIMITS, sentIn, solution } from "../testing/declaring.ts";
import { hashOf, tipBelow, transaction } from "../testing/sample-template.ts";
import { readToken } from "../token.ts";
import type { DeclaratorEffect } from "./effects.ts";
import { structuralFault } from "./structural-check.ts";

const transactions = [1, 2, 3].map((seed) => transaction(seed));
const sample = { transactions };
const other = { transactions: [transaction(4)] };

const refused = (reason: string, connection = 1) => [{ type: "solution-refused", connection, reason }];

function tokenIdIn(effects: readonly DeclaratorEffect[]): Uint8Array {
  const success = sentIn(effects).find((message) => message.name === "DeclareMiningJobSuccess");
  const token = readToken(success?.newMiningJobToken ?? new Uint8Array());
  if (token === undefined) throw new Error("nothing was declared");
  return token.id.slice();
}

describe("a solution", () => {
  test("of the last declared job makes its block, and that is the first thing that happens", () => {
    const server = new Declaring();
    server.connect();
    server.succeed(1, sample);
    const effects = server.message(1, solution(sample));
    expect(effects.map(({ type }) => type)).toEqual(["submit-block"]);
    const [effect] = effects;
    if (effect?.type !== "submit-block") throw new Error("no block");
    const { block } = effect;
    expect(block).toMatchObject({ height: 102, userIdentifier: "farm" });
    const { header, transactions: inBlock } = decodeBlock(block.bytes);
    expect(hex(block.hash)).toBe(hex(sha256d(encodeHeader(header))));
    expect(inBlock.slice(1).map((tx) => hex(txid(tx)))).toEqual(transactions.map((tx) => hex(tx.txid)));
    expect(hex(inBlock[0]!.inputs[0]!.script)).toMatch(/(01){8}$/);
    // The block breaks no rule, and it has the work: that is what the check leaves out.
    const context = { tip: tipBelow(102), network: "regtest", now: server.now } as const;
    expect(structuralFault(block.bytes, context)).toBeUndefined();
  });

  test("of a job that was declared before the last makes its block too", () => {
    const server = new Declaring();
    server.connect();
    for (const job of [sample, other, {}]) server.succeed(1, job);
    for (const job of [{}, other, sample]) expect(blocksIn(server.message(1, solution(job)))).toHaveLength(1);
  });

  test.each([0x20000000, 0x3fffffe0, 0x00000001, 0xffffffff])(
    "may have the version %i: a node is to judge it",
    (version) => {
      const server = new Declaring();
      server.connect();
      server.succeed(1, sample);
      const [block] = blocksIn(server.message(1, solution(sample, { version })));
      expect(block?.header.version).toBe(version);
    },
  );

  test("without the work makes none", () => {
    const server = new Declaring();
    server.connect();
    server.succeed(1, sample);
    expect(server.message(1, solution(sample, { hasWork: false }))).toEqual(refused("high-hash"));
  });

  test.each([
    ["another extranonce size", { extranonce: new Uint8Array(7) }],
    ["no extranonce", { extranonce: new Uint8Array() }],
    ["another block before", { prevHash: u256(hashOf(5)) }],
    ["an easier target", { nbits: 0x20010000 }],
  ])("with %s makes none", (_, fields) => {
    const server = new Declaring();
    server.connect();
    server.succeed(1, sample);
    expect(server.message(1, { ...solution(sample), ...fields })).toEqual(refused("other-job"));
  });

  test("of a job that was never declared, or by another connection, makes none", () => {
    const server = new Declaring();
    server.connect([1, 2]);
    expect(server.message(1, solution(sample))).toEqual(refused("no-job"));
    server.succeed(2, sample);
    expect(server.message(1, solution(sample))).toEqual(refused("no-job"));
    expect(blocksIn(server.message(2, solution(sample)))).toHaveLength(1);
  });

  test("of a refused job makes none", () => {
    const server = new Declaring();
    server.connect();
    server.verdict(server.lookUp(server.declare(1, sample), transactions), { kind: "invalid", reason: "bad" });
    expect(server.message(1, solution(sample))).toEqual(refused("no-job"));
  });

  test("makes its block one height late, for another may still lose, and no later", () => {
    const server = new Declaring();
    server.connect();
    server.succeed(1, sample);
    server.do({ type: "tip", tip: tipBelow(103) });
    expect(blocksIn(server.message(1, solution(sample)))).toHaveLength(1);
    server.do({ type: "tip", tip: tipBelow(104) });
    expect(server.message(1, solution(sample))).toEqual(refused("no-job"));
    expect(server.core.jobs).toEqual({ count: 0, transactions: 0, bytes: 0 });
  });
});

describe("a solution that comes before the answer to its declaration", () => {
  test("makes its block as soon as the job is declared, before the client is told", () => {
    const server = new Declaring();
    server.connect();
    const checking = server.lookUp(server.declare(1, sample), transactions);
    const solved = solution(sample);
    expect(server.message(1, solved)).toEqual([]);
    solved.extranonce.fill(0xee);
    const effects = server.verdict(checking);
    expect(effects.map(({ type }) => type)).toEqual(["submit-block", "send", "declared"]);
    expect(hex(blocksIn(effects)[0]!.transactions[0]!.inputs[0]!.script)).toMatch(/(01){8}$/);
    expect(server.message(1, solution(sample, { hasWork: false }))).toEqual(refused("high-hash"));
  });

  test("is given up when the job is refused", () => {
    const server = new Declaring();
    server.connect();
    const checking = server.lookUp(server.declare(1, sample), transactions);
    server.message(1, solution(sample));
    expect(server.verdict(checking, { kind: "invalid", reason: "bad" })).toContainEqual(refused("no-job")[0]);
    expect(blocksIn(server.succeed(1, sample))).toEqual([]);
  });

  test("waits for the other declaration when the first that is answered is not its own", () => {
    const server = new Declaring();
    server.connect();
    const first = server.declare(1, { requestId: 1 });
    const second = server.lookUp(server.declare(1, { ...sample, requestId: 2 }), transactions);
    server.message(1, solution(sample));
    expect(blocksIn(server.verdict(first))).toEqual([]);
    expect(blocksIn(server.verdict(second))).toHaveLength(1);
  });

  test("is one for each connection, the newest", () => {
    const server = new Declaring();
    server.connect();
    const checking = server.declare();
    server.message(1, solution({}, { seed: 1 }));
    server.message(1, solution({}, { seed: 2 }));
    const blocks = blocksIn(server.verdict(checking));
    expect(blocks.map(({ transactions: [coinbase] }) => hex(coinbase!.inputs[0]!.script).slice(-2))).toEqual(["02"]);
  });
});

test("solutions that lack the work cost hashes only, up to a bound, and a client that floods loses nothing else", () => {
  const server = new Declaring();
  server.connect([1, 2]);
  server.succeed(1, sample);
  server.succeed(2, sample);
  const junk = solution(sample, { hasWork: false });
  for (let sent = 0; sent < LIMITS.maxSolutionsPerMinute; sent++) {
    expect(server.message(1, junk)).toEqual(refused("high-hash"));
  }
  expect(server.message(1, solution(sample))).toEqual(refused("too-many"));
  expect(blocksIn(server.message(2, solution(sample)))).toHaveLength(1);
  expect(answerIn(server.succeed(1, other))).toBe("declared");
  server.pass(1_000);
  expect(blocksIn(server.message(1, solution(sample, { seed: 2 })))).toHaveLength(1);
});

describe("a block that the pool finds on a declared job", () => {
  /** As the pool would have it: the header and the extranonce of a solution, which another server was told of. */
  function found(tokenId: Uint8Array) {
    const elsewhere = new Declaring();
    elsewhere.connect();
    elsewhere.succeed(1, sample);
    const [submitted] = elsewhere.message(1, solution(sample));
    if (submitted?.type !== "submit-block") throw new Error("no block");
    const { header } = submitted.block;
    return { type: "solve", tokenId, header, extranonce: new Uint8Array(8).fill(1) } as const;
  }

  test("is submitted by its token, also when the client is gone", () => {
    const server = new Declaring();
    server.connect();
    const input = found(tokenIdIn(server.succeed(1, sample)));
    server.do({ type: "disconnected", connection: 1 });
    expect(server.do(input)).toMatchObject([{ type: "submit-block", connection: undefined, block: { height: 102 } }]);
  });

  test("is submitted once, whoever tells of it first", () => {
    const server = new Declaring();
    server.connect();
    const input = found(tokenIdIn(server.succeed(1, sample)));
    expect(server.do(input)).toHaveLength(1);
    expect(server.message(1, solution(sample))).toEqual([]);
    expect(server.do(input)).toEqual([]);
  });

  test("is not put together from what does not belong together", () => {
    const server = new Declaring();
    server.connect();
    const input = found(tokenIdIn(server.succeed(1, sample)));
    const weak = input.header.slice();
    do weak[76]! += 1;
    while (sha256d(weak)[31] === 0);
    expect(server.do({ ...input, tokenId: new Uint8Array(16) })).toEqual([]);
    expect(server.do({ ...input, extranonce: new Uint8Array(8) })).toEqual([]);
    expect(server.do({ ...input, extranonce: new Uint8Array(9) })).toEqual([]);
    expect(server.do({ ...input, header: weak })).toEqual([]);
    expect(server.do({ ...input, tokenId: fromHex(hex(input.tokenId)) })).toHaveLength(1);
  });
});
