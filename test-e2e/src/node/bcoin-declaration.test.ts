import { join } from "node:path";
import {
  displayHash,
  encodeOutputs,
  hash,
  merklePath,
  sha256d,
  subsidy,
  txid,
  witnessCommitmentOutput,
  wtxid,
} from "@adit/bitcoin";
import { type JobDeclarationMessage, u256 } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeTemplateProviderToml } from "../harness/configs.ts";
import { DeclaredJob } from "../harness/declared-job.ts";
import { JobDeclarationClient } from "../harness/job-declaration-client.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { Stage } from "../harness/stage.ts";
import { TemplateFeed, type WholeTemplate } from "../harness/template-feed.ts";
import { until } from "../harness/until.ts";
import { startBcoin } from "./bcoin-node.ts";
import { tipOf } from "./chain-view.ts";
import { minePlain } from "./mine-plain.ts";
import { type Spend, spend } from "./spend.ts";
import type { TestNode } from "./test-node.ts";
import { Wallet } from "./wallet.ts";

const EXTRANONCE_SIZE = 16;

let stage: Stage;
let node: TestNode;
let wallet: Wallet;
let templateProvider: RoleInProcess;
let jdServer: RoleInProcess;

beforeAll(async () => {
  stage = await Stage.open();
  node = await startBcoin({ folder: join(stage.folder, "node") });
  wallet = await Wallet.open(node);
  await wallet.provide(40);
  templateProvider = await RoleInProcess.start("template-provider", (folder) =>
    nodeTemplateProviderToml(folder, [node]),
  );
  jdServer = await RoleInProcess.start("jd-server", (folder) => jdServerToml(folder, node));
  await until("both roles are ready", () => templateProvider.isReady && jdServer.isReady);
});

