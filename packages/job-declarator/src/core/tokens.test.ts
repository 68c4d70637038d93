import { decodeCountedOutputs, hex } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { answerIn, Declaring, LIMITS, sentIn, solution, tokensIn } from "../testing/declaring.ts";
import { PAYOUT_SCRIPT } from "../testing/sample-template.ts";
import { readToken } from "../token.ts";

const INVALID = "invalid-mining-job-token: the token is none of this connection, or expired, or used; ask for another";

describe("a client that asks for a token", () => {
  test("is given one at once, with the pool payout output first and nothing in it", () => {
    const server = new Declaring();
    server.connect();
    const [answer, ...more] = sentIn(server.ask());
    expect(more).toEqual([]);
    expect(answer).toMatchObject({ name: "AllocateMiningJobTokenSuccess", requestId: 1 });
    const outputs = answer?.name === "AllocateMiningJobTokenSuccess" ? answer.coinbaseTxOutputs : new Uint8Array();
    expect(decodeCountedOutputs(outputs)).toEqual([{ value: 0n, script: PAYOUT_SCRIPT }]);
  });

  test.each([
    ["full-template", true],
    ["coinbase-only", false],
  ])("is given one for %s mode when DECLARE_TX_DATA is %s", (kind, declaresTxData) => {
    const server = new Declaring();
    server.connect([1], declaresTxData);
    expect(readToken(server.token())?.kind).toBe(kind);
  });

  test("is never given the same twice", () => {
    const server = new Declaring();
    server.connect([1, 2], false);
    const tokens = [server.token(1), server.token(1), server.token(2)];
    expect(new Set(tokens.map(hex)).size).toBe(3);
  });

  test("is given one although the chain's tip is not known yet", () => {
    const server = new Declaring({}, { tip: undefined });
    server.connect();
    expect(server.token()).toHaveLength(106);
  });
});

describe("tokens are given out slowly", () => {
  test("to the burst at once and then one a second, whatever waits for them meanwhile", () => {
    const server = new Declaring();
    server.connect([1], false);
    const given = () => Array.from({ length: 5 }, () => tokensIn(server.ask()).length).reduce((sum, one) => sum + one);
    expect([given(), given()]).toEqual([5, 3]);
    expect(server.core.waiting).toBe(2);
    expect(tokensIn(server.pass(999))).toEqual([]);
    expect(tokensIn(server.pass(1))).toHaveLength(1);
    expect(tokensIn(server.pass(60_000))).toHaveLength(1);
    expect(server.core.waiting).toBe(0);
  });

  test("and a connection is closed when more requests wait than may", () => {
    const server = new Declaring();
    server.connect([1, 2], false);
    const all = LIMITS.tokenBurst + LIMITS.maxHeldTokenRequests;
    for (let asked = 0; asked < all; asked++)
      expect(server.ask()).not.toContainEqual(expect.objectContaining({ type: "close" }));
    expect(server.ask()).toEqual([
      { type: "close", connection: 1, reason: "token-flood", detail: "has more than 8 requests for tokens waiting" },
    ]);
    expect(server.core.waiting).toBe(0);
    expect(tokensIn(server.ask(2))).toHaveLength(1);
  });

  test("and never more than a connection may hold, until a declaration is answered", () => {
    const server = new Declaring();
    server.connect();
    const tokens = Array.from({ length: LIMITS.maxTokensPerConnection }, () => server.token());
    expect(tokensIn(server.ask())).toEqual([]);
    server.pass(60_000);
    expect([server.core.tokens, server.core.waiting]).toEqual([4, 1]);
    const answered = server.declare(1, { token: tokens[0]!, message: { coinbaseTxPrefix: new Uint8Array() } });
    expect(answerIn(answered)).toContain("invalid-coinbase-tx");
    expect(tokensIn(answered)).toHaveLength(1);
    expect([server.core.tokens, server.core.waiting]).toEqual([4, 0]);
  });

  test("and never more than all connections may hold", () => {
    const server = new Declaring({ maxTokens: 3 });
    server.connect([1, 2]);
    for (const connection of [1, 1, 2]) server.token(connection);
    expect(tokensIn(server.ask(2))).toEqual([]);
    expect(tokensIn(server.do({ type: "disconnected", connection: 1 }))).toHaveLength(1);
    expect(server.core.tokens).toBe(2);
  });

  test("and one that was given for coinbase-only mode is not kept, as its signature says it all", () => {
    const server = new Declaring({ maxTokens: 1, maxTokensPerConnection: 1 });
    server.connect([1], false);
    for (let asked = 0; asked < LIMITS.tokenBurst; asked++) server.token();
    expect(server.core.tokens).toBe(0);
  });
});

