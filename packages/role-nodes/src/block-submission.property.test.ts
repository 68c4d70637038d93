import type { SubmitResult } from "@adit/bitcoin-node";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type BlockOutcome,
  type BlockStanding,
  BlockSubmission,
  type SubmissionEffect,
  type SubmissionInput,
} from "./block-submission.ts";
import { hashOf, nodeError } from "./testing/node-events.ts";

const HEIGHT = 500;
const NODES = 3;

const results: readonly (SubmitResult | ReturnType<typeof nodeError>)[] = [
  { kind: "accepted" },
  { kind: "known" },
  { kind: "inconclusive", reason: "inconclusive" },
  { kind: "retry", reason: "prev-blk-not-found" },
  { kind: "rejected", reason: "bad-cb-amount", text: "bad-cb-amount" },
  nodeError("submitblock"),
];
const standings: readonly BlockStanding[] = ["in-chain", "beside", "unknown"];

/** What happens next: one of the calls under way is answered, or fails without a word, or time passes. */
type Step =
  | { readonly type: "answer"; readonly which: number; readonly with: number }
  | { readonly type: "pass"; readonly ms: number; readonly bestHeight: number | undefined };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant("answer" as const), which: fc.nat({ max: 50 }), with: fc.nat({ max: 50 }) }),
  fc.record({
    type: fc.constant("pass" as const),
    ms: fc.constantFrom(1, 200, 5_000, 10_000, 60_000),
    bestHeight: fc.constantFrom(undefined, HEIGHT - 1, HEIGHT, HEIGHT + 5),
  }),
);
const history = fc.array(step, { maxLength: 80 });

/** A block on its way to nodes that answer in any order and at any time; every effect is taken as the shell does. */
class Traffic {
  readonly submission = new BlockSubmission({ height: HEIGHT, hash: hashOf(HEIGHT) }, NODES);
  readonly outcomes: BlockOutcome[] = ["pending"];
  now = 0;
  #underWay: readonly Exclude<SubmissionEffect, { readonly type: "outcome" }>[] = [];

  constructor() {
    this.#perform(this.submission.begin());
  }

  get callsUnderWay(): number {
    return this.#underWay.length;
  }

  do(one: Step): SubmissionInput | undefined {
    if (one.type === "pass") this.now += one.ms;
    const input = one.type === "pass" ? ({ type: "tick", bestHeight: one.bestHeight } as const) : this.#answer(one);
    if (input !== undefined) this.#perform(this.submission.handle(input, this.now));
    return input;
  }

  #answer(one: Step & { readonly type: "answer" }): SubmissionInput | undefined {
    const call = this.#underWay[one.which % Math.max(1, this.#underWay.length)];
    if (call === undefined) return undefined;
    this.#underWay = this.#underWay.filter((other) => other !== call);
    const { node } = call;
    if (call.type === "submit") return { type: "answer", node, result: results[one.with % results.length]! };
    // The fourth is a look-up that fails, of which the submission is not told.
    const standing = standings[one.with % (standings.length + 1)];
    return standing === undefined ? undefined : { type: "looked-up", node, standing };
  }

  #perform(effects: readonly SubmissionEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "outcome") {
        this.outcomes.push(effect.outcome);
        continue;
      }
      const isTwice = this.#underWay.some(({ type, node }) => type === "submit" && node === effect.node);
      if (effect.type === "submit" && isTwice) throw new Error(`node ${effect.node} has the block under way already`);
      this.#underWay = [...this.#underWay, effect];
    }
  }
}

describe("whatever nodes answer, and in whatever order", () => {
  test("no node has the same block under way twice", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const traffic = new Traffic();
        expect(() => steps.forEach((one) => traffic.do(one))).not.toThrow();
      }),
      { numRuns: 1_000 },
    );
  });

  test("a block that was accepted stays so unless a node says otherwise", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const traffic = new Traffic();
        for (const one of steps) {
          const before = traffic.submission.outcome;
          const input = traffic.do(one);
          if (before !== "accepted" || traffic.submission.outcome === "accepted") continue;
          expect(traffic.submission.outcome).toBe("side-branch");
          expect(input).toMatchObject({ type: "looked-up", standing: "beside" });
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("outcomes are told when they change, and the last one told is the one it has", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const traffic = new Traffic();
        for (const one of steps) traffic.do(one);
        const { outcomes, submission } = traffic;
        expect(outcomes.at(-1)).toBe(submission.outcome);
        expect(outcomes.every((outcome, at) => at === 0 || outcome !== outcomes[at - 1])).toBe(true);
        expect(outcomes.slice(1)).not.toContain("pending");
      }),
      { numRuns: 500 },
    );
  });

  test("it comes to an end within a minute of the sixth block after it, with an outcome that nothing changes", () => {
    fc.assert(
      fc.property(history, history, (steps, afterwards) => {
        const traffic = new Traffic();
        for (const one of steps) traffic.do(one);
        for (let second = 0; second <= 60; second++) {
          traffic.do({ type: "pass", ms: 1_000, bestHeight: HEIGHT + 6 });
        }
        const { outcome, isDone } = traffic.submission;
        expect(isDone).toBe(true);
        expect(outcome).not.toBe("pending");
        const left = traffic.callsUnderWay;
        for (const one of afterwards) traffic.do(one);
        expect(traffic.submission.outcome).toBe(outcome);
        expect(traffic.submission.isDone).toBe(true);
        expect(traffic.callsUnderWay).toBeLessThanOrEqual(left);
      }),
      { numRuns: 500 },
    );
  });
});
