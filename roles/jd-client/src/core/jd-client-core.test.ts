import {
  target as asTarget,
  decodeTransaction,
  hex,
  restoreWitness,
  targetFromBytes,
  targetToBytes,
} from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { Bench, SOLO_SCRIPT } from "./testing/bench.ts";
import { EASY_BITS, transactionsOf } from "./testing/templates.ts";
import { payoutScript } from "./testing/test-upstream.ts";

describe("a job", () => {
  test("is given to miners at once, declared with its transactions, and then set at the pool", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    expect(bench.trace).toEqual([
      "begin 0",
      "pool 0: OpenExtendedMiningChannel",
      "jds 0: AllocateMiningJobToken",
      "jds 0: AllocateMiningJobToken",
      "provider: RequestTransactionData",
      "jds 0: DeclareMiningJob",
      "jds 0: AllocateMiningJobToken",
      "pool 0: SetCustomMiningJob",
    ]);
    expect(bench.count("jobs", "accepted")).toBe(1);
    expect(decodeTransaction(miner.coinbase).outputs[0]).toEqual({ value: 5_000_000_000n, script: payoutScript(0) });
  });

  test("is set with the allocated token, and no transactions are asked for, in coinbase-only mode", () => {
    const bench = new Bench({ mode: "COINBASEONLY" });
    bench.newTip();
    bench.join().mine();
    expect(bench.trace).not.toContain("provider: RequestTransactionData");
    expect(bench.upstream.named("DeclareMiningJob")).toEqual([]);
    expect(bench.upstream.named("SetCustomMiningJob").map(({ miningJobToken }) => hex(miningJobToken))).toEqual([
      "0001",
    ]);
    expect(bench.upstream.credited).toBe(1);
  });

  test("pays all the outputs of the token, in its order and only the first with a value", () => {
    const bench = new Bench({ soloAfterMs: 0 });
    const imposed = { value: 0n, script: Uint8Array.of(0x6a, 1, 9) };
    bench.upstream.crash();
    bench.upstream.outputs = [{ value: 0n, script: payoutScript(0) }, imposed];
    bench.upstream.isUp = true;
    bench.newTip();
    const miner = bench.join();
    expect(decodeTransaction(miner.coinbase).outputs.map(({ script }) => hex(script))[0]).toBe(hex(SOLO_SCRIPT));
    bench.tick(30);
    const { outputs } = decodeTransaction(miner.coinbase);
    expect(outputs.slice(0, 2)).toEqual([{ value: 5_000_000_000n, script: payoutScript(0) }, imposed]);
    miner.mine();
    expect(bench.upstream.credited).toBe(1);
  });

  test("is declared once its transactions are there, and of several the newest first", () => {
    const bench = new Bench();
    bench.givesTransactions = false;
    bench.newTip();
    bench.join();
    bench.newTemplate();
    expect(bench.upstream.named("DeclareMiningJob")).toEqual([]);
    bench.upstream.held.add("DeclareMiningJob");
    bench.giveTransactions();
    const declared = bench.upstream.named("DeclareMiningJob").map(({ wtxidList }) => hex(wtxidList[0]!));
    // The first template's transactions came first; the second's follow while it is being declared.
    expect(declared).toHaveLength(2);
    expect(new Set(declared).size).toBe(2);
  });

  test("that never got its turn is given up, with its shares, when more wait than are worth it", () => {
    const bench = new Bench();
    bench.upstream.held.add("DeclareMiningJob");
    bench.newTip();
    const miner = bench.join();
    bench.newTemplate();
    bench.newTemplate();
    miner.mine();
    for (let more = 0; more < 4; more += 1) bench.newTemplate();
    expect(bench.upstream.named("DeclareMiningJob")).toHaveLength(2);
    expect([bench.count("jobs", "superseded"), bench.count("sharesDiscarded", "superseded")]).toEqual([1, 1]);
    bench.upstream.release();
    expect(bench.count("jobs", "accepted")).toBe(6);
  });

  test("whose transactions are refused is given up, and no upstream is blamed", () => {
    const bench = new Bench();
    bench.givesTransactions = false;
    bench.newTip();
    bench.join().mine();
    bench.feed({ type: "transaction-data-refused", templateId: bench.wanted[0]!, errorCode: "stale-template-id" });
    expect(bench.count("sharesDiscarded", "no-transactions")).toBe(1);
    expect(bench.core.status().mining_for).toBe("upstream-0");
  });

  test("goes on when the template provider is gone; one that waited for its transactions is given up", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.givesTransactions = false;
    bench.newTemplate();
    bench.feed({ type: "provider-lost" });
    expect(bench.count("jobs", "no-transactions")).toBe(1);
    const known = miner.channel.job(miner.job.jobId - 1);
    miner.mine({ job: known! });
    expect(bench.upstream.credited).toBe(1);
    bench.feed({ type: "provider-connected" });
    bench.givesTransactions = true;
    bench.newTip();
    miner.mine();
    expect(bench.upstream.credited).toBe(2);
  });
});

