import { decodeBlock, hex } from "@adit/bitcoin";
import { pureCrypto } from "@adit/noise";
import { describe, expect, test } from "vitest";
import { AUTHORITY, answerIn, Declaring, LIMITS, sentIn, solution } from "../testing/declaring.ts";
import { hashOf, PAYOUT_SCRIPT, tipBelow, transaction } from "../testing/sample-template.ts";
import { verifyToken } from "../token.ts";
import type { DeclaratorEffect } from "./effects.ts";

const transactions = [transaction(1), transaction(2), transaction(3)];

/** The block that a node is asked to check in these effects. */
function proposalIn(effects: readonly DeclaratorEffect[]): ReturnType<typeof decodeBlock> {
  const check = effects.find((effect) => effect.type === "check");
  if (check === undefined) throw new Error("no node is asked");
  return decodeBlock(check.block);
}

function typesOf(effects: readonly DeclaratorEffect[]): readonly string[] {
  return effects.map(({ type }) => type);
}

describe("a declaration", () => {
  test("is looked up, checked on the tip and answered with a token that commits to it", () => {
    const server = new Declaring();
    server.connect();
    const begun = server.declare(1, { transactions, requestId: 7 });
    expect(typesOf(begun)).toEqual(["look-up"]);
    const complete = server.lookUp(begun, transactions);
    expect(typesOf(complete)).toEqual(["check"]);
    const { header, transactions: inBlock } = proposalIn(complete);
    expect(inBlock).toHaveLength(4);
    const { prevHash, nbits } = tipBelow(102);
    expect(header).toMatchObject({ prevHash, nbits, version: 0x20000000, ntime: server.now / 1000 });
    server.now += 250;
    const answered = server.verdict(complete);
    expect(sentIn(answered)).toEqual([
      { name: "DeclareMiningJobSuccess", requestId: 7, newMiningJobToken: expect.any(Uint8Array) },
    ]);
    expect(answered).toContainEqual({
      type: "declared",
      connection: 1,
      requestId: 7,
      userIdentifier: "farm",
      height: 102,
      transactions: 3,
      tookMs: 250,
    });
    const [success] = sentIn(answered);
    const token = success?.name === "DeclareMiningJobSuccess" ? success.newMiningJobToken : new Uint8Array();
    expect(verifyToken(token, { crypto: pureCrypto, authorities: [AUTHORITY], now: server.now })).toMatchObject({
      token: { kind: "declared", job: { nbits, prevHash, minNtime: 1_800_000_000, extranonceSize: 8 } },
    });
    expect([server.core.pending, server.core.tokens, server.core.jobs.count]).toEqual([0, 0, 1]);
  });

  test("without transactions is checked at once", () => {
    const server = new Declaring();
    server.connect();
    const begun = server.declare();
    expect(typesOf(begun)).toEqual(["check"]);
    expect(answerIn(server.verdict(begun))).toBe("declared");
  });

  test("is never given a time that is too early for the chain", () => {
    const server = new Declaring();
    server.connect();
    server.do({ type: "tip", tip: tipBelow(102, { minNtime: 1_900_000_000 }) });
    expect(proposalIn(server.declare()).header.ntime).toBe(1_900_000_000);
  });

  test.each([
    ["refused", { locktime: 102 }],
    ["refused", { locktime: 1_799_999_999 }],
    ["taken", { locktime: 101 }],
    ["taken", { locktime: 1_799_999_998 }],
    ["taken", { locktime: 102, sequence: 0xffffffff }],
    ["taken", { locktime: 0 }],
  ])("is %s with the coinbase's lock time in %j", (outcome, coinbase) => {
    const server = new Declaring();
    server.connect();
    const isRefused = answerIn(server.declare(1, { coinbase }))?.startsWith(
      "invalid-coinbase-tx: the coinbase's lock time",
    );
    expect(isRefused ?? false).toBe(outcome === "refused");
  });
});

describe("what the node says of a declared block is what the client is told:", () => {
  test.each([
    [{ kind: "valid" }, "declared"],
    [{ kind: "invalid", reason: "bad-cb-amount" }, "invalid-job: a node says: bad-cb-amount"],
    [{ kind: "failed", reason: "it hangs" }, "internal-error: no node could check the block; try again later"],
    [{ kind: "no-node" }, "declared"],
  ] as const)("%j is %s", (verdict, answer) => {
    const server = new Declaring();
    server.connect();
    expect(answerIn(server.verdict(server.declare(), verdict))).toBe(answer);
    expect(server.core.pending).toBe(0);
  });
});

