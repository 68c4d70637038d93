import { decodeTransaction, hex, merkleRootOf, pureHashing, stripWitness, txid } from "@adit/bitcoin";
import type { NewTemplate, RequestTransactionDataSuccess } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { NonceSearch } from "./embedded/elsewhere.ts";
import { Harness, type HarnessEffect, START } from "./testing/harness.ts";
import { coinbaseFor, solve } from "./testing/solve.ts";

const types = (effects: readonly HarnessEffect[]): readonly string[] => effects.map(({ type }) => type);
const names = (effects: readonly HarnessEffect[]): readonly string[] =>
  effects.flatMap((effect) => (effect.type === "send" ? effect.messages.map(({ name }) => name) : []));

describe("a template client", () => {
  test("is answered at once with a future template and the prevhash that starts it", () => {
    const harness = new Harness();
    const { template, prevHash } = harness.join(1);
    expect(harness.sent.get(1)).toEqual([template, prevHash]);
    expect(template).toMatchObject({ futureTemplate: true, version: 0x20000000, coinbaseTxOutputsCount: 1 });
    expect(template.merklePath.length).toBeGreaterThan(0);
    expect(prevHash).toMatchObject({
      templateId: template.templateId,
      headerTimestamp: START / 1000,
      nBits: 0x200fffff,
    });
  });

  test("gets nothing before its constraints, and is closed when it asks for something else first", () => {
    const harness = new Harness();
    expect(harness.do({ type: "connected", client: 1 })).toEqual([]);
    expect(harness.message(1, { name: "RequestTransactionData", templateId: 1n })).toMatchObject([
      { type: "close", client: 1, reason: expect.stringContaining("CoinbaseOutputConstraints") },
    ]);
  });

  test("is closed when its constraints never come, and only then", () => {
    const harness = new Harness();
    harness.do({ type: "connected", client: 1 });
    harness.join(2);
    expect(types(harness.tick(30_000)).filter((type) => type === "close")).toEqual([]);
    expect(harness.tick(1)).toMatchObject([{ type: "close", client: 1 }]);
  });

  test("is closed when it asks for more room than a block has", () => {
    const harness = new Harness();
    harness.do({ type: "connected", client: 1 });
    const message = {
      name: "CoinbaseOutputConstraints",
      coinbaseOutputMaxAdditionalSize: 0xffffffff,
      coinbaseOutputMaxAdditionalSigops: 0,
    } as const;
    expect(types(harness.message(1, message))).toEqual(["close"]);
  });

  test("is closed when it asks more than it may in a minute, once, and another minute is another", () => {
    const harness = new Harness({ maxRequestsPerMinute: 3 });
    harness.join(1);
    harness.join(2);
    const ask = (client: number): readonly string[] =>
      types(harness.message(client, { name: "RequestTransactionData", templateId: 1n }));
    expect([ask(1), ask(1), ask(1), ask(1)]).toEqual([["send"], ["send"], ["close"], []]);
    expect(ask(2)).toEqual(["send"]);
    harness.tick(60_000);
    expect([ask(2), ask(2), ask(2), ask(2)]).toEqual([["send"], ["send"], ["send"], ["close"]]);
  });

  test("gets another template with the same tip when it changes its constraints, and has the one before still", () => {
    const harness = new Harness();
    const before = harness.join(1);
    const room = { coinbaseOutputMaxAdditionalSize: 999_708, coinbaseOutputMaxAdditionalSigops: 0 };
    harness.message(1, { name: "CoinbaseOutputConstraints", ...room });
    const after = harness.work(1);
    expect(after.prevHash).not.toBe(before.prevHash);
    expect(after.prevHash).toMatchObject({ prevHash: before.prevHash.prevHash, templateId: after.template.templateId });
    expect(after.template).toMatchObject({ futureTemplate: true, merklePath: [] });
    expect(after.template.templateId).toBeGreaterThan(before.template.templateId);
    harness.message(1, { name: "RequestTransactionData", templateId: before.template.templateId });
    expect(harness.sent.get(1)?.at(-1)).toMatchObject({ name: "RequestTransactionDataSuccess" });
  });

  test("gets the transactions of a template, which lead with the coinbase to its merkle root", () => {
    const harness = new Harness();
    const work = harness.join(1);
    harness.message(1, { name: "RequestTransactionData", templateId: work.template.templateId });
    const reply = harness.sent.get(1)?.at(-1) as RequestTransactionDataSuccess;
    expect(reply.name).toBe("RequestTransactionDataSuccess");
    const coinbase = stripWitness(coinbaseFor(work));
    const ids = reply.transactionList.map((bytes) => txid(decodeTransaction(bytes)));
    const root = merkleRootOf([pureHashing.sha256d(coinbase), ...ids]);
    expect(hex(pureHashing.merkleRoot(coinbase, work.template.merklePath))).toBe(hex(root));
  });

  test("is told apart a template that is stale from one that never was", () => {
    const harness = new Harness();
    const old = harness.join(1);
    harness.message(1, solve(old));
    const ask = (templateId: bigint): unknown => {
      harness.message(1, { name: "RequestTransactionData", templateId });
      return harness.sent.get(1)?.at(-1);
    };
    const name = "RequestTransactionDataError";
    expect(ask(old.template.templateId)).toMatchObject({ name, errorCode: "stale-template-id" });
    expect(ask(harness.work(1).template.templateId + 1000n)).toMatchObject({
      name,
      errorCode: "template-id-not-found",
    });
    expect(ask(1n)).toMatchObject({ name, errorCode: "template-id-not-found" });
  });
});

