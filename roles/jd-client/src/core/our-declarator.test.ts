import { bip34Prefix, encodeOutputs, hex, merklePath, pureHashing, witnessCommitmentOutput } from "@adit/bitcoin";
import type { CustomJobRequest, TokenVerdict } from "@adit/channels";
import { type JobDeclarationMessage, u256 } from "@adit/codec";
import { judgeCustomJob, UsedTokens } from "@adit/job-declarator";
import { AUTHORITY, Declaring, PAYOUT_SCRIPT, sentIn, tipBelow, transaction } from "@adit/job-declarator/testing";
import { pureCrypto } from "@adit/noise";
import { describe, expect, test } from "vitest";
import { Bench } from "./testing/bench.ts";
import { prevHash, template } from "./testing/templates.ts";

const HEIGHT = 102;
const transactions = [transaction(1), transaction(2), transaction(3)];

/** A bench whose job declarator, and whose pool's check of its tokens, are Adit's own. The node knows no transaction. */
function withOurDeclarator(mode: "FULLTEMPLATE" | "COINBASEONLY"): Bench {
  const server = new Declaring();
  server.connect([1], mode === "FULLTEMPLATE");
  const used = new UsedTokens();
  const answer = (message: JobDeclarationMessage): readonly JobDeclarationMessage[] =>
    sentIn(server.verdict(server.lookUp(server.message(1, message), [])));
  const judge = ({ message, userIdentity, extranonceSize }: CustomJobRequest): TokenVerdict => {
    const context = {
      userIdentity,
      extranonceSize,
      now: server.now,
      authorities: [AUTHORITY],
      used,
      crypto: pureCrypto,
    };
    const verdict = judgeCustomJob(message, context);
    if (verdict.kind === "refused") return verdict;
    used.add(verdict.token, server.now);
    return { kind: "accepted", declarationId: verdict.token.id };
  };
  const outputs = [{ value: 0n, script: PAYOUT_SCRIPT }];
  return new Bench({ mode, upstream: { outputs, declarator: { answer, judge } } });
}

/** The provider, and the pool's own, go over to the tip that the job declarator knows. */
function mineOnItsTip(bench: Bench): void {
  const tip = tipBelow(HEIGHT);
  const commitment = witnessCommitmentOutput(transactions.map(({ wtxid }) => wtxid));
  const work = template(1n, 0, {
    coinbasePrefix: bip34Prefix(HEIGHT),
    coinbaseTxLocktime: HEIGHT - 1,
    coinbaseTxOutputs: encodeOutputs([commitment]),
    merklePath: merklePath(transactions.map(({ txid }) => txid)).map((sibling) => u256(sibling)),
  });
  const named = { ...prevHash(1n, 0, tip.nbits), prevHash: u256(tip.prevHash), headerTimestamp: tip.minNtime + 60 };
  bench.upstream.follow(work, named);
  bench.givesTransactions = false;
  bench.feed({ type: "template", template: work });
  bench.feed({ type: "prev-hash", prevHash: named });
  const transactionList = transactions.map(({ bytes }) => bytes);
  bench.feed({ type: "transaction-data", templateId: 1n, excessData: new Uint8Array(), transactionList });
}

describe("with Adit's own job declarator and pool", () => {
  test("a template is declared, its transactions are revealed, and the token stands for exactly the job that is set", () => {
    const bench = withOurDeclarator("FULLTEMPLATE");
    mineOnItsTip(bench);
    const [answer] = bench.upstream.named("ProvideMissingTransactionsSuccess");
    expect(answer?.transactionList.map((bytes) => hex(pureHashing.sha256d(bytes)))).toEqual(
      transactions.map(({ wtxid }) => hex(wtxid)),
    );
    expect([bench.count("jobs", "declared"), bench.count("jobs", "accepted")]).toEqual([1, 1]);
    bench.join().mine();
    expect(bench.upstream.credited).toBe(1);
  });

  test("a job is set with the allocated token in coinbase-only mode", () => {
    const bench = withOurDeclarator("COINBASEONLY");
    mineOnItsTip(bench);
    bench.join().mine();
    expect([bench.count("jobs", "accepted"), bench.upstream.credited]).toEqual([1, 1]);
  });
});