test("a template provider that is back is asked again: its numbers may mean other templates", () => {
  const bench = new Bench();
  bench.newTip();
  bench.feed({ type: "provider-lost" });
  bench.feed({ type: "provider-connected" });
  bench.trace.length = 0;
  bench.sameTip();
  expect(bench.trace).toContain("provider: RequestTransactionData");
});

describe("missing transactions", () => {
  test("are given in the order in which they were asked for", () => {
    const bench = new Bench();
    bench.upstream.missing = [2, 0];
    bench.newTip();
    const [answer] = bench.upstream.named("ProvideMissingTransactionsSuccess");
    const [first, , third] = transactionsOf(1n);
    expect(answer?.transactionList).toEqual([third, first]);
    expect(bench.count("jobs", "accepted")).toBe(1);
  });

  test.each([
    ["that were never declared", [3]],
    ["of which one is named twice", [1, 1]],
  ])("%s are asked for by no honest job declarator", (_, missing) => {
    const bench = new Bench();
    bench.upstream.missing = missing;
    bench.newTip();
    expect(bench.count("sessionFailures", "bad-transaction-request")).toBe(1);
    expect(bench.upstream.named("ProvideMissingTransactionsSuccess")).toEqual([]);
  });

  test("are given even when the tip has moved meanwhile, and once more when the job is declared once more", () => {
    const bench = new Bench();
    bench.upstream.missing = [0];
    bench.upstream.held.add("DeclareMiningJob");
    bench.newTip();
    bench.newTip();
    bench.upstream.declarationError = "stale-chain-tip";
    bench.upstream.release();
    bench.upstream.declarationError = undefined;
    bench.tick(3);
    expect(bench.upstream.named("ProvideMissingTransactionsSuccess")).toHaveLength(3);
    expect([bench.count("jobs", "accepted"), bench.core.status().mining_for]).toEqual([1, "upstream-0"]);
  });

  test("are revealed once for a declaration", () => {
    const bench = new Bench();
    bench.upstream.missing = [0];
    bench.upstream.held.add("ProvideMissingTransactionsSuccess");
    bench.newTip();
    const [declared] = bench.upstream.named("DeclareMiningJob");
    bench.upstream.sayJds({
      name: "ProvideMissingTransactions",
      requestId: declared!.requestId,
      unknownTxPositionList: [1],
    });
    expect(bench.upstream.named("ProvideMissingTransactionsSuccess")).toHaveLength(1);
    expect(bench.count("sessionFailures", "bad-transaction-request")).toBe(1);
  });
});

