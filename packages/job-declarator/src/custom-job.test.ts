import { hex } from "@adit/bitcoin";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import { authorityPublicKey, pureCrypto } from "@adit/noise";
import { describe, expect, test } from "vitest";
import { readDeclaredCoinbase } from "./core/declared-coinbase.ts";
import { type CustomJobContext, judgeCustomJob } from "./custom-job.ts";
import { AUTHORITY, AUTHORITY_SECRET, countingEntropy, Declaring, declaration, sentIn } from "./testing/declaring.ts";
import { concat, tipBelow, transaction } from "./testing/sample-template.ts";
import { TokenMinter } from "./token-minter.ts";
import { UsedTokens } from "./used-tokens.ts";

const transactions = [transaction(1), transaction(2)];
const tip = tipBelow(102);
const [first, second] = transactions;

/** A job that a jd-server has declared good, as a client hands it to the pool, and what the pool knows. */
function declared(): { readonly message: SetCustomMiningJob; readonly context: CustomJobContext } {
  const jdServer = new Declaring();
  jdServer.connect();
  const effects = jdServer.succeed(1, { transactions });
  const success = sentIn(effects).find((message) => message.name === "DeclareMiningJobSuccess");
  if (success === undefined) throw new Error("the declaration was refused");
  return { message: message(success.newMiningJobToken), context: context(jdServer.now) };
}

function message(miningJobToken: Uint8Array): SetCustomMiningJob {
  const { coinbaseTxPrefix, coinbaseTxSuffix, version } = declaration({ transactions });
  const coinbase = readDeclaredCoinbase(coinbaseTxPrefix, coinbaseTxSuffix);
  if ("errorCode" in coinbase) throw new Error(coinbase.detail);
  return {
    name: "SetCustomMiningJob",
    channelId: 2,
    requestId: 5,
    miningJobToken,
    version,
    prevHash: u256(tip.prevHash),
    minNtime: tip.minNtime + 40,
    nbits: tip.nbits,
    coinbaseTxVersion: coinbase.txVersion,
    coinbasePrefix: coinbase.scriptSigStart,
    coinbaseTxInputNSequence: coinbase.inputSequence,
    coinbaseTxOutputs: coinbase.countedOutputs,
    coinbaseTxLocktime: coinbase.locktime,
    // Two transactions: the coinbase is paired with the first, then both with the second and itself.
    merklePath: [u256(first!.txid), u256(pureCrypto.sha256(pureCrypto.sha256(concat(second!.txid, second!.txid))))],
  };
}

function context(now: number): CustomJobContext {
  return {
    userIdentity: "farm",
    extranonceSize: 8,
    now,
    authorities: [AUTHORITY],
    used: new UsedTokens(),
    crypto: pureCrypto,
  };
}

const refusal = (errorCode: string) => ({ kind: "refused", errorCode });
const wrongHash = u256(new Uint8Array(32).fill(1));

describe("a declared job", () => {
  test("is accepted as it was declared, with its token's id", () => {
    const { message: job, context } = declared();
    const verdict = judgeCustomJob(job, context);
    expect(verdict).toMatchObject({ kind: "accepted", mode: "declared" });
    expect(verdict.kind === "accepted" && hex(verdict.token.id)).toBe(hex(job.miningJobToken.subarray(2, 18)));
  });

  test("may have any general purpose bits and a later time, up to two hours ahead", () => {
    const { message: job, context } = declared();
    const latest = context.now / 1000 + 7_200;
    expect(judgeCustomJob({ ...job, version: 0x3fffffe0, minNtime: latest }, context).kind).toBe("accepted");
    expect(judgeCustomJob({ ...job, minNtime: tip.minNtime }, context).kind).toBe("accepted");
  });

  test.each([
    ["stale-chain-tip", { prevHash: wrongHash }],
    ["invalid-nbits", { nbits: tip.nbits - 1 }],
    ["invalid-min-ntime", { minNtime: tip.minNtime - 1 }],
    ["invalid-min-ntime", { minNtime: 1_800_000_100 + 7_201 }],
    ["invalid-version", { version: 0x20000001 }],
    ["invalid-version", { version: 0x40000000 }],
    ["invalid-coinbase-tx-version", { coinbaseTxVersion: 1 }],
    ["invalid-coinbase-prefix", { coinbasePrefix: Uint8Array.of(1, 102, 0) }],
    ["invalid-coinbase-tx-input-n-sequence", { coinbaseTxInputNSequence: 0xffffffff }],
    ["invalid-coinbase-tx-outputs", { coinbaseTxOutputs: new Uint8Array() }],
    ["invalid-coinbase-tx-locktime", { coinbaseTxLocktime: 0 }],
    ["invalid-merkle-path", { merklePath: [wrongHash] }],
    ["invalid-merkle-path", { merklePath: [] }],
  ] as const)("is refused with %s for %j", (errorCode, fields) => {
    const { message: job, context } = declared();
    expect(judgeCustomJob({ ...job, ...fields }, context)).toMatchObject(refusal(errorCode));
  });

  test("is refused with invalid-coinbase-tx on a channel with another extranonce size", () => {
    const { message: job, context } = declared();
    expect(judgeCustomJob(job, { ...context, extranonceSize: 9 })).toMatchObject(refusal("invalid-coinbase-tx"));
  });
});

