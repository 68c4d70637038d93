import { checkBlock, decodeBlock, stripWitness } from "@adit/bitcoin";
import type { SubmitSolution } from "@adit/codec";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NOW, paying, TIMESTAMP, template, withCoinbase, withInput, work } from "../testing/sample-work.ts";
import { coinbaseFor, reward, solve } from "../testing/solve.ts";
import { admitSolution, type SolutionFault, type SolutionOutcome } from "./solution.ts";

const value = template.valueRemaining;

const admit = (solution: SubmitSolution, now = NOW): SolutionOutcome =>
  admitSolution(solution, { template, headerTimestamp: TIMESTAMP, now: now * 1000, solvedBy: "client" });

function blockOf(solution: SubmitSolution): SolutionOutcome & { readonly kind: "block" } {
  const outcome = admit(solution);
  if (outcome.kind !== "block") throw new Error(`refused for ${outcome.faults.join()}`);
  return outcome;
}

describe("a solution with the work", () => {
  test("is a whole and valid block", () => {
    const { block, faults } = blockOf(solve(work));
    expect(faults).toEqual([]);
    expect(decodeBlock(block.bytes).transactions).toHaveLength(1 + template.transactions.length);
    const context = { ...template, nbits: template.bits, now: NOW, subsidyPlusFees: template.valueRemaining };
    expect(checkBlock(block.bytes, context)).toEqual([]);
  });

  const departures: readonly (readonly [SolutionFault, () => SubmitSolution])[] = [
    ["version-bits", () => solve(work, { version: 0x60000000 })],
    ["time-before-prevhash", () => solve(work, { headerTimestamp: TIMESTAMP - 1 })],
    ["coinbase-version", () => withCoinbase((tx) => ({ ...tx, version: 1 }))],
    ["coinbase-locktime", () => withCoinbase((tx) => ({ ...tx, locktime: 498 }))],
    ["coinbase-sequence", () => withInput({ sequence: 0xffffffff })],
    ["coinbase-value-unclaimed", () => paying(reward(value - 1n))],
    ["coinbase-exceeds-constraints", () => paying({ value, script: Uint8Array.of(0xac, 0xac) })],
  ];

  test.each(departures)("is a block that departs from its template by %s, and a node is to judge it", (fault, make) => {
    expect(blockOf(make()).faults).toEqual([fault]);
  });

  test("is a block though our clock is hours behind its time or days after it", () => {
    const solution = solve(work);
    expect(admit(solution, NOW - 86_400).kind).toBe("block");
    expect(admit(solution, NOW + 86_400).kind).toBe("block");
  });

  test("is a block though it pays too much, for the node to say so", () => {
    expect(blockOf(paying(reward(value + 1n))).faults).toEqual([]);
  });
});

describe("a coinbase without its witness", () => {
  test("is given it, so that the block is valid, and the departure is told", () => {
    const solution = solve(work);
    const bare = { ...solution, coinbaseTx: stripWitness(solution.coinbaseTx) };
    const { block, faults } = blockOf(bare);
    expect(faults).toEqual(["coinbase-witness-missing"]);
    expect(block.bytes).toEqual(blockOf(solution).block.bytes);
    expect(block.coinbase).toEqual(solution.coinbaseTx);
  });

  test("and that is no coinbase is left as it is", () => {
    const spends = { index: 0, witness: [] };
    const solution = withCoinbase((tx) => ({
      ...tx,
      segwit: false,
      inputs: tx.inputs.map((input) => ({ ...input, ...spends })),
    }));
    const { block } = blockOf(solution);
    expect(block.coinbase).toEqual(solution.coinbaseTx);
  });
});

describe("a solution is refused", () => {
  test("without the work, for that and for all else that is wrong with it", () => {
    const miss = solve(work, { miss: true, version: 0x60000000 });
    expect(admit(miss)).toEqual({ kind: "refused", faults: ["high-hash", "version-bits"] });
  });

  test("when its coinbase is no transaction", () => {
    expect(admit(solve(work, { coinbaseTx: Uint8Array.of(1, 2, 3) }))).toEqual({
      kind: "refused",
      faults: ["coinbase-encoding"],
    });
  });
});

test("any bytes are judged, and what passes is a block that can be read", () => {
  const good = coinbaseFor(work);
  const damaged = fc
    .array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 })
    .map((changes) => changes.reduce((bytes, [at, byte]) => bytes.with(at, byte), good));
  const name = "SubmitSolution";
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), fc.nat(0xffffffff), (coinbaseTx, headerNonce) => {
      const rest = { version: 0x20000000, headerTimestamp: TIMESTAMP, headerNonce, coinbaseTx };
      const outcome = admit({ name, templateId: 1n, ...rest });
      if (outcome.kind === "refused") expect(outcome.faults.length).toBeGreaterThan(0);
      else expect(decodeBlock(outcome.block.bytes).transactions.length).toBe(1 + template.transactions.length);
    }),
    { numRuns: 400 },
  );
});

test("an admitted block does not depend on bytes that are changed after it was judged", () => {
  const solution = solve(work);
  const { block } = blockOf(solution);
  const before = [block.bytes.slice(), block.coinbase.slice()];
  solution.coinbaseTx.fill(0);
  expect([block.bytes, block.coinbase]).toEqual(before);
});