describe("a share", () => {
  test("is credited by the pool, under the worker's name", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    for (let share = 0; share < 5; share += 1) miner.mine({ worker: "left-corner" });
    expect([miner.accepted, miner.rejected, bench.upstream.credited]).toEqual([5, [], 5]);
    expect(bench.upstream.workers[0]).toBe("left-corner");
    expect(bench.count("sharesAcknowledged")).toBe(5);
  });

  test("carries no worker's name to a pool that does not take names", () => {
    const bench = new Bench({ soloAfterMs: 0 });
    bench.upstream.crash();
    bench.upstream.namesWorkers = false;
    bench.upstream.isUp = true;
    bench.newTip();
    bench.tick(20);
    bench.join().mine({ worker: "left-corner" });
    expect(bench.upstream.workers).toEqual([undefined]);
  });

  test("found before the pool has taken its job is kept, and sent when it has", () => {
    const bench = new Bench();
    bench.upstream.held.add("SetCustomMiningJob");
    bench.newTip();
    const miner = bench.join();
    for (let share = 0; share < 3; share += 1) miner.mine();
    expect([miner.accepted, bench.core.status().cached_shares, bench.upstream.credited]).toEqual([3, 3, 0]);
    bench.upstream.release();
    expect([bench.core.status().cached_shares, bench.upstream.credited]).toEqual([0, 3]);
  });

  test("that is not good enough for the pool's target is not sent", () => {
    const bench = new Bench();
    bench.upstream.held.add("SetCustomMiningJob");
    bench.newTip();
    const miner = bench.join();
    const { target } = miner.channel;
    bench.upstream.harden(u256(targetToBytes(asTarget(target / 16n))));
    bench.upstream.release();
    miner.mine({ isGood: (found) => targetFromBytes(found) > target / 16n });
    expect([miner.accepted, bench.count("sharesBelowUpstreamTarget"), bench.upstream.credited]).toEqual([1, 1, 0]);
  });
});

describe("the pool's target", () => {
  test("bounds those of miners: no share may cost more than it is worth", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    const { target } = miner.channel;
    bench.upstream.ease(asTarget(target * 4n));
    bench.tick();
    bench.newTip();
    expect(miner.job.target).toBe(target * 4n);
  });

  test.each(["FULLTEMPLATE", "COINBASEONLY"] as const)(
    "that is much harder has the pool take the job once more, so that shares count for what they are worth (%s)",
    (mode) => {
      const bench = new Bench({ mode });
      bench.newTip();
      const miner = bench.join();
      const { target } = miner.channel;
      const harder = asTarget(target / 16n);
      bench.upstream.harden(u256(targetToBytes(harder)));
      miner.mine({ isGood: (found) => targetFromBytes(found) > harder });
      miner.mine({ isGood: (found) => targetFromBytes(found) <= harder });
      const jobs = bench.upstream.named("SubmitSharesExtended").map(({ jobId }) => jobId);
      expect(bench.upstream.named("SetCustomMiningJob")).toHaveLength(2);
      expect([jobs.length, new Set(jobs).size, bench.upstream.credited]).toEqual([2, 2, 2]);
      expect(miner.rejected).toEqual([]);
    },
  );

  test("that is a little harder waits for the next job", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.upstream.harden(u256(targetToBytes(asTarget((miner.channel.target * 3n) / 4n))));
    expect(bench.upstream.named("SetCustomMiningJob")).toHaveLength(1);
  });

  test("does not matter to a job whose tip has moved meanwhile", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.upstream.held.add("DeclareMiningJob");
    bench.upstream.harden(u256(targetToBytes(asTarget(miner.channel.target / 16n))));
    bench.newTip();
    bench.upstream.release();
    const [first, ...others] = bench.upstream.named("SetCustomMiningJob").map(({ prevHash }) => hex(prevHash));
    expect(others).toHaveLength(1);
    expect(others).not.toContain(first);
    expect(bench.upstream.named("DeclareMiningJob")).toHaveLength(3);
  });

  test("whose job the pool does not take once more leaves the job that it has taken as it is", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    bench.upstream.refusal = "stale-chain-tip";
    bench.upstream.harden(u256(targetToBytes(asTarget(miner.channel.target / 16n))));
    miner.mine();
    expect([bench.upstream.credited, bench.count("jobs", "custom-job-refused")]).toEqual([1, 1]);
    expect(bench.core.status().mining_for).toBe("upstream-0");
  });
});

