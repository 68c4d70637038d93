import { decodeBlock } from "@adit/bitcoin";
import { hashOf, nodeTransaction } from "@adit/role-nodes/testing";
import { describe, expect, test } from "vitest";
import type { SentTemplate } from "./template-client.ts";
import type { TemplateServerEffect } from "./template-server.ts";
import { NodeHarness } from "./testing/node-harness.ts";
import { solve } from "./testing/solve.ts";

const types = (effects: readonly TemplateServerEffect[]): readonly string[] => effects.map(({ type }) => type);
const names = (effects: readonly TemplateServerEffect[]): readonly string[] =>
  effects.flatMap((effect) => (effect.type === "send" ? effect.messages.map(({ name }) => name) : []));
/** Transactions that pay `fees` together. */
const paying = (fees: bigint) => ({
  transactions: [nodeTransaction(1, { fee: fees })],
  coinbaseValue: 5_000_000_000n + fees,
});
const PAIR = ["NewTemplate", "SetNewPrevHash"];

describe("a client that comes before any node has answered", () => {
  test("is given work as soon as there is some, and stays meanwhile", () => {
    const harness = new NodeHarness();
    expect(harness.join(1)).toEqual([]);
    expect(harness.tick(60_000)).toEqual([]);
    expect(names(harness.give())).toEqual(PAIR);
    expect(harness.work(1)).toMatchObject({ template: { futureTemplate: true }, prevHash: { prevHash: hashOf(101) } });
  });

  test("may ask and change its constraints, and nothing comes of it", () => {
    const harness = new NodeHarness();
    harness.join(1);
    const room = { coinbaseOutputMaxAdditionalSize: 10, coinbaseOutputMaxAdditionalSigops: 0 };
    expect(harness.message(1, { name: "CoinbaseOutputConstraints", ...room })).toEqual([]);
    harness.message(1, { name: "RequestTransactionData", templateId: 7n });
    expect(harness.sentTo(1)).toMatchObject([{ errorCode: "template-id-not-found" }]);
    const coinbaseTx = new Uint8Array(60);
    const solution = { version: 1, headerTimestamp: 1, headerNonce: 1, coinbaseTx };
    expect(harness.message(1, { name: "SubmitSolution", templateId: 7n, ...solution })).toMatchObject([
      { type: "solution-refused", faults: ["unknown-template"] },
    ]);
    harness.give();
    expect(harness.server.clients.get(1)?.room).toEqual({ maxAdditionalSize: 10, maxAdditionalSigops: 0 });
  });

  test("but sends no constraints is closed all the same", () => {
    const harness = new NodeHarness();
    harness.do({ type: "connected", client: 1 });
    expect(harness.tick(30_001)).toMatchObject([{ type: "close", client: 1 }]);
  });
});

describe("the full template after a stopgap", () => {
  test("is sent at once, whatever the interval and the threshold", () => {
    const harness = new NodeHarness({ feeThreshold: 1_000_000n, minIntervalMs: 60_000 });
    harness.give();
    harness.join(1);
    harness.tick(1_000);
    expect(names(harness.give({ height: 103 }, true))).toEqual(PAIR);
    expect(names(harness.give({ height: 103, ...paying(5n) }))).toEqual(["NewTemplate"]);
    const { template } = harness.work(1);
    expect(template).toMatchObject({ futureTemplate: false, coinbaseTxValueRemaining: 5_000_000_005n });
  });

  test("is not sent when it brings nothing", () => {
    const harness = new NodeHarness();
    harness.join(1);
    harness.give({}, true);
    expect(harness.give()).toEqual([]);
  });

  test("does not make the next one come sooner than it may", () => {
    const harness = new NodeHarness();
    harness.join(1);
    harness.give({}, true);
    harness.give(paying(1_000n));
    expect(harness.give(paying(9_000n))).toEqual([]);
    expect(harness.tick(4_999)).toEqual([]);
    expect(names(harness.tick(1))).toEqual(["NewTemplate"]);
  });
});

test("a template on the same tip waits for its interval and has to bring the threshold", () => {
  const harness = new NodeHarness();
  harness.join(1);
  harness.give(paying(1_000n));
  harness.give(paying(1_099n));
  expect(harness.tick(5_000)).toEqual([]);
  harness.give(paying(1_100n));
  expect(names(harness.tick(5_000))).toEqual(["NewTemplate"]);
});

