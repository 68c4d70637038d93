import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  bip34Prefix,
  coinbaseAround,
  compactSize,
  decodeCountedOutputs,
  encodeHeader,
  encodeOutputs,
  hashFromDisplay,
  hex,
  meetsTarget,
  merklePath,
  pureHashing,
  targetFromBits,
  targetToBytes,
  txid,
  witnessCommitmentOutput,
} from "@adit/bitcoin";
import { type DeclareMiningJob, type PushSolution, u256 } from "@adit/codec";
import { readToken } from "@adit/job-declarator";
import { JdClient } from "@adit/job-declarator/testing";
import type { ByteStream } from "@adit/network-helpers";
import { IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { describe, expect, test, vi } from "vitest";
import { blockId, nodeTransaction, RegtestNode, TIP } from "./testing/regtest-node.ts";
import { type ReadyDetails, type RunningRole, startRole, temporaryFolder } from "./testing/running-role.ts";

const never = { signal: new AbortController().signal };
const known = [1, 2].map((seed) => nodeTransaction(seed));
const unknown = nodeTransaction(3);
const NBITS = 0x207fffff;

/** Looks again until `check` passes; the node is real and takes its time. */
const eventually = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 10_000, interval: 5 });

function dialTcp({ listeners }: ReadyDetails): Promise<ByteStream> {
  const address = listeners.find(({ transport }) => transport === "tcp")?.address ?? "";
  return tcp().dial(address, never);
}

/** A job with these transactions that pays whom the token says. */
function jobOf(token: { miningJobToken: Uint8Array; coinbaseTxOutputs: Uint8Array }, list = [...known, unknown]) {
  const [payout] = decodeCountedOutputs(token.coinbaseTxOutputs);
  const wtxids = list.map(({ wtxid }) => wtxid);
  const outputs = [{ value: 5_000_000_000n, script: payout!.script }, witnessCommitmentOutput(wtxids)];
  const parts = coinbaseAround({
    txVersion: 2,
    scriptSigStart: bip34Prefix(TIP.height + 1),
    extranonceSize: 16,
    inputSequence: 0xffffffff,
    countedOutputs: Uint8Array.from([...compactSize(2), ...encodeOutputs(outputs)]),
    locktime: 0,
  });
  const { prefix, suffix } = parts;
  const message: DeclareMiningJob = {
    name: "DeclareMiningJob",
    requestId: 11,
    miningJobToken: token.miningJobToken,
    version: 0x20000000,
    coinbaseTxPrefix: Uint8Array.from([...prefix.subarray(0, 4), 0, 1, ...prefix.subarray(4)]),
    coinbaseTxSuffix: Uint8Array.from([
      ...suffix.subarray(0, -4),
      1,
      32,
      ...new Uint8Array(32),
      ...suffix.subarray(-4),
    ]),
    wtxidList: wtxids.map((wtxid) => u256(wtxid)),
    excessData: new Uint8Array(),
  };
  return { message, parts, list };
}

/** A solution of the job, with its work. */
function solutionOf({ message, parts, list }: ReturnType<typeof jobOf>): PushSolution {
  const extranonce = new Uint8Array(16).fill(5);
  const prevHash = hashFromDisplay(TIP.hash);
  const coinbase = Uint8Array.from([...parts.prefix, ...extranonce, ...parts.suffix]);
  const merkleRoot = pureHashing.merkleRoot(coinbase, merklePath(list.map((one) => one.txid)));
  const header = { version: message.version, prevHash, merkleRoot, ntime: TIP.minTime + 700, nbits: NBITS };
  let nonce = 0;
  while (
    !meetsTarget(pureHashing.headerHash(encodeHeader({ ...header, nonce })), targetToBytes(targetFromBits(NBITS)))
  ) {
    nonce += 1;
  }
  const { version, ntime, nbits } = header;
  return { name: "PushSolution", extranonce, prevHash: u256(prevHash), nonce, ntime, nbits, version };
}

/** Declares a job whose third transaction the node has not, and provides that. */
async function declare(client: JdClient): Promise<ReturnType<typeof jobOf> & { readonly token: Uint8Array }> {
  const job = jobOf(await client.token());
  const asked = await client.ask(job.message, "ProvideMissingTransactions");
  expect(asked).toMatchObject({ requestId: 11, unknownTxPositionList: [2] });
  const success = await client.ask(
    { name: "ProvideMissingTransactionsSuccess", requestId: 11, transactionList: [unknown.bytes] },
    "DeclareMiningJobSuccess",
  );
  return { ...job, token: success.newMiningJobToken };
}