describe("the pool's extranonce prefix", () => {
  test("may change: miners get the new one with new jobs, and their shares count", () => {
    const bench = new Bench();
    bench.newTip();
    const miner = bench.join();
    const before = miner.job.jobId;
    bench.upstream.rotate();
    expect(miner.job.jobId).toBeGreaterThan(before);
    miner.mine();
    expect([miner.rejected, bench.upstream.credited]).toEqual([[], 1]);
  });

  test("that changes while a job is on its way voids it, with the shares that were kept for it", () => {
    const bench = new Bench();
    bench.upstream.held.add("SetCustomMiningJob");
    bench.newTip();
    const miner = bench.join();
    miner.mine();
    bench.upstream.rotate();
    bench.upstream.release();
    expect(bench.count("sharesDiscarded", "void-prefix")).toBe(1);
    miner.mine();
    expect([bench.upstream.credited, bench.count("sharesRejectedUpstream")]).toEqual([1, 0]);
  });
});

describe("the pool's extranonce prefix, while a job is being declared,", () => {
  test("may change: the job is not set, as miners hash another by then", () => {
    const bench = new Bench();
    bench.upstream.held.add("DeclareMiningJob");
    bench.newTip();
    const miner = bench.join();
    bench.upstream.rotate();
    bench.upstream.release();
    expect([bench.count("jobs", "void-prefix"), bench.upstream.named("SetCustomMiningJob").length]).toEqual([1, 1]);
    miner.mine();
    expect(bench.upstream.credited).toBe(1);
  });
});

describe("a block", () => {
  test("goes to the template provider first, then to the job declarator, and then as a share to the pool", () => {
    const bench = new Bench();
    bench.newTip({ nBits: EASY_BITS });
    const miner = bench.join();
    bench.trace.length = 0;
    miner.mine();
    expect(bench.trace).toEqual(["provider: SubmitSolution", "jds 0: PushSolution", "pool 0: SubmitSharesExtended"]);
    const [declared] = bench.upstream.named("DeclareMiningJob");
    const [pushed] = bench.upstream.named("PushSolution");
    const parts = [declared?.coinbaseTxPrefix, pushed?.extranonce, declared?.coinbaseTxSuffix];
    const coinbase = parts.map((part) => hex(part!)).join("");
    expect(coinbase).toBe(hex(bench.solutions[0]!.coinbaseTx));
    expect(coinbase).toBe(hex(restoreWitness(miner.coinbase)));
  });

  test("is not told to a job declarator that does not have its transactions", () => {
    const bench = new Bench({ mode: "COINBASEONLY" });
    bench.newTip({ nBits: EASY_BITS });
    bench.join().mine();
    expect(bench.solutions).toHaveLength(1);
    expect(bench.upstream.named("PushSolution")).toEqual([]);
  });

  test("found while its job is still being declared is told to the job declarator all the same", () => {
    const bench = new Bench();
    bench.upstream.held.add("DeclareMiningJob");
    bench.newTip({ nBits: EASY_BITS });
    bench.join().mine();
    expect([bench.solutions.length, bench.upstream.named("PushSolution").length]).toEqual([1, 1]);
  });

  test("of a job that the job declarator has refused is not told to it", () => {
    const bench = new Bench();
    bench.newTip();
    bench.upstream.declarationError = "stale-chain-tip";
    bench.newTip({ nBits: EASY_BITS });
    bench.join().mine();
    expect([bench.solutions.length, bench.upstream.named("PushSolution")]).toEqual([1, []]);
  });

  test("found while the template provider is gone is given to it when it is back", () => {
    const bench = new Bench();
    bench.newTip({ nBits: EASY_BITS });
    const miner = bench.join();
    bench.feed({ type: "provider-lost" });
    miner.mine();
    expect([bench.solutions.length, bench.upstream.named("PushSolution").length]).toEqual([0, 1]);
    bench.feed({ type: "provider-connected" });
    bench.sameTip({ nBits: EASY_BITS });
    expect(bench.solutions).toHaveLength(1);
  });

  test("is submitted with nobody to mine for", () => {
    const bench = new Bench({ mode: null, rules: [] });
    bench.newTip({ nBits: EASY_BITS });
    const miner = bench.join();
    miner.mine();
    expect(bench.solutions).toHaveLength(1);
    expect(decodeTransaction(miner.coinbase).outputs[0]?.script).toEqual(SOLO_SCRIPT);
    expect(bench.trace).toEqual(["provider: SubmitSolution"]);
  });
});
