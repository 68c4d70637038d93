import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NodeError } from "./errors.ts";
import { proposalResult, submitRejectReasons, submitResult, submitResultOf } from "./submit-result.ts";

const site = { node: "127.0.0.1:18443", method: "submitblock" };
const submitted = (result: unknown): ReturnType<typeof submitResult> => submitResult(result, site);
const proposed = (result: unknown): ReturnType<typeof proposalResult> => proposalResult(result, site);

describe("the answer to a submitted block", () => {
  test.each([
    [null, { kind: "accepted" }],
    ["duplicate", { kind: "known" }],
    ["inconclusive", { kind: "inconclusive", reason: "inconclusive" }],
    ["duplicate-inconclusive", { kind: "inconclusive", reason: "duplicate-inconclusive" }],
    ["inconclusive-not-best-prevblk", { kind: "inconclusive", reason: "inconclusive-not-best-prevblk" }],
    ["prev-blk-not-found", { kind: "retry", reason: "prev-blk-not-found" }],
    ["bad-prevblk", { kind: "rejected", reason: "bad-prevblk", text: "bad-prevblk" }],
    ["duplicate-invalid", { kind: "rejected", reason: "duplicate-invalid", text: "duplicate-invalid" }],
    ["bad-version(0x00000001)", { kind: "rejected", reason: "bad-version", text: "bad-version(0x00000001)" }],
    [
      "block-script-verify-flag-failed (Operation not valid)",
      {
        kind: "rejected",
        reason: "block-script-verify-flag-failed",
        text: "block-script-verify-flag-failed (Operation not valid)",
      },
    ],
    ["something-new", { kind: "rejected", reason: "other", text: "something-new" }],
    ["\u0007bell", { kind: "rejected", reason: "other", text: "?bell" }],
  ])("of Bitcoin Core, %j", (said, result) => {
    expect(submitted(said)).toEqual(result);
  });

  test.each([
    ["rejected: duplicate", { kind: "known" }],
    ["rejected: bad-prevblk", { kind: "retry", reason: "prev-blk-not-found" }],
    ["rejected: high-hash", { kind: "rejected", reason: "high-hash", text: "rejected: high-hash" }],
    [
      "rejected: mandatory-script-verify-flag-failed",
      {
        kind: "rejected",
        reason: "block-script-verify-flag-failed",
        text: "rejected: mandatory-script-verify-flag-failed",
      },
    ],
  ])("of bcoin, %j", (said, result) => {
    expect(submitted(said)).toEqual(result);
  });

  const hash = "00".repeat(32);
  test.each([
    [`already have block ${hash}`, { kind: "known" }],
    [`already have block (orphan) ${hash}`, { kind: "inconclusive", reason: "duplicate-inconclusive" }],
    [`previous block ${hash} is unknown`, { kind: "retry", reason: "prev-blk-not-found" }],
    [`previous block ${hash} is not known`, { kind: "retry", reason: "prev-blk-not-found" }],
    ["block timestamp of 2106-02-07 06:28:15 is too far in the future", { kind: "retry", reason: "time-too-new" }],
  ])("of btcd, rejected: %s", (said, result) => {
    expect(submitted(`rejected: ${said}`)).toEqual(result);
  });

  test.each([
    [`previous block ${hash} is known to be invalid`, "bad-prevblk"],
    [`block ${hash} is known to be invalid`, "duplicate-invalid"],
    [`block hash of ${hash} is higher than expected max of ${hash}`, "high-hash"],
    ["block difficulty of 1 is not the expected value of 2", "bad-diffbits"],
    ["block timestamp of 2009-01-03 18:15:05 is not after expected 2024", "time-too-old"],
    [
      `block merkle root is invalid - block header indicates ${hash}, but calculated value is ${hash}`,
      "bad-txnmrklroot",
    ],
    ["coinbase transaction for block pays 6 which is more than expected value of 5", "bad-cb-amount"],
    ["the coinbase signature script serialized block height is 1 when 2 was expected", "bad-cb-height"],
    ["the coinbase signature script does not minimally encode the height 2", "bad-cb-height"],
    ["block's weight metric is too high - got 4000001, max 4000000", "bad-blk-weight"],
    ["block contains too many signature operations - got 80001, max 80000", "bad-blk-sigops"],
    [
      `output ${hash}:0 referenced from transaction ${hash}:0 either does not exist or has already been spent`,
      "bad-txns-inputs-missingorspent",
    ],
    [`witness commitment does not match: computed ${hash}, coinbase includes ${hash}`, "bad-witness-merkle-match"],
    ["the coinbase transaction witness nonce has 31 bytes when it must be 32 bytes", "bad-witness-nonce-size"],
    ["block contains transaction with witness data, yet no witness commitment present", "unexpected-witness"],
    ["new blocks with version 1 are no longer valid", "bad-version"],
    ["the dog ate it", "other"],
  ])("of btcd, rejected: %s", (said, reason) => {
    expect(submitted(`rejected: ${said}`)).toMatchObject({ kind: "rejected", reason });
  });

  test("is taken for what it says with every reason that has a type, with a prefix as well", () => {
    const kept = submitRejectReasons.filter((reason) => reason !== "bad-prevblk");
    for (const reason of kept) {
      expect(submitted(reason)).toMatchObject({ kind: "rejected", reason });
      expect(submitted(`rejected: ${reason}`)).toMatchObject({ kind: "rejected", reason });
    }
  });

  test("has a printable text whatever the node says", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 500 }), (said) => {
        const result = submitted(said);
        if (result.kind === "rejected") expect(result.text).toMatch(/^[\x20-\x7e]{0,203}$/);
      }),
    );
  });

  test.each([[undefined], [true], [0], [{}]])("is a bad response when it is %j", (said) => {
    expect(() => submitted(said)).toThrow(NodeError);
  });
});

describe("an error of submitblock", () => {
  const error = (rpcCode: number | undefined): NodeError =>
    new NodeError("rpc-error", { ...site, message: "said so", rpcCode });

  test("for bytes that are no block is a refusal", () => {
    expect(submitResultOf(error(-22))).toMatchObject({ kind: "rejected", reason: "undecodable" });
  });

  test("for a fault of the node's own is tried again", () => {
    expect(submitResultOf(error(-25))).toMatchObject({ kind: "retry" });
  });

  test.each([-28, -1, undefined])("with code %s says nothing of the block", (code) => {
    expect(submitResultOf(error(code))).toBeUndefined();
  });
});

test.each([
  [null, { kind: "valid" }],
  ["duplicate", { kind: "valid" }],
  ["inconclusive-not-best-prevblk", { kind: "inconclusive", reason: "inconclusive-not-best-prevblk" }],
  ["bad-prevblk", { kind: "inconclusive", reason: "bad-prevblk" }],
  ["duplicate-invalid", { kind: "invalid", reason: "duplicate-invalid" }],
  ["bad-cb-value", { kind: "invalid", reason: "bad-cb-amount" }],
  ["bad-txnmrklroot", { kind: "invalid", reason: "bad-txnmrklroot" }],
])("the answer %j to a proposal", (said, result) => {
  expect(proposed(said)).toEqual(result);
});
