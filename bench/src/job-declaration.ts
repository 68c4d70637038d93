import { merklePath, witnessCommitmentOutput } from "@adit/bitcoin";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import { loadCrypto } from "@adit/fast-crypto";
import { judgeCustomJob, UsedTokens } from "@adit/job-declarator";
import { AUTHORITY, Declaring, transaction } from "@adit/job-declarator/testing";
import { cost, measureRounds, timed } from "./measure.ts";
import type { BenchOptions, Suite, Table } from "./suite.ts";

/** A full block of ordinary transactions. */
const TRANSACTIONS = 4_000;
const HASHES = "witness commitment and merkle path alone";
const SIGNATURE = "one BIP340 signature checked";

/** What a declared job costs the jd-server, and its token the pool. */
export const jobDeclaration: Suite = {
  async *run(options) {
    yield await declarations(options);
    yield await tokens(options);
  },
};

async function declarations(options: BenchOptions): Promise<Table> {
  const transactions = Array.from({ length: TRANSACTIONS }, (_, seed) => transaction(seed));
  const [wtxids, txids] = [transactions.map(({ wtxid }) => wtxid), transactions.map(({ txid }) => txid)];
  const server = new Declaring({ tokensPerSecond: 1e6, tokenBurst: 1e6, maxMessagesPerMinute: 1e6 });
  server.connect();
  const declare = (known: boolean): number => {
    const token = server.token();
    return timed(() => {
      const begun = server.declare(1, { token, transactions });
      const lookUp = begun.find((effect) => effect.type === "look-up");
      if (lookUp === undefined) throw new Error("nothing is looked up");
      const found = known ? transactions : [];
      let effects = server.do({ type: "looked-up", declaration: lookUp.declaration, transactions: found });
      if (!known) effects = server.message(1, provided(transactions.map(({ bytes }) => bytes)));
      server.verdict(effects);
    });
  };
  const rows = await measureRounds(
    [
      { label: HASHES, sample: () => timed(() => [witnessCommitmentOutput(wtxids), merklePath(txids)]) },
      { label: "declared, every transaction known", against: [HASHES], sample: () => declare(true) },
      { label: "declared, every transaction asked for", against: [HASHES], sample: () => declare(false) },
    ],
    options,
  );
  const notes = ["The node's own check of the block, and the message's way, are not in it."];
  return { title: `A declaration of ${TRANSACTIONS} transactions`, unit: "ns of work", rows, notes };
}

async function tokens(options: BenchOptions): Promise<Table> {
  const { noise: crypto } = await loadCrypto();
  const server = new Declaring();
  server.connect([1], false);
  const message = customJob(server.token());
  const context = { userIdentity: "farm", extranonceSize: 20, now: server.now, authorities: [AUTHORITY], crypto };
  const judge = () => judgeCustomJob(message, { ...context, used: new UsedTokens() });
  if (judge().kind !== "accepted") throw new Error("the token does not count");
  const signed = crypto.sha256(new Uint8Array(32));
  const signature = crypto.sign(signed, new Uint8Array(32).fill(3), new Uint8Array(32));
  const rows = await measureRounds(
    [
      { label: SIGNATURE, sample: cost(() => crypto.verify(signature, signed, AUTHORITY), options) },
      { label: "token of a custom job judged", against: [SIGNATURE], sample: cost(judge, options) },
    ],
    options,
  );
  return { title: "A custom job's token at the pool", unit: "ns of work", rows, notes: [] };
}

function provided(transactionList: readonly Uint8Array[]) {
  return { name: "ProvideMissingTransactionsSuccess", requestId: 1, transactionList } as const;
}

function customJob(miningJobToken: Uint8Array): SetCustomMiningJob {
  return {
    name: "SetCustomMiningJob",
    channelId: 1,
    requestId: 1,
    miningJobToken,
    version: 0x20000000,
    prevHash: u256(new Uint8Array(32)),
    minNtime: 0,
    nbits: 0x207fffff,
    coinbaseTxVersion: 2,
    coinbasePrefix: new Uint8Array(8),
    coinbaseTxInputNSequence: 0,
    coinbaseTxOutputs: new Uint8Array(100),
    coinbaseTxLocktime: 0,
    merklePath: [],
  };
}
