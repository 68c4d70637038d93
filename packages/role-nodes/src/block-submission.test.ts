import type { SubmitResult } from "@adit/bitcoin-node";
import { describe, expect, test } from "vitest";
import { type BlockStanding, BlockSubmission, type SubmissionEffect } from "./block-submission.ts";
import { hashOf, nodeError } from "./testing/node-events.ts";

const HEIGHT = 500;
const accepted: SubmitResult = { kind: "accepted" };
const known: SubmitResult = { kind: "known" };
const inconclusive: SubmitResult = { kind: "inconclusive", reason: "inconclusive" };
const retry: SubmitResult = { kind: "retry", reason: "prev-blk-not-found" };
const rejected: SubmitResult = { kind: "rejected", reason: "bad-cb-amount", text: "bad-cb-amount" };
const tooNew: SubmitResult = { kind: "retry", reason: "time-too-new" };
const gone = nodeError("submitblock");

/** A block on its way to two nodes, with a clock. */
class Way {
  readonly submission: BlockSubmission;
  now = 0;
  bestHeight: number | undefined = HEIGHT - 1;

  constructor(nodes = 2) {
    this.submission = new BlockSubmission({ height: HEIGHT, hash: hashOf(HEIGHT) }, nodes);
    this.submission.begin();
  }

  answer(node: number, result: SubmitResult | typeof gone): readonly SubmissionEffect[] {
    return this.submission.handle({ type: "answer", node, result }, this.now);
  }

  lookedUp(node: number, standing: BlockStanding): readonly SubmissionEffect[] {
    return this.submission.handle({ type: "looked-up", node, standing }, this.now);
  }

  up(node: number): readonly SubmissionEffect[] {
    return this.submission.handle({ type: "node-up", node }, this.now);
  }

  /** Lets time pass; the first effect comes exactly then. */
  after(ms: number): readonly SubmissionEffect[] {
    this.now += ms;
    return this.submission.handle({ type: "tick", bestHeight: this.bestHeight }, this.now);
  }
}

const outcome = (is: string): SubmissionEffect => ({ type: "outcome", outcome: is }) as SubmissionEffect;

describe("a block", () => {
  test("goes to all nodes at once", () => {
    const submission = new BlockSubmission({ height: HEIGHT, hash: hashOf(HEIGHT) }, 3);
    expect(submission.begin()).toEqual([0, 1, 2].map((node) => ({ type: "submit", node })));
    expect(submission).toMatchObject({ height: HEIGHT, outcome: "pending", isDone: false });
  });

  test.each([accepted, known, inconclusive])(
    "that a node has ($kind) is looked up, and accepted when in its chain",
    (result) => {
      const way = new Way();
      expect(way.answer(0, result)).toEqual([{ type: "look-up", node: 0 }]);
      expect(way.submission.outcome).toBe("pending");
      expect(way.lookedUp(0, "in-chain")).toEqual([outcome("accepted")]);
      expect(way.submission.answers).toEqual([
        { result, attempts: 1 },
        { result: undefined, attempts: 1 },
      ]);
    },
  );

  test("that the node has beside its chain is so until it comes into it, and the other way round", () => {
    const way = new Way(1);
    way.answer(0, inconclusive);
    expect(way.lookedUp(0, "beside")).toEqual([outcome("side-branch")]);
    for (let look = 0; look < 3; look++) {
      expect(way.after(4_999)).toEqual([]);
      expect(way.after(1)).toEqual([{ type: "look-up", node: 0 }]);
    }
    expect(way.lookedUp(0, "in-chain")).toEqual([outcome("accepted")]);
    expect(way.lookedUp(0, "in-chain")).toEqual([]);
    expect(way.lookedUp(0, "beside")).toEqual([outcome("side-branch")]);
  });

  test("is accepted when it is in the chain of one node, whatever the other says", () => {
    const way = new Way();
    way.answer(0, accepted);
    way.lookedUp(0, "in-chain");
    expect(way.answer(1, rejected)).toEqual([]);
    expect(way.submission.outcome).toBe("accepted");
    const other = new Way();
    other.answer(0, accepted);
    other.answer(1, inconclusive);
    other.lookedUp(0, "in-chain");
    expect(other.lookedUp(1, "beside")).toEqual([]);
  });

  test("is rejected when every node has refused it, and not tried again", () => {
    const way = new Way();
    expect(way.answer(0, rejected)).toEqual([]);
    expect(way.submission).toMatchObject({ outcome: "pending", isDone: false });
    expect(way.answer(1, rejected)).toEqual([outcome("rejected")]);
    expect(way.submission.isDone).toBe(true);
    expect(way.after(3_600_000)).toEqual([]);
  });

  test("that one node refused is still tried with a node that is down", () => {
    const way = new Way();
    way.answer(0, rejected);
    way.answer(1, gone);
    expect(way.after(250)).toEqual([{ type: "submit", node: 1 }]);
    way.answer(1, accepted);
    expect(way.lookedUp(1, "in-chain")).toEqual([outcome("accepted")]);
  });
});

