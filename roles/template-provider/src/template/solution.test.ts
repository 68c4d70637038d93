import type { Transaction } from "@adit/bitcoin";
import type { SubmitSolution } from "@adit/codec";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { medianTimePast } from "../embedded/chain-tip.ts";
import { NOW, paying, TIMESTAMP, template, tip, withCoinbase, withInput, work } from "../testing/sample-work.ts";
import { coinbaseFor, reward, solve } from "../testing/solve.ts";
import { checkSolution, type SolutionFault } from "./solution.ts";

const value = template.valueRemaining;

function faultsOf(solution: SubmitSolution, headerTimestamp = TIMESTAMP): readonly SolutionFault[] {
  const outcome = checkSolution(solution, { template, headerTimestamp, now: NOW * 1000, solvedBy: "client" });
  return outcome.kind === "refused" ? outcome.faults : [];
}

function withScript(change: (script: Uint8Array) => Uint8Array): SubmitSolution {
  return withCoinbase((tx) => ({
    ...tx,
    inputs: tx.inputs.map((input) => ({ ...input, script: change(input.script.slice()) })),
  }));
}

const outputs = (change: (own: Transaction["outputs"]) => Transaction["outputs"]): SubmitSolution =>
  withCoinbase((tx) => ({ ...tx, outputs: change(tx.outputs) }));

describe("a solution", () => {
  test("that keeps to its template is a block with its transactions in it", () => {
    const solution = solve(work);
    const outcome = checkSolution(solution, {
      template,
      headerTimestamp: TIMESTAMP,
      now: NOW * 1000,
      solvedBy: "client",
    });
    expect(outcome).toMatchObject({
      kind: "block",
      block: { height: 500, solvedBy: "client", coinbase: solution.coinbaseTx, transactions: template.transactions },
    });
    expect(template.transactions.length).toBeGreaterThan(1);
  });

  test("may roll exactly the version bits of BIP323 and the time within the rules", () => {
    expect(faultsOf(solve(work, { version: 0x20000000 | 0x1fffffe0 }))).toEqual([]);
    expect(faultsOf(solve(work, { headerTimestamp: TIMESTAMP + 300 }))).toEqual([]);
    expect(faultsOf(solve(work, { headerTimestamp: NOW + 7200 }))).toEqual([]);
  });

  test("may pay the role's outputs in any split", () => {
    expect(faultsOf(paying(reward(value - 5n, 1), reward(5n, 2)))).toEqual([]);
  });

  const cases: readonly (readonly [SolutionFault, () => SubmitSolution])[] = [
    ["high-hash", () => solve(work, { miss: true })],
    ["version-bits", () => solve(work, { version: 0x20000001 })],
    ["version-bits", () => solve(work, { version: 0x60000000 })],
    ["bad-version", () => solve(work, { version: 0x80000000 })],
    ["time-before-prevhash", () => solve(work, { headerTimestamp: TIMESTAMP - 1 })],
    ["time-too-old", () => solve(work, { headerTimestamp: medianTimePast(tip) })],
    ["time-too-new", () => solve(work, { headerTimestamp: NOW + 7201 })],
    ["coinbase-encoding", () => solve(work, { coinbaseTx: Uint8Array.of(1, 2, 3) })],
    ["coinbase-encoding", () => solve(work, { coinbaseTx: new Uint8Array(0) })],
    ["coinbase-version", () => withCoinbase((tx) => ({ ...tx, version: 1 }))],
    ["coinbase-locktime", () => withCoinbase((tx) => ({ ...tx, locktime: 498 }))],
    ["bad-txns-nonfinal", () => withCoinbase((tx) => ({ ...tx, locktime: 500 }))],
    ["coinbase-sequence", () => withInput({ sequence: 0xffffffff })],
    ["bad-cb-missing", () => withInput({ index: 0 })],
    ["coinbase-prefix", () => withScript((script) => script.with(1, 0x77))],
    ["bad-cb-height", () => withScript((script) => script.with(1, 0x77))],
    ["bad-cb-length", () => withScript((script) => Uint8Array.from({ length: 101 }, (_, at) => script[at] ?? 0x51))],
    ["bad-witness-nonce-size", () => withInput({ witness: [new Uint8Array(31)] })],
    ["bad-witness-merkle-match", () => withInput({ witness: [new Uint8Array(32).fill(1)] })],
    [
      "bad-witness-nonce-size",
      () =>
        withCoinbase((tx) => ({ ...tx, segwit: false, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) })),
    ],
    ["bad-cb-amount", () => paying(reward(value + 1n))],
    ["coinbase-value-unclaimed", () => paying(reward(value - 1n))],
    ["coinbase-template-outputs", () => outputs((all) => all.toReversed())],
    ["coinbase-template-outputs", () => outputs((all) => all.slice(0, 1))],
    ["unexpected-witness", () => outputs((all) => all.slice(0, 1))],
    ["coinbase-exceeds-constraints", () => paying(reward(value - 2n, 1), reward(1n, 2), reward(1n, 3))],
    ["coinbase-exceeds-constraints", () => paying({ value, script: Uint8Array.of(0xac, 0xac) })],
  ];

  test.each(cases)("is refused with %s when that is what is wrong (case %#)", (fault, make) => {
    expect(faultsOf(make())).toContain(fault);
  });

  test("has no other fault than the one it was given", () => {
    const alone = cases.filter(
      ([fault]) => !["bad-version", "coinbase-prefix", "bad-cb-height", "time-too-old"].includes(fault),
    );
    const found = alone.map(([fault, make]) => [fault, faultsOf(make())] as const);
    for (const [fault, faults] of found) {
      const implied: Partial<Record<SolutionFault, readonly SolutionFault[]>> = {
        "bad-txns-nonfinal": ["coinbase-locktime"],
        "unexpected-witness": ["coinbase-template-outputs"],
        "coinbase-template-outputs": ["unexpected-witness", "coinbase-exceeds-constraints"],
        "bad-cb-missing": [],
      };
      const others = faults.filter((other) => other !== fault && !(implied[fault] ?? []).includes(other));
      expect([fault, others]).toEqual([fault, []]);
    }
  });

  test("of any bytes is judged and never throws", () => {
    const good = coinbaseFor(work);
    const damaged = fc
      .array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 })
      .map((changes) => changes.reduce((bytes, [at, value]) => bytes.with(at, value), good));
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), fc.nat(0xffffffff), (coinbaseTx, version) => {
        const name = "SubmitSolution";
        const rest = { headerTimestamp: version, headerNonce: 1, coinbaseTx };
        const faults = faultsOf({ name, templateId: 1n, version, ...rest });
        expect(faults.length).toBeGreaterThan(0);
      }),
      { numRuns: 400 },
    );
  });

  test("does not depend on bytes that are changed after it was judged", () => {
    const solution = solve(work);
    const outcome = checkSolution(solution, {
      template,
      headerTimestamp: TIMESTAMP,
      now: NOW * 1000,
      solvedBy: "client",
    });
    if (outcome.kind === "refused") throw new Error(outcome.faults.join());
    const { bytes, coinbase } = outcome.block;
    const before = [bytes.slice(), coinbase.slice()];
    solution.coinbaseTx.fill(0);
    expect([bytes, coinbase]).toEqual(before);
  });
});
