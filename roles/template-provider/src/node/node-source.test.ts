import { decodeOutputs, witnessCommitmentOutput } from "@adit/bitcoin";
import type { ReceivedTemplate } from "@adit/role-nodes";
import { hashOf, nodeTemplate, nodeTransaction } from "@adit/role-nodes/testing";
import { describe, expect, test } from "vitest";
import { NodeSource } from "./node-source.ts";

const NOW = 5_000;
const room = { maxAdditionalSize: 100, maxAdditionalSigops: 1 };

function received(
  fields: Parameters<typeof nodeTemplate>[0] = {},
  rest: Partial<ReceivedTemplate> = {},
): ReceivedTemplate {
  return { template: nodeTemplate(fields), at: NOW, isStopgap: false, ...rest };
}

function sourceOf(first: ReceivedTemplate, clock: () => number = () => NOW): NodeSource {
  const source = new NodeSource(clock);
  source.take(first);
  return source;
}

describe("what a node's newer template is", () => {
  test("is a tip when it is the first, on another block, or has another target", () => {
    const source = new NodeSource(() => NOW);
    expect(source.take(received())).toEqual({ type: "tip" });
    expect(source.take(received({ height: 103 }))).toEqual({ type: "tip" });
    expect(source.take(received({ height: 103, bits: 0x1f00ffff }))).toEqual({ type: "tip" });
    expect(source.take(received({ height: 103, prevHash: hashOf(9), bits: 0x1f00ffff }))).toEqual({ type: "tip" });
  });

  test("is a tip again when the chain goes from A to B and back to A", () => {
    const source = sourceOf(received());
    expect(source.take(received({ height: 103 }))).toEqual({ type: "tip" });
    expect(source.take(received())).toEqual({ type: "tip" });
    expect(source.tip).toEqual({ hash: hashOf(101), height: 101 });
  });

  test("is better on the same tip, and to be sent at once in place of a stopgap", () => {
    const source = sourceOf(received({}, { isStopgap: true }));
    expect(source.take(received())).toEqual({ type: "better-templates", atOnce: true });
    expect(source.take(received())).toEqual({ type: "better-templates", atOnce: false });
  });
});

describe("a node's template laid out for a client", () => {
  const transactions = [1, 2, 3].map((seed) => nodeTransaction(seed));
  const commitment = Uint8Array.of(0x6a, 0x24, 0xaa);

  test("has all its transactions, the node's own commitment and all the money", () => {
    const fields = { transactions, witnessCommitment: commitment, coinbaseValue: 5_000_003_000n };
    const source = sourceOf(received(fields));
    const template = source.template(room);
    expect(template).toMatchObject({ height: 102, prevHash: hashOf(101), transactions, fees: 3_000n });
    expect(template.valueRemaining).toBe(5_000_003_000n);
    expect(template.medianTimePast).toBe(nodeTemplate().minTime - 1);
    expect(decodeOutputs(template.outputs, 1)).toEqual([{ value: 0n, script: commitment }]);
  });

  test("gives up the fees, and the node's commitment, of what does not fit", () => {
    const coinbaseValue = 5_000_003_000n;
    const fields = { transactions, witnessCommitment: commitment, coinbaseValue, weightLimit: 2_000 + 1_700 };
    const template = sourceOf(received(fields)).template(room);
    expect(template.transactions).toEqual(transactions.slice(0, 2));
    expect(template.valueRemaining).toBe(coinbaseValue - 1_000n);
    const own = witnessCommitmentOutput(transactions.slice(0, 2).map(({ wtxid }) => wtxid));
    expect(decodeOutputs(template.outputs, 1)).toEqual([own]);
  });

  test("leaves out what spends from a transaction that does not fit, and keeps to the limit of operations", () => {
    const chain = [
      nodeTransaction(1, { sigopsCost: 79_990 }),
      nodeTransaction(2, { sigopsCost: 20 }),
      nodeTransaction(3, { sigopsCost: 0, depends: [1] }),
      nodeTransaction(4, { sigopsCost: 6 }),
    ];
    const template = sourceOf(received({ transactions: chain, coinbaseValue: 5_000_004_000n })).template(room);
    expect(template.transactions.map(({ bytes }) => bytes[0])).toEqual([1, 4]);
    expect(template.valueRemaining).toBe(5_000_002_000n);
  });

  test("is made once for all clients that ask for the same room, and anew from a newer template", () => {
    const source = sourceOf(received());
    const made = source.template(room);
    expect(source.template({ ...room })).toBe(made);
    expect(source.template({ ...room, maxAdditionalSigops: 2 })).not.toBe(made);
    source.take(received());
    expect(source.template(room)).not.toBe(made);
  });

  test("is not kept for every room that a client may think of", () => {
    const source = sourceOf(received());
    const made = source.template(room);
    for (let maxAdditionalSize = 0; maxAdditionalSize < 64; maxAdditionalSize++) {
      source.template({ maxAdditionalSize, maxAdditionalSigops: 0 });
    }
    expect(source.template(room)).not.toBe(made);
  });
});

describe("the time a miner starts at", () => {
  test("is the node's, carried on by our clock, wherever that stands", () => {
    let now = NOW;
    const source = sourceOf(received({ curTime: 1_800_000_000 }), () => now);
    expect(source.startTime()).toBe(1_800_000_000);
    now += 7_999;
    expect(source.startTime()).toBe(1_800_000_007);
    expect(source.age).toBe(7_999);
  });

  test("is never too early for the chain", () => {
    const early = sourceOf(received({ curTime: 1_800_000_000, minTime: 1_800_000_500 }));
    expect(early.startTime()).toBe(1_800_000_500);
  });
});

test("a source without a template has no tip, no fees and nothing to give", () => {
  const source = new NodeSource(() => NOW);
  expect([source.tip, source.received, source.age, source.fees]).toEqual([undefined, undefined, undefined, 0n]);
  expect(() => source.template(room)).toThrow("there is no template yet");
  expect(() => source.startTime()).toThrow("there is no template yet");
});