describe("a node that could not judge the block", () => {
  test.each([
    ["is gone", gone],
    ["lacks the parent", retry],
    ["has a clock behind the block's time", tooNew],
  ])("because it %s is asked again, after ever longer waits up to ten seconds", (_, result) => {
    const way = new Way(1);
    const waits: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      way.answer(0, result);
      for (const from = way.now; way.after(50).length === 0; ) waits[attempt] = way.now + 50 - from;
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(way.submission).toMatchObject({ outcome: "pending", answers: [{ attempts: 9 }] });
  });

  test("is asked as long as it takes, and the block is accepted when it is back", () => {
    const way = new Way(1);
    for (let attempt = 0; attempt < 2_000; attempt++) {
      way.answer(0, gone);
      expect(way.after(10_000)).toEqual([{ type: "submit", node: 0 }]);
    }
    way.answer(0, accepted);
    expect(way.lookedUp(0, "in-chain")).toEqual([outcome("accepted")]);
  });

  test("is asked at once when it answers again, if it is to be asked at all", () => {
    const way = new Way(2);
    way.answer(0, gone);
    expect(way.up(0)).toEqual([{ type: "submit", node: 0 }]);
    expect(way.up(0)).toEqual([]);
    way.answer(1, rejected);
    expect(way.up(1)).toEqual([]);
  });

  test("is not asked again while it has not answered", () => {
    const way = new Way(1);
    expect(way.after(60_000)).toEqual([]);
    expect(way.after(3_600_000)).toEqual([]);
  });

  test("but said it did, as btcd does without the parent, is given the block again", () => {
    const way = new Way(1);
    way.answer(0, accepted);
    expect(way.lookedUp(0, "unknown")).toEqual([]);
    expect(way.submission.outcome).toBe("pending");
    expect(way.after(9_999)).toEqual([]);
    expect(way.after(1)).toEqual([{ type: "submit", node: 0 }]);
  });

  test("is not asked twice at once when a late look-up does not find the block either", () => {
    const way = new Way(1);
    way.answer(0, accepted);
    expect(way.after(5_000)).toEqual([{ type: "look-up", node: 0 }]);
    way.lookedUp(0, "unknown");
    expect(way.after(10_000)).toEqual([{ type: "submit", node: 0 }]);
    expect(way.lookedUp(0, "unknown")).toEqual([]);
    expect(way.after(60_000)).toEqual([]);
  });
});

describe("a block that six others were found after", () => {
  test("is not tried any more", () => {
    const way = new Way();
    way.answer(0, gone);
    way.answer(1, retry);
    way.bestHeight = HEIGHT + 5;
    expect(way.after(250)).toHaveLength(2);
    way.answer(0, gone);
    way.answer(1, retry);
    way.bestHeight = HEIGHT + 6;
    expect(way.after(60_000)).toEqual([outcome("superseded")]);
    expect(way.submission.isDone).toBe(true);
  });

  test("keeps the outcome it has", () => {
    const way = new Way();
    way.answer(0, accepted);
    way.lookedUp(0, "in-chain");
    way.answer(1, gone);
    way.bestHeight = HEIGHT + 6;
    expect(way.after(250)).toEqual([]);
    expect(way.submission).toMatchObject({ outcome: "accepted", isDone: true });
  });

  test("and was taken up from its file is judged by what the nodes know of it", () => {
    const way = new Way(1);
    way.bestHeight = HEIGHT + 100;
    expect(way.after(200)).toEqual([]);
    expect(way.answer(0, known)).toEqual([{ type: "look-up", node: 0 }]);
    expect(way.after(200)).toEqual([]);
    expect(way.lookedUp(0, "in-chain")).toEqual([outcome("accepted")]);
    expect(way.after(200)).toEqual([]);
    expect(way.submission.isDone).toBe(true);
  });

  test("is given up after a minute when a node never says what it knows", () => {
    const way = new Way();
    way.answer(0, accepted);
    way.bestHeight = HEIGHT + 6;
    way.after(0);
    expect(way.after(59_999)).toEqual([{ type: "look-up", node: 0 }]);
    expect(way.submission.isDone).toBe(false);
    expect(way.after(1)).toEqual([outcome("superseded")]);
    expect(way.submission.isDone).toBe(true);
    expect(way.answer(1, accepted)).toEqual([]);
    expect(way.lookedUp(0, "in-chain")).toEqual([]);
  });

  test("is not given up for a best tip that nobody knows", () => {
    const way = new Way(1);
    way.answer(0, gone);
    way.bestHeight = undefined;
    expect(way.after(250)).toEqual([{ type: "submit", node: 0 }]);
  });
});

test("an answer of a node that the block was not submitted to is refused", () => {
  expect(() => new Way(1).answer(1, accepted)).toThrow("the block was not submitted to node 1");
});