async function samplesOf(role: RunningRole, name: string): Promise<readonly string[]> {
  const { body } = await role.metrics.expose();
  return body.split("\n").filter((line) => line.startsWith(`sv2_jd_server_${name}`));
}

describe("a job-declarator server with a node", () => {
  test("declares a job, has the node check it, and submits a block found on it", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    await using role = await startRole(folder.path, node.server.url);
    await using client = await JdClient.over(await dialTcp(role.details), role.details.authority_public_key);
    const job = await declare(client);
    expect(readToken(job.token)).toMatchObject({ kind: "declared", job: { nbits: NBITS, minNtime: TIP.minTime } });
    const [proposal] = node.proposals;
    expect(proposal?.transactions.slice(1).map((tx) => hex(txid(tx)))).toEqual(job.list.map((one) => hex(one.txid)));
    expect(hex(proposal!.header.prevHash)).toBe(hex(hashFromDisplay(TIP.hash)));

    await client.connection.write(solutionOf(job));
    await node.server.called("submitblock", 1);
    const [block] = node.submitted;
    expect(block?.transactions).toHaveLength(4);
    await eventually(async () => {
      const files = await readdir(join(folder.path, "blocks"));
      expect(files).toContain(`${TIP.height + 1}-${blockId(block!)}.hex`);
      expect(role.status()).toMatchObject({ blocks: { solved: 1, accepted: 1 } });
    });
    expect(role.status()).toMatchObject({
      network: "regtest",
      tip: { height: TIP.height, hash: TIP.hash, bits: "207fffff" },
      tokens: { allocated: 1, outstanding: 0, requests_held: 0 },
      declarations: { declared: 1, refused: 0, refused_by_code: {}, pending: 0 },
      declared_jobs: { count: 1, transactions: 3 },
      mempool: { transactions: 2 },
      nodes: [{ state: "active" }],
      submissions: [{ outcome: "accepted" }],
      clients: [{ mode: "full-template", declared_jobs: 1 }],
    });
    expect(await role.log()).toEqual(
      expect.arrayContaining([
        "missing transactions asked for",
        "job declared",
        "block solved on a declared job",
        "block submitted",
        "block accepted",
      ]),
    );
    expect(await samplesOf(role, "declarations_total")).toEqual([
      'sv2_jd_server_declarations_total{result="declared"} 1',
    ]);
    expect(await samplesOf(role, "missing_transactions_total")).toEqual(["sv2_jd_server_missing_transactions_total 1"]);
    expect(await samplesOf(role, "solved_blocks_total")).toEqual(['sv2_jd_server_solved_blocks_total{by="client"} 1']);
    expect(await samplesOf(role, "blocks_total")).toEqual(['sv2_jd_server_blocks_total{solved_by="client"} 1']);
  });

  test("serves the same over Iroh", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    await using role = await startRole(folder.path, node.server.url, ['transport = "dual"']);
    await using miner = await IrohNodeManager.start({
      relay: "disabled",
      bind: ["127.0.0.1:0"],
      allowedPeers: [],
      maxConnectionsPerPeer: 4,
      env: {},
      ...never,
    });
    const stream = await miner.transport("sv2-jd").dial(role.details.ticket ?? "", never);
    await using client = await JdClient.over(stream, role.details.authority_public_key);
    const { message } = jobOf(await client.token(), known);
    expect(await client.ask(message, "DeclareMiningJobSuccess")).toMatchObject({ requestId: 11 });
    expect(role.status()).toMatchObject({ connections: [{ transport: "iroh", encryption: "noise" }] });
  });

  test("tells the client what its node has against a job", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    node.verdict = "bad-cb-amount";
    await using role = await startRole(folder.path, node.server.url);
    await using client = await JdClient.over(await dialTcp(role.details), role.details.authority_public_key);
    const { message } = jobOf(await client.token(), known);
    const refusal = await client.ask(message, "DeclareMiningJobError");
    expect(refusal).toMatchObject({ requestId: 11, errorCode: "invalid-job" });
    expect(new TextDecoder().decode(refusal.errorDetails)).toBe("a node says: bad-cb-amount");
    expect(await samplesOf(role, "declarations_total")).toEqual([
      'sv2_jd_server_declarations_total{result="invalid-job"} 1',
    ]);
    expect(await role.log()).toContain("declaration refused");
  });

  test("submits nothing for a solution without work, however often it comes", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    await using role = await startRole(folder.path, node.server.url);
    await using client = await JdClient.over(await dialTcp(role.details), role.details.authority_public_key);
    const job = await declare(client);
    const junk = { ...solutionOf(job), extranonce: new Uint8Array(15) };
    for (let sent = 0; sent < 100; sent++) await client.connection.write(junk);
    await client.token(2);
    const refused = await samplesOf(role, "solutions_refused_total");
    expect(refused).toContain('sv2_jd_server_solutions_refused_total{reason="other-job"} 60');
    expect(node.server.calls.filter(({ method }) => method === "submitblock")).toEqual([]);
  });
});