describe("better templates", () => {
  test("come when the fees have risen, not before the interval, and on the same tip", () => {
    const harness = new Harness({ templateIntervalMs: 1_000, minIntervalMs: 3_000, mempoolTransactions: 40 });
    const { template: first } = harness.join(1);
    expect(harness.tick(1_000)).toEqual([]);
    expect(harness.tick(1_999)).toEqual([]);
    expect(names(harness.tick(1))).toEqual(["NewTemplate"]);
    const { template: second } = harness.work(1);
    expect(second.futureTemplate).toBe(false);
    expect(second.coinbaseTxValueRemaining).toBeGreaterThan(first.coinbaseTxValueRemaining);
    expect(harness.tick(10)).toEqual([]);
  });

  test("do not come for a gain below the threshold", () => {
    const harness = new Harness({ templateIntervalMs: 1_000, feeThreshold: 100_000_000n });
    harness.join(1);
    for (let round = 0; round < 20; round++) expect(harness.tick(1_000)).toEqual([]);
  });

  test("have ids that rise strictly for ever, and from the clock after a restart", () => {
    const harness = new Harness({ templateIntervalMs: 1, maxTemplatesPerClient: 1_000 });
    harness.join(1);
    harness.join(2);
    for (let round = 0; round < 50; round++) harness.tick(1);
    const ids = [1, 2]
      .flatMap((client) => harness.sent.get(client) ?? [])
      .flatMap((message) => (message.name === "NewTemplate" ? [message.templateId] : []));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(4);
    expect(ids[0]).toBe(BigInt(START));
    for (const client of [1, 2]) {
      const own = (harness.sent.get(client) ?? []).flatMap((m) => (m.name === "NewTemplate" ? [m.templateId] : []));
      expect(own).toEqual(own.toSorted((a, b) => Number(a - b)));
    }
  });

  test("stay solvable until there are too many newer ones", () => {
    const harness = new Harness({ templateIntervalMs: 1_000, mempoolTransactions: 400, maxTemplatesPerClient: 3 });
    const first = harness.join(1);
    for (let round = 0; harness.server.clients.get(1)!.templatesSent < 3; round++) harness.tick(1_000);
    expect(harness.message(1, solve(first, { miss: true }))).toMatchObject([{ faults: ["high-hash"] }]);
    for (let round = 0; harness.server.clients.get(1)!.templatesSent < 4; round++) harness.tick(1_000);
    expect(harness.message(1, solve(first))).toMatchObject([{ faults: ["unknown-template"] }]);
  });
});