describe("where there is no node, a job is refused that", () => {
  const check = (sample: Parameters<Declaring["declare"]>[1]): string | undefined => {
    const server = new Declaring();
    server.connect();
    return answerIn(
      server.verdict(server.lookUp(server.declare(1, sample), sample?.transactions ?? []), { kind: "no-node" }),
    );
  };

  test("pays more than the subsidy without a transaction that could bring fees", () => {
    const pays = (value: bigint) => check({ coinbase: { outputs: [{ value, script: PAYOUT_SCRIPT }] } });
    expect(pays(5_000_000_000n)).toBe("declared");
    expect(pays(5_000_000_001n)).toBe("invalid-job: the block would break a rule: bad-cb-amount");
  });

  test("spends a coin twice", () => {
    const twice = [transaction(1), transaction(2, { spends: 1 })];
    expect(check({ transactions: twice })).toBe(
      "invalid-job: the block would break a rule: bad-txns-inputs-missingorspent",
    );
  });

  test("weighs more than a block may", () => {
    const heavy = (bytes: number) => check({ transactions: [transaction(1, { bytes })] });
    expect(heavy(990_000)).toBe("declared");
    expect(heavy(1_000_000)).toBe("invalid-job: the block would break a rule: bad-blk-weight");
  });

  test("asks for more signature operations than a block may have", () => {
    // A thousand OP_CHECKMULTISIG count twenty each, and a block has room for 20,000 legacy operations.
    const script = new Uint8Array(1_001).fill(0xae);
    const outputs = (length: number) => [
      { value: 1n, script: PAYOUT_SCRIPT },
      { value: 0n, script: script.slice(0, length) },
    ];
    expect(check({ coinbase: { outputs: outputs(1_000) } })).toBe("declared");
    expect(check({ coinbase: { outputs: outputs(1_001) } })).toContain("bad-blk-sigops");
  });

  test("has a version that no node takes", () => {
    expect(check({ message: { version: 3 } })).toBe("invalid-job: the block would break a rule: bad-version");
  });
});

describe("a declaration for another height", () => {
  test("below the next block's is stale at once", () => {
    const server = new Declaring();
    server.connect();
    const detail = "the next block has height 102, the coinbase says 101";
    expect(answerIn(server.declare(1, { coinbase: { height: 101 } }))).toBe(`stale-chain-tip: ${detail}`);
  });

  test("three above is no block that anybody can build now", () => {
    const server = new Declaring();
    server.connect();
    expect(answerIn(server.declare(1, { coinbase: { height: 105 } }))).toContain("invalid-coinbase-tx-input");
  });

  test.each([103, 104])("%i waits for the node to see the block before", (height) => {
    const server = new Declaring();
    server.connect();
    const held = server.declare(1, { coinbase: { height, locktime: 0 } });
    expect(held).toEqual([]);
    server.pass(LIMITS.tipWaitMs - 1);
    const seen = server.do({ type: "tip", tip: tipBelow(height) });
    expect(hex(proposalIn(seen).header.prevHash)).toBe(hex(hashOf(height - 1)));
    expect(answerIn(server.verdict(seen))).toBe("declared");
  });

  test("waits so long and no longer", () => {
    const server = new Declaring();
    server.connect();
    server.declare(1, { coinbase: { height: 103 } });
    expect(server.pass(LIMITS.tipWaitMs - 1)).toEqual([]);
    expect(answerIn(server.pass(1))).toBe("stale-chain-tip: the node has not seen the block before");
    expect([server.core.pending, server.core.tokens]).toEqual([0, 0]);
  });

  test("waits on when the tip moves on, but not to its own", () => {
    const server = new Declaring();
    server.connect();
    server.declare(1, { coinbase: { height: 104 } });
    expect(server.do({ type: "tip", tip: tipBelow(103) })).toEqual([]);
    expect(answerIn(server.do({ type: "tip", tip: tipBelow(105) }))).toContain("stale-chain-tip");
  });
});

describe("when the tip moves", () => {
  test("while transactions are awaited, a declaration for the former height is stale at once", () => {
    const server = new Declaring();
    server.connect();
    server.lookUp(server.declare(1, { transactions }), []);
    expect(answerIn(server.do({ type: "tip", tip: tipBelow(103) }))).toContain("stale-chain-tip");
  });

  test("to another block of the same height, one that was checked on the former is checked once more", () => {
    const server = new Declaring();
    server.connect();
    const first = server.declare();
    server.do({ type: "tip", tip: tipBelow(102, { prevHash: hashOf(9) }) });
    const again = server.verdict(first);
    expect(hex(proposalIn(again).header.prevHash)).toBe(hex(hashOf(9)));
    server.do({ type: "tip", tip: tipBelow(102, { prevHash: hashOf(8) }) });
    expect(answerIn(server.verdict(again))).toBe("stale-chain-tip: the chain's tip moved while the job was checked");
  });

  test("one that was checked on the former tip is stale when its height is over", () => {
    const server = new Declaring();
    server.connect();
    const first = server.declare();
    server.do({ type: "tip", tip: tipBelow(103) });
    expect(answerIn(server.verdict(first))).toContain("stale-chain-tip");
  });
});