describe("a declaration is refused for its token", () => {
  test("once another with the same is answered, well or not", () => {
    const server = new Declaring();
    server.connect();
    const [good, bad] = [server.token(), server.token()];
    expect(answerIn(server.succeed(1, { token: good }))).toBe("declared");
    expect(answerIn(server.declare(1, { token: good }))).toBe(INVALID);
    expect(answerIn(server.declare(1, { token: bad, message: { coinbaseTxSuffix: new Uint8Array() } }))).toContain(
      "invalid-coinbase-tx",
    );
    expect(answerIn(server.declare(1, { token: bad }))).toBe(INVALID);
  });

  test("while another with the same is under way", () => {
    const server = new Declaring();
    server.connect();
    const token = server.token();
    const first = server.declare(1, { token });
    expect(answerIn(server.declare(1, { token, requestId: 2 }))).toBe(INVALID);
    expect(answerIn(server.verdict(first))).toBe("declared");
  });

  test("when it was given to another connection", () => {
    const server = new Declaring();
    server.connect([1, 2]);
    const token = server.token(1);
    expect(answerIn(server.declare(2, { token }))).toBe(INVALID);
    expect(answerIn(server.succeed(1, { token }))).toBe("declared");
  });

  test("when it was given to the same client's former connection", () => {
    const server = new Declaring();
    server.connect();
    const token = server.token();
    server.do({ type: "disconnected", connection: 1 });
    server.connect([2]);
    expect(answerIn(server.declare(2, { token }))).toBe(INVALID);
  });

  test("when its time is over", () => {
    const server = new Declaring();
    server.connect();
    const [first, second] = [server.token(), server.token()];
    server.now += 600_999;
    expect(answerIn(server.succeed(1, { token: first }))).toBe("declared");
    server.now += 1;
    expect(answerIn(server.declare(1, { token: second }))).toBe(INVALID);
    server.pass(0);
    expect(server.core.tokens).toBe(0);
  });

  test("when it is that of a declared job, or none at all, or one with a bit changed", () => {
    const server = new Declaring();
    server.connect();
    const success = sentIn(server.succeed()).find((message) => message.name === "DeclareMiningJobSuccess");
    const changed = server.token().slice();
    changed[changed.length - 1]! ^= 1;
    for (const token of [success!.newMiningJobToken, new Uint8Array(), new Uint8Array(255).fill(0xff), changed]) {
      expect(answerIn(server.declare(1, { token }))).toBe(INVALID);
    }
  });
});

test("a client that asks for nothing is closed in time, and one that once has asked is not", () => {
  const server = new Declaring();
  server.connect([1, 2]);
  server.ask(2);
  expect(server.pass(LIMITS.firstRequestMs - 1)).toEqual([]);
  expect(server.pass(1)).toEqual([
    { type: "close", connection: 1, reason: "idle", detail: "sends no request for a token in 30 s" },
  ]);
  expect(server.core.clients().map(({ connection }) => connection)).toEqual([2]);
});

describe("a client in coinbase-only mode", () => {
  test.each([
    ["declares a job", (server: Declaring) => server.declare(1), "DeclareMiningJob"],
    [
      "sends transactions",
      (server: Declaring) =>
        server.message(1, { name: "ProvideMissingTransactionsSuccess", requestId: 1, transactionList: [] }),
      "ProvideMissingTransactionsSuccess",
    ],
  ])("is closed when it %s", (_, act, name) => {
    const server = new Declaring();
    server.connect([1], false);
    expect(act(server)).toEqual([
      { type: "close", connection: 1, reason: "not-full-template", detail: `sends ${name} without DECLARE_TX_DATA` },
    ]);
    expect(server.core.clients()).toEqual([]);
  });
});

test("a client in coinbase-only mode may push solutions, which nothing comes of, as often as it may say anything", () => {
  const server = new Declaring();
  server.connect([1], false);
  const outcomes = Array.from({ length: 601 }, () => server.message(1, solution())[0]);
  expect(outcomes.slice(0, 600)).toEqual(
    Array.from({ length: 600 }, () => ({ type: "ignored", connection: 1, message: "PushSolution" })),
  );
  expect(outcomes[600]).toMatchObject({ type: "close", reason: "message-flood" });
});

test("a client that sends more messages than it may in a minute is closed, and no other", () => {
  const server = new Declaring();
  server.connect([1, 2]);
  const junk = { name: "ProvideMissingTransactionsSuccess", requestId: 9, transactionList: [] } as const;
  for (let sent = 0; sent < LIMITS.maxMessagesPerMinute; sent++) {
    expect(server.message(1, junk)).toEqual([
      { type: "ignored", connection: 1, message: "ProvideMissingTransactions.Success" },
    ]);
  }
  // A block is looked at all the same.
  expect(server.message(1, solution())).toEqual([{ type: "solution-refused", connection: 1, reason: "no-job" }]);
  expect(server.message(1, junk)).toEqual([
    { type: "close", connection: 1, reason: "message-flood", detail: "sends more than 600 messages a minute" },
  ]);
  expect(server.core.clients().map(({ connection }) => connection)).toEqual([2]);
  expect(server.message(1, junk)).toEqual([]);
});