afterAll(async () => {
  await jdServer[Symbol.asyncDispose]();
  await templateProvider[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

function jdServerToml(folder: string, { rpcUrl, user, password }: TestNode): string {
  return `listen_address = "127.0.0.1:0"
authority_key_path = "${folder}/authority.key"
network = "regtest"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
[bitcoin_node]
data_path = "${folder}/node"
poll_interval_secs = 0.2
[[bitcoin_node.nodes]]
core_rpc_url = "${rpcUrl}"
core_rpc_user = "${user}"
core_rpc_pass = "${password}"
`;
}

/** A client and a template on the node's tip with at least these transactions. */
async function open(sent: readonly Spend[] = []) {
  const client = await JobDeclarationClient.dial(jdServer);
  const feed = await TemplateFeed.dial(templateProvider);
  const { hash: tip } = await tipOf(node);
  const whole = await until("the template has what was sent", async () => {
    const next = await feed.next();
    const ids = new Set(next.transactions.map((bytes) => displayHash(txid(bytes))));
    const isWhole = sent.every((one) => ids.has(displayHash(one.txid)));
    return displayHash(next.tip.prevHash) === tip && isWhole && next;
  });
  const dispose = async (): Promise<void> => {
    await feed[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
  };
  return { client, whole, [Symbol.asyncDispose]: dispose };
}

/** The template with other transactions, and a coinbase that takes the subsidy and these fees. */
function withTransactions(whole: WholeTemplate, transactions: readonly Uint8Array[], fees: bigint): WholeTemplate {
  const template = {
    ...whole.template,
    coinbaseTxOutputsCount: 1,
    coinbaseTxOutputs: encodeOutputs([witnessCommitmentOutput(transactions.map((bytes) => wtxid(bytes)))]),
    coinbaseTxValueRemaining: subsidy(heightOf(whole), "regtest") + fees,
    merklePath: merklePath(transactions.map((bytes) => txid(bytes))).map((hash) => u256(hash)),
  };
  return { ...whole, template, transactions };
}

/** The height in a template's coinbase: two bytes behind their length, at the heights of these tests. */
function heightOf({ template: { coinbasePrefix } }: WholeTemplate): number {
  return (coinbasePrefix[1] ?? 0) | ((coinbasePrefix[2] ?? 0) << 8);
}

/** Declares a template. Resolves to `declared`, or to the error with its details. */
async function declare(client: JobDeclarationClient, whole: WholeTemplate): Promise<string> {
  const job = new DeclaredJob(whole, await client.allocate("farm"), EXTRANONCE_SIZE);
  return outcomeOf(await client.declare(job));
}

function outcomeOf(message: JobDeclarationMessage): string {
  if (message.name !== "DeclareMiningJobError") return "declared";
  return `${message.errorCode}: ${new TextDecoder().decode(message.errorDetails)}`;
}

describe("a job-declarator server with bcoin behind it", () => {
  test("declares the node's own template without asking for a transaction, and brings its block to the chain", async () => {
    await using scene = await open(await wallet.sendMany(8));
    const { client, whole } = scene;
    const job = new DeclaredJob(whole, await client.allocate("farm"), EXTRANONCE_SIZE);
    expect(outcomeOf(await client.declare(job))).toBe("declared");
    expect(client.asked).toEqual([]);
    const { height } = await tipOf(node);
    await client.send({ name: "PushSolution", ...job.solve(new Uint8Array(EXTRANONCE_SIZE).fill(1)) });
    const tip = await until("the block is on the chain", async () => {
      const now = await tipOf(node);
      return now.height > height && now;
    });
    expect(tip.height).toBe(height + 1);
    const [submission] = jdServer.status().submissions;
    expect(submission).toMatchObject({ height: height + 1, hash: tip.hash });
    await minePlain(node, 1);
  });

  test("asks for what the node does not know, and that counts as the rest", async () => {
    const [parent] = await wallet.sendMany(1);
    await using scene = await open([parent!]);
    const { client, whole } = scene;
    const child = spend({ from: [parent!.coins[0]!], to: ["segwit"], feeRate: 2 });
    const fees = parent!.fee + child.fee;
    const list = withTransactions(whole, [parent!.bytes, child.bytes], fees);
    expect(await declare(client, list)).toBe("declared");
    expect(client.asked).toEqual([[1]]);
    // Not once more: nothing of a client's is kept as if the node had it.
    expect(await declare(client, list)).toBe("declared");
    expect(client.asked).toEqual([[1], [1]]);
  });

  test("refuses what the node refuses, in the node's words", async () => {
    const [parent] = await wallet.sendMany(1);
    await using scene = await open([parent!]);
    const { client, whole } = scene;
    const from = [parent!.coins[0]!];
    const child = spend({ from, to: ["segwit"], feeRate: 2 });
    const rival = spend({ from, to: ["legacy"], feeRate: 3 });
    const unfounded = spend({
      from: [{ ...from[0]!, txid: hash(sha256d(Uint8Array.of(1))) }],
      to: ["segwit"],
      feeRate: 2,
    });
    const fees = parent!.fee + child.fee;
    const table: readonly (readonly [string, readonly Uint8Array[], bigint])[] = [
      ["bad-cb-amount", [parent!.bytes, child.bytes], fees + 1n],
      ["bad-txns-inputs-missingorspent", [child.bytes, parent!.bytes], fees],
      ["bad-txns-inputs-missingorspent", [parent!.bytes, child.bytes, rival.bytes], fees],
      ["bad-txns-inputs-missingorspent", [unfounded.bytes], 0n],
    ];
    for (const [reason, transactions, paid] of table) {
      const outcome = await declare(client, withTransactions(whole, transactions, paid));
      expect(outcome).toBe(`invalid-job: a node says: ${reason}`);
    }
    // The same parts, put together rightly.
    expect(await declare(client, withTransactions(whole, [parent!.bytes, child.bytes], fees))).toBe("declared");
  });

  test("refuses a template on the block before as stale", async () => {
    await using scene = await open();
    const { client, whole } = scene;
    const [block] = await minePlain(node, 1);
    await until("the server knows", () => jdServer.log().includes(block!.hash));
    expect(await declare(client, whole)).toContain("stale-chain-tip: ");
  });
});