describe("when the node has another tip than this server", () => {
  test("a declaration waits until this server has seen it, and is checked once more", () => {
    const server = new Declaring();
    server.connect();
    expect(server.verdict(server.declare(), { kind: "inconclusive" })).toEqual([]);
    const again = server.do({ type: "tip", tip: tipBelow(102, { prevHash: hashOf(9) }) });
    expect(answerIn(server.verdict(again))).toBe("declared");
  });

  test("it does not wait for long", () => {
    const server = new Declaring();
    server.connect();
    server.verdict(server.declare(), { kind: "inconclusive" });
    expect(server.pass(LIMITS.tipWaitMs - 1)).toEqual([]);
    expect(answerIn(server.pass(1))).toBe("stale-chain-tip: the node has another tip");
  });
});

describe("before the tip is known", () => {
  test("a declaration waits for it", () => {
    const server = new Declaring({}, { tip: undefined });
    server.connect();
    expect(server.declare()).toEqual([]);
    expect(answerIn(server.verdict(server.do({ type: "tip", tip: tipBelow(102) })))).toBe("declared");
  });

  test("one that has waited too long is not the client's fault", () => {
    const server = new Declaring({}, { tip: undefined });
    server.connect();
    server.declare();
    expect(answerIn(server.pass(LIMITS.tipWaitMs))).toBe(
      "internal-error: the server does not know the chain's tip yet",
    );
  });
});

describe("declarations under way are bounded", () => {
  test("for one connection", () => {
    const server = new Declaring();
    server.connect([1, 2]);
    for (let requestId = 1; requestId <= LIMITS.maxPendingPerConnection; requestId++) server.declare(1, { requestId });
    const detail = "2 declarations of this connection are not answered yet";
    expect(answerIn(server.declare(1, { requestId: 9 }))).toBe(`internal-error: ${detail}`);
    expect(answerIn(server.declare(2))).toBeUndefined();
    expect(server.core.pending).toBe(3);
  });

  test("for all connections together", () => {
    const server = new Declaring();
    const connections = Array.from({ length: 33 }, (_, at) => at + 1);
    server.connect(connections);
    for (const connection of connections.slice(0, 32)) {
      for (const requestId of [1, 2]) server.declare(connection, { requestId });
    }
    expect(server.core.pending).toBe(LIMITS.maxPending);
    const detail = "the server has too many declarations under way; try again later";
    expect(answerIn(server.declare(33))).toBe(`internal-error: ${detail}`);
  });

  test("so that whoever makes us wait longest goes when another declares, and none that is complete", () => {
    const server = new Declaring({ maxPending: 3 });
    server.connect([1, 2, 3]);
    server.declare(1, { requestId: 1 });
    server.now += 1;
    server.lookUp(server.declare(1, { requestId: 2, transactions }), []);
    server.now += 1;
    server.declare(2, { requestId: 3, coinbase: { height: 103, locktime: 0 } });
    const detail = "internal-error: the server has too many declarations under way; try again later";
    const [one, two] = [server.declare(3, { requestId: 4 }), server.declare(3, { requestId: 5 })];
    expect([requestIdIn(one), answerIn(one)]).toEqual([2, detail]);
    expect([requestIdIn(two), answerIn(two)]).toEqual([3, detail]);
    // What is left is with the node: whoever comes now has to come again.
    expect(answerIn(server.declare(2, { requestId: 6 }))).toBe(detail);
    expect(server.core.clients().map(({ pending }) => pending)).toEqual([1, 0, 2]);
  });

  test("in time, when whoever was asked never answers", () => {
    const server = new Declaring();
    server.connect();
    server.declare(1, { transactions });
    expect(server.pass(LIMITS.declarationTimeoutMs - 1)).toEqual([]);
    expect(answerIn(server.pass(1))).toContain("internal-error: the job could not be checked in time");
  });

  test("and nothing is left of them when their connection ends", () => {
    const server = new Declaring();
    server.connect();
    const begun = server.declare(1, { transactions });
    server.declare(1, { requestId: 2 });
    server.message(1, solution());
    server.ask();
    server.do({ type: "disconnected", connection: 1 });
    expect([server.core.pending, server.core.tokens, server.core.waiting, server.core.clients()]).toEqual([
      0,
      0,
      0,
      [],
    ]);
    expect(server.lookUp(begun, transactions)).toEqual([]);
    expect(server.pass(600_000)).toEqual([]);
  });

  test("and a request_id stands for one of them only", () => {
    const server = new Declaring();
    server.connect();
    const first = server.declare(1, { requestId: 5 });
    expect(answerIn(server.declare(1, { requestId: 5 }))).toContain("invalid-job: request_id 5 is that of");
    expect(answerIn(server.verdict(first))).toBe("declared");
    expect(answerIn(server.succeed(1, { requestId: 5 }))).toBe("declared");
  });
});

/** Which declaration these effects answer. */
function requestIdIn(effects: readonly DeclaratorEffect[]): number | undefined {
  const answer = sentIn(effects).find(({ name }) => name === "DeclareMiningJobError");
  return answer?.name === "DeclareMiningJobError" ? answer.requestId : undefined;
}