describe("a solution", () => {
  test("is stored before the tip moves, and then every client gets a future template and its prevhash", () => {
    const harness = new Harness();
    const work = harness.join(1);
    harness.join(2);
    harness.do({ type: "connected", client: 3 });
    const [solved, ...none] = harness.server.handle({ type: "message", client: 1, message: solve(work) }, harness.now);
    expect(none).toEqual([]);
    if (solved?.type !== "block-solved") throw new Error("not solved");
    const { block } = solved;
    expect(harness.core.handle({ type: "solved", block }, harness.now)).toEqual([{ type: "store-block", block }]);
    expect(harness.chain.tip.height).toBe(0);
    const effects = harness.onChain({ type: "block-stored", block });
    expect(types(effects)).toEqual([
      "block-connected",
      "forget-templates",
      "keep-template",
      "send",
      "keep-template",
      "send",
    ]);
    expect(names(effects)).toEqual(["NewTemplate", "SetNewPrevHash", "NewTemplate", "SetNewPrevHash"]);
    const [future, prevHash] = effects[3]?.type === "send" ? effects[3].messages : [];
    expect(future).toMatchObject({ futureTemplate: true, coinbaseTxLocktime: 1 });
    expect(prevHash).toMatchObject({ prevHash: block.hash, templateId: (future as NewTemplate).templateId });
    expect(harness.chain.tip).toMatchObject({ height: 1, hash: block.hash });
    expect(harness.blocks).toMatchObject({ accepted: 1, rejected: 0 });
  });

  test("takes its transactions out of the mempool", () => {
    const harness = new Harness();
    const work = harness.join(1);
    const before = harness.chain.template({ maxAdditionalSize: 0, maxAdditionalSigops: 0 }).transactions;
    harness.message(1, solve(work));
    const after = harness.chain.template({ maxAdditionalSize: 0, maxAdditionalSigops: 0 }).transactions;
    expect(after.length).toBeGreaterThan(0);
    expect(after.filter((transaction) => before.includes(transaction))).toEqual([]);
  });

  test("that comes while another is being stored, or after it, is stale", () => {
    const harness = new Harness();
    const one = harness.join(1);
    const two = harness.join(2);
    const [solved] = harness.server.handle({ type: "message", client: 1, message: solve(one) }, harness.now);
    expect(harness.message(2, solve(two))).toMatchObject([{ client: 2, faults: ["stale-template"] }]);
    if (solved?.type !== "block-solved") throw new Error("not solved");
    harness.onChain({ type: "solved", block: solved.block });
    expect(harness.message(2, solve(two))).toMatchObject([{ client: 2, faults: ["stale-template"] }]);
    expect(harness.blocks).toMatchObject({ accepted: 1, rejected: 2 });
  });

  test("that is wrong changes nothing but the counts, and the client stays", () => {
    const harness = new Harness();
    const work = harness.join(1);
    const bad = solve(work, { version: 1, miss: true });
    expect(harness.message(1, bad)).toEqual([
      {
        type: "solution-refused",
        client: 1,
        templateId: work.template.templateId,
        faults: ["high-hash", "bad-version", "version-bits"],
      },
    ]);
    expect(harness.blocks).toMatchObject({ rejected: 1, accepted: 0 });
    expect(harness.server.refused.byReason.get("version-bits")).toBe(1);
    expect(types(harness.message(1, solve(work)))).toContain("store-block");
  });

  test("for a template nobody was sent is refused", () => {
    const harness = new Harness();
    const work = harness.join(1);
    harness.join(2);
    expect(harness.message(2, solve(work))).toMatchObject([{ faults: ["unknown-template"] }]);
    expect(harness.message(1, solve(work, { templateId: 5n }))).toMatchObject([{ faults: ["unknown-template"] }]);
  });

  test("can be brought by a new connection when the one it was meant for has gone", () => {
    const harness = new Harness();
    const work = harness.join(1);
    harness.do({ type: "disconnected", client: 1 });
    harness.tick(5_000);
    harness.join(2);
    expect(types(harness.message(2, solve(work)))).toContain("block-connected");
  });

  test("of a client that has left is stale once there is another block", () => {
    const harness = new Harness();
    const old = harness.join(1);
    harness.do({ type: "disconnected", client: 1 });
    harness.message(2, solve(harness.join(2)));
    expect(harness.message(2, solve(old))).toMatchObject([{ faults: ["stale-template"] }]);
    harness.message(2, { name: "RequestTransactionData", templateId: old.template.templateId });
    expect(harness.sent.get(2)?.at(-1)).toMatchObject({ errorCode: "stale-template-id" });
    expect(harness.chain.tip.height).toBe(1);
  });

  test("on a chain of many blocks is accepted again and again", () => {
    const harness = new Harness();
    harness.join(1);
    for (let height = 1; height <= 20; height++) {
      harness.now += 1_000;
      harness.message(1, solve(harness.work(1)));
      expect(harness.chain.tip.height).toBe(height);
    }
  });

  test("is accepted when blocks come faster than the clock moves", () => {
    const harness = new Harness();
    harness.join(1);
    for (let height = 1; height <= 30; height++) harness.message(1, solve(harness.work(1)));
    expect(harness.chain.tip.height).toBe(30);
  });
});

describe("a block from elsewhere", () => {
  function due(harness: Harness): HarnessEffect & { readonly type: "mine-elsewhere" } {
    for (let round = 0; round < 1_000; round++) {
      const found = harness.tick(1_000).find((effect) => effect.type === "mine-elsewhere");
      if (found !== undefined) return found;
    }
    throw new Error("never due");
  }

  test("is mined by this process when its time has come, and moves everybody to a new tip", () => {
    const harness = new Harness({ elsewhereIntervalMs: 20_000 });
    const work = harness.join(1);
    const { candidate } = due(harness);
    const nonce = new NonceSearch(candidate, pureHashing).advance(100_000)!;
    const effects = harness.onChain({ type: "elsewhere-solved", candidate, nonce });
    expect(types(effects)).toEqual([
      "store-block",
      "block-connected",
      "forget-templates",
      "keep-template",
      "send",
      "stop-mining",
    ]);
    expect(harness.blocks).toMatchObject({ accepted: 0, elsewhere: 1 });
    expect(harness.message(1, solve(work))).toMatchObject([{ faults: ["stale-template"] }]);
    expect(types(harness.message(1, solve(harness.work(1))))).toContain("block-connected");
  });

  test("is given up when a client is first", () => {
    const harness = new Harness({ elsewhereIntervalMs: 20_000 });
    harness.join(1);
    const { candidate } = due(harness);
    expect(types(harness.message(1, solve(harness.work(1))))).toContain("stop-mining");
    const nonce = new NonceSearch(candidate, pureHashing).advance(100_000)!;
    expect(harness.onChain({ type: "elsewhere-solved", candidate, nonce })).toEqual([]);
    expect(harness.chain.tip.height).toBe(1);
  });

  test("never comes when it is switched off", () => {
    const harness = new Harness({ mempoolTransactions: 0 });
    for (let round = 0; round < 100; round++) expect(harness.tick(60_000)).toEqual([]);
  });
});