describe("a token is refused with invalid-mining-job-token", () => {
  const invalid = refusal("invalid-mining-job-token");

  test("once a job was taken for it, and not before", () => {
    const { message: job, context } = declared();
    expect(judgeCustomJob(job, context).kind).toBe("accepted");
    const verdict = judgeCustomJob(job, context);
    if (verdict.kind === "accepted") context.used.add(verdict.token, context.now);
    expect(judgeCustomJob(job, context)).toMatchObject(invalid);
  });

  test("of another user", () => {
    const { message: job, context } = declared();
    expect(judgeCustomJob(job, { ...context, userIdentity: "farm2" })).toMatchObject(invalid);
    expect(judgeCustomJob(job, { ...context, userIdentity: "" })).toMatchObject(invalid);
  });

  test("when its time is over", () => {
    const { message: job, context } = declared();
    expect(judgeCustomJob(job, { ...context, now: context.now + 600_999 }).kind).toBe("accepted");
    expect(judgeCustomJob(job, { ...context, now: context.now + 601_000 })).toMatchObject(invalid);
  });

  test("of a jd-server that the pool does not trust", () => {
    const { message: job, context } = declared();
    const stranger = authorityPublicKey(new Uint8Array(32).fill(9));
    expect(judgeCustomJob(job, { ...context, authorities: [stranger] })).toMatchObject(invalid);
  });

  test("that is no token", () => {
    const { message: job, context } = declared();
    for (const miningJobToken of [new Uint8Array(), new Uint8Array(255).fill(7)]) {
      expect(judgeCustomJob({ ...job, miningJobToken }, context)).toMatchObject(invalid);
    }
  });
});

describe("a token that was only allocated", () => {
  const minter = new TokenMinter({
    crypto: pureCrypto,
    entropy: countingEntropy(),
    authoritySecretKey: AUTHORITY_SECRET,
    lifetimeSecs: 600,
  });
  const now = 1_800_000_100_000;

  test("in coinbase-only mode is good for any job", () => {
    const { bytes } = minter.allocate("coinbase-only", "farm", now);
    const job = { ...message(bytes), coinbaseTxVersion: 77, merklePath: [] };
    expect(judgeCustomJob(job, context(now))).toMatchObject({ kind: "accepted", mode: "coinbase-only" });
  });

  test("in coinbase-only mode is good for no job that is more than two hours ahead", () => {
    const { bytes } = minter.allocate("coinbase-only", "farm", now);
    const job = { ...message(bytes), minNtime: now / 1000 + 7_201 };
    expect(judgeCustomJob(job, context(now))).toMatchObject(refusal("invalid-min-ntime"));
  });

  test("in full-template mode is good for none before it was declared", () => {
    const { bytes } = minter.allocate("full-template", "farm", now);
    expect(judgeCustomJob(message(bytes), context(now))).toMatchObject(refusal("job-not-yet-validated"));
  });
});
