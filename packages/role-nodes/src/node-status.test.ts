import type { SubmitResult } from "@adit/bitcoin-node";
import { expect, test } from "vitest";
import { BlockSubmission } from "./block-submission.ts";
import { answerText, nodeStatus, submissionStatus } from "./node-status.ts";
import { hashOf, nodeError } from "./testing/node-events.ts";

const DISPLAYED = `${"0".repeat(56)}65000000`;

test("a node's entry shows its tip as displayed, and the error with what to do", () => {
  const error = nodeError("getblockchaininfo");
  expect(nodeStatus("a:8332", { state: "down", tip: { hash: hashOf(101), height: 101 }, error })).toEqual({
    name: "a:8332",
    state: "down",
    height: 101,
    tip_hash: DISPLAYED,
    error: "node:8332 getblockchaininfo: it is gone",
  });
  const unheard = { state: "down", tip: undefined, error: undefined } as const;
  expect(nodeStatus("b:8332", unheard)).toMatchObject({ height: null, tip_hash: null, error: null });
});

test("a block's entry shows where it is filed and what each node said", () => {
  const submission = new BlockSubmission({ height: 101, hash: hashOf(101) }, 2);
  submission.begin();
  submission.handle({ type: "answer", node: 0, result: { kind: "accepted" } }, 0);
  submission.handle({ type: "looked-up", node: 0, standing: "in-chain" }, 0);
  expect(submissionStatus(submission, { file: "blocks/101.hex", names: ["a:8332", "b:8332"] })).toEqual({
    height: 101,
    hash: DISPLAYED,
    outcome: "accepted",
    file: "blocks/101.hex",
    nodes: [
      { name: "a:8332", attempts: 1, answer: "accepted" },
      { name: "b:8332", attempts: 1, answer: null },
    ],
  });
});

const answers: readonly (readonly [SubmitResult, string])[] = [
  [{ kind: "accepted" }, "accepted"],
  [{ kind: "known" }, "known"],
  [{ kind: "inconclusive", reason: "duplicate-inconclusive" }, "inconclusive: duplicate-inconclusive"],
  [{ kind: "retry", reason: "prev-blk-not-found" }, "retry: prev-blk-not-found"],
  [{ kind: "rejected", reason: "other", text: "odd-word" }, "rejected: odd-word"],
];

test.each(answers)("the answer %j reads %s", (result, text) => {
  expect(answerText({ result })).toBe(text);
});