describe("a client that keeps its transactions to itself", () => {
  test("is given tokens that need no declaration, and is closed when it acts as if it had declared", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    await using role = await startRole(folder.path, node.server.url);
    await using client = await JdClient.over(await dialTcp(role.details), role.details.authority_public_key, 0);
    const token = await client.token();
    expect(readToken(token.miningJobToken)?.kind).toBe("coinbase-only");
    expect(role.status()).toMatchObject({ clients: [{ mode: "coinbase-only" }] });
    const transactions = { name: "ProvideMissingTransactionsSuccess", requestId: 1, transactionList: [] } as const;
    await expect(client.ask(transactions, "DeclareMiningJobError")).rejects.toThrow();
    expect(await samplesOf(role, "clients_closed_total")).toEqual([
      'sv2_jd_server_clients_closed_total{reason="not-full-template"} 1',
    ]);
  });

  test("is refused where the whole template is required", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    await using role = await startRole(folder.path, node.server.url, ["full_template_mode_required = true"]);
    const dialling = JdClient.over(await dialTcp(role.details), role.details.authority_public_key, 0);
    await expect(dialling).rejects.toMatchObject({
      code: "setup-refused",
      message: expect.stringContaining("missing-declare-tx-data-flag"),
    });
    await using other = await JdClient.over(await dialTcp(role.details), role.details.authority_public_key);
    expect(readToken((await other.token()).miningJobToken)?.kind).toBe("full-template");
  });
});

test("the authority's key is made at first start and kept", async () => {
  await using folder = await temporaryFolder();
  await using node = await RegtestNode.start(known);
  const keys: string[] = [];
  for (let start = 0; start < 2; start++) {
    await using role = await startRole(folder.path, node.server.url);
    keys.push(role.details.authority_public_key);
  }
  expect(keys[1]).toBe(keys[0]);
});

describe("a job-declarator server that stops", () => {
  test("answers a declaration under way and submits the block found on it, and ends", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    await using role = await startRole(folder.path, node.server.url);
    await using client = await JdClient.over(await dialTcp(role.details), role.details.authority_public_key);
    const job = jobOf(await client.token());
    await client.ask(job.message, "ProvideMissingTransactions");
    const stopped = role.stop();
    const transactions = [unknown.bytes];
    await client.ask(
      { name: "ProvideMissingTransactionsSuccess", requestId: 11, transactionList: transactions },
      "DeclareMiningJobSuccess",
    );
    await client.connection.write(solutionOf(job));
    await expect(client.next("Reconnect")).rejects.toThrow("the connection ended");
    await stopped;
    expect(node.submitted).toHaveLength(1);
  });

  test("asks its clients to connect elsewhere first, and serves them until they have gone", async () => {
    await using folder = await temporaryFolder();
    await using node = await RegtestNode.start(known);
    const elsewhere = "ab".repeat(32);
    await using role = await startRole(folder.path, node.server.url, [`move_clients_to = "${elsewhere}"`]);
    await using client = await JdClient.over(await dialTcp(role.details), role.details.authority_public_key);
    const token = await client.token();
    const stopped = role.stop();
    expect(await client.next("Reconnect")).toMatchObject({ newHost: elsewhere, newPort: 0 });
    const { message } = jobOf(token, known);
    expect(await client.ask(message, "DeclareMiningJobSuccess")).toMatchObject({ requestId: 11 });
    await client[Symbol.asyncDispose]();
    await stopped;
    expect(await role.log()).toContain("clients asked to connect elsewhere");
  });
});