describe("a chain that goes from A to B and back to A", () => {
  test("gives each client a future template and its prevhash three times, with ids that rise", () => {
    const harness = new NodeHarness();
    harness.join(1);
    for (const fields of [{ height: 102 }, { height: 103 }, { height: 102 }]) {
      expect(names(harness.give(fields))).toEqual(PAIR);
    }
    const ids = harness.sentTo(1).flatMap((m) => (m.name === "NewTemplate" ? [m.templateId] : []));
    expect(ids).toEqual([...new Set(ids)].toSorted((one, other) => Number(one - other)));
    expect(harness.work(1).prevHash).toMatchObject({ prevHash: hashOf(101), templateId: ids.at(-1) });
  });

  test("makes the first templates of A good again, for transactions and for solutions", () => {
    const harness = new NodeHarness();
    harness.join(1);
    harness.give({ height: 102, transactions: [nodeTransaction(3)] });
    const first = harness.work(1);
    const ask = (): unknown => {
      harness.message(1, { name: "RequestTransactionData", templateId: first.template.templateId });
      return harness.sentTo(1).at(-1);
    };
    harness.give({ height: 103 });
    expect(ask()).toMatchObject({ errorCode: "stale-template-id" });
    harness.give({ height: 102 });
    expect(ask()).toMatchObject({ transactionList: [nodeTransaction(3).bytes] });
    expect(types(harness.message(1, solve(first)))).toEqual(["block-solved"]);
  });
});

describe("a block that is late", () => {
  test("is solved all the same, on a tip before and after another block of the same tip", () => {
    const harness = new NodeHarness();
    harness.give();
    harness.join(1);
    harness.join(2);
    const [one, two] = [harness.work(1), harness.work(2)];
    expect(types(harness.message(1, solve(one)))).toEqual(["block-solved"]);
    expect(types(harness.message(2, solve(two)))).toEqual(["block-solved"]);
    harness.give({ height: 103 });
    harness.give({ height: 104 });
    const [late] = harness.message(2, solve(two, { headerTimestamp: two.prevHash.headerTimestamp + 1 }));
    expect(late).toMatchObject({ type: "block-solved", client: 2, faults: [], block: { height: 102 } });
    expect(harness.server.refused.total).toBe(0);
  });

  test("is solved for the newest template of every client, of however many there are", () => {
    const harness = new NodeHarness();
    harness.give(paying(0n));
    const clients = Array.from({ length: 12 }, (_, at) => at + 1);
    for (const client of clients) harness.join(client);
    for (let round = 1; round < 128; round++) {
      harness.give(paying(BigInt(round) * 1_000n));
      harness.tick(5_000);
    }
    const works = clients.map((client) => harness.work(client));
    expect(harness.server.clients.get(1)?.templates.size).toBe(128);
    harness.give({ height: 103 });
    for (const [at, work] of works.entries()) {
      expect(types(harness.message(clients[at]!, solve(work)))).toEqual(["block-solved"]);
    }
  });

  test("is solved for a client that has left, by another connection", () => {
    const harness = new NodeHarness();
    harness.give();
    harness.join(1);
    const work = harness.work(1);
    harness.do({ type: "disconnected", client: 1 });
    harness.give({ height: 103 });
    harness.join(2);
    expect(types(harness.message(2, solve(work)))).toEqual(["block-solved"]);
  });
});

describe("templates of a former process", () => {
  /** What a process that was killed had sent: a template on each of two tips. */
  function former(): {
    readonly sent: Map<bigint, SentTemplate>;
    readonly works: readonly ReturnType<NodeHarness["work"]>[];
  } {
    const harness = new NodeHarness();
    harness.join(1);
    const sent = new Map<bigint, SentTemplate>();
    const works = [102, 103].map((height) => {
      for (const effect of harness.give({ height })) {
        if (effect.type === "keep-template") sent.set(effect.templateId, effect.sent);
      }
      return harness.work(1);
    });
    return { sent, works };
  }

  test("make blocks before any node has answered, on whatever tip, with their transactions", () => {
    const { sent, works } = former();
    const harness = new NodeHarness({ former: { firstId: [...sent.keys()][0], sent } });
    harness.join(5);
    for (const work of works) {
      const [solved] = harness.message(5, solve(work));
      if (solved?.type !== "block-solved") throw new Error("not solved");
      expect(decodeBlock(solved.block.bytes).header.prevHash).toEqual(work.prevHash.prevHash);
    }
  });

  test("are told from ids that never were, and new ids are above theirs though the clock went back", () => {
    const { sent, works } = former();
    const firstId = [...sent.keys()][0]! - 5n;
    const harness = new NodeHarness({ former: { firstId, sent } });
    harness.join(5);
    harness.now -= 3_600_000;
    harness.give({ height: 104 });
    expect(harness.work(5).template.templateId).toBeGreaterThan(works[1]!.template.templateId);
    const ask = (templateId: bigint): unknown => {
      harness.message(5, { name: "RequestTransactionData", templateId });
      return harness.sentTo(5).at(-1);
    };
    expect(ask(firstId + 1n)).toMatchObject({ errorCode: "stale-template-id" });
    expect(ask(works[0]!.template.templateId)).toMatchObject({ errorCode: "stale-template-id" });
    expect(ask(firstId - 1n)).toMatchObject({ errorCode: "template-id-not-found" });
    harness.give({ height: 103 });
    expect(ask(works[1]!.template.templateId)).toMatchObject({ name: "RequestTransactionDataSuccess" });
  });
});
