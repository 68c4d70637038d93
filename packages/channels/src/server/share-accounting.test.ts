import { DIFFICULTY_1, difficultyOf, hash, type Target, target, targetFromDifficulty, workOf } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AcceptedShare } from "./effects.ts";
import { ShareAccounting, WORK_OF_DIFFICULTY_1 } from "./share-accounting.ts";
import { Harness, messages, messagesNamed, shareErrors } from "./testing/harness.ts";

function share(sequenceNumber: number, shareTarget: Target, changes: Partial<AcceptedShare> = {}): AcceptedShare {
  return {
    connection: 1,
    channelId: 2,
    sequenceNumber,
    hash: hash(new Uint8Array(32)),
    prevHash: hash(new Uint8Array(32)),
    userIdentity: "alice",
    worker: undefined,
    work: workOf(shareTarget),
    difficulty: difficultyOf(shareTarget),
    shareDifficulty: 1,
    ntime: 0,
    nonce: 0,
    version: 0,
    extranonce: new Uint8Array(20),
    isBlock: false,
    jobId: 1,
    workId: 1,
    declaration: undefined,
    receivedAt: 0,
    ...changes,
  };
}

describe("a batch of acknowledgements", () => {
  test("sums the difficulty each share was sent with, as in the illustration of spec 5.3.13", () => {
    const accounting = new ShareAccounting(2, 10);
    const [da, db] = [targetFromDifficulty(1000), targetFromDifficulty(2887)];
    const answers = Array.from({ length: 10 }, (_, at) => accounting.recorded(share(at, at < 3 ? da : db), 0));
    expect(answers.slice(0, 9)).toEqual(Array.from({ length: 9 }, () => undefined));
    expect(answers[9]).toEqual({
      name: "SubmitSharesSuccess",
      channelId: 2,
      lastSequenceNumber: 9,
      newSubmitsAcceptedCount: 10,
      newSharesSum: 3n * 1000n + 7n * 2887n,
    });
  });

  test("is filled by a refused share too, as in the illustration of spec 5.3.14", () => {
    const accounting = new ShareAccounting(2, 10);
    const da = targetFromDifficulty(512);
    for (let at = 0; at < 9; at += 1) {
      const answer = at === 4 ? accounting.rejected("invalid-share") : accounting.recorded(share(at, da), 0);
      expect(answer).toBeUndefined();
    }
    expect(accounting.recorded(share(9, da), 0)).toMatchObject({
      lastSequenceNumber: 9,
      newSubmitsAcceptedCount: 9,
      newSharesSum: 9n * 512n,
    });
  });

  test("goes out after the interval even when it is not full, and then starts over", () => {
    const accounting = new ShareAccounting(2, 10);
    expect(accounting.due(100_000, 5000)).toBeUndefined();
    accounting.recorded(share(1, DIFFICULTY_1), 1000);
    accounting.recorded(share(2, DIFFICULTY_1), 4000);
    expect(accounting.due(5999, 5000)).toBeUndefined();
    expect(accounting.due(6000, 5000)).toMatchObject({ newSubmitsAcceptedCount: 2, newSharesSum: 2n });
    expect(accounting.due(60_000, 5000)).toBeUndefined();
  });

  test("goes out at once with a block", () => {
    const accounting = new ShareAccounting(2, 10);
    accounting.recorded(share(1, DIFFICULTY_1), 0);
    expect(accounting.recorded(share(2, DIFFICULTY_1, { isBlock: true }), 0)).toMatchObject({
      newSubmitsAcceptedCount: 2,
    });
  });

  test("loses nothing to rounding: over all batches the sum is that of the work", () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 1n << 200n, max: 1n << 228n }), { minLength: 1, maxLength: 40, size: "max" }),
        fc.integer({ min: 1, max: 7 }),
        (targets, batchSize) => {
          const accounting = new ShareAccounting(2, batchSize);
          const answers = targets.map((value, at) => accounting.recorded(share(at, target(value)), 0));
          const acknowledged = [...answers, accounting.due(10, 0)];
          const sum = acknowledged.reduce((total, answer) => total + (answer?.newSharesSum ?? 0n), 0n);
          const work = targets.reduce((total, value) => total + workOf(target(value)), 0n);
          expect(sum).toBe(work / WORK_OF_DIFFICULTY_1);
          expect(accounting.counts.work).toBe(work);
        },
      ),
    );
  });

  test("never exceeds 64 bits", () => {
    const accounting = new ShareAccounting(2, 1);
    expect(accounting.recorded(share(1, target(1n)), 0)?.newSharesSum).toBe(2n ** 64n - 1n);
  });
});

describe("the server", () => {
  test("acknowledges only what the store has recorded, by number or by time", () => {
    const harness = new Harness({ shareBatchSize: 2 });
    harness.connect(1);
    harness.newTip(1);
    const view = harness.open(1);
    const waiting: AcceptedShare[] = [];
    harness.store = (accepted) => {
      waiting.push(accepted);
      return undefined;
    };
    let from = 0;
    for (let count = 0; count < 3; count += 1) {
      const { message } = view.mine({ from });
      from = message.nonce + 1;
      expect(messages(harness.send(1, message))).toEqual([]);
    }
    const results = waiting.map((accepted) =>
      messages(harness.input({ type: "share-recorded", share: accepted, result: "recorded" })),
    );
    expect(results).toMatchObject([[], [{ newSubmitsAcceptedCount: 2, lastSequenceNumber: 2 }], []]);
    expect(messagesNamed(harness.tick(5), "SubmitSharesSuccess")).toMatchObject([
      { newSubmitsAcceptedCount: 1, lastSequenceNumber: 3 },
    ]);
  });

  test("answers a refused share at once and lets it fill the batch", () => {
    const harness = new Harness({ shareBatchSize: 2 });
    harness.connect(1);
    harness.newTip(1);
    const view = harness.open(1);
    const { message } = view.mine();
    expect(messages(harness.send(1, message))).toEqual([]);
    const effects = harness.send(1, message);
    expect(shareErrors(effects)).toEqual(["duplicate-share"]);
    expect(messagesNamed(effects, "SubmitSharesSuccess")).toMatchObject([{ newSubmitsAcceptedCount: 1 }]);
  });
});
