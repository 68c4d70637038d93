import { readFile, stat } from "node:fs/promises";
import {
  decodeBlock,
  decodeTransaction,
  displayHash,
  encodeBlock,
  encodeHeader,
  encodeTransaction,
  hash,
  hex,
  meetsTarget,
  merkleRootOf,
  sha256d,
  targetToBytes,
  txid,
} from "@adit/bitcoin";
import { BitcoinNode, MempoolIndex, type NodeTemplate } from "@adit/bitcoin-node";
import { tcp } from "@adit/network-helpers/tcp";
import { describe, expect, test } from "vitest";
import { type ConfigLines, type RunningRole, startRole, temporaryFolder } from "./testing/running-role.ts";
import { coinbaseFor, type Work } from "./testing/solve.ts";
import { TemplateMiner } from "./testing/template-miner.ts";

const signal = new AbortController().signal;
const request = { signal };

/** A chain that can be asked: one hash in 16 is a block, and new transactions come when told. */
const chainLines: ConfigLines = {
  embedded: ["hashes_per_block = 16", 'rpc_listen_address = "127.0.0.1:0"', "template_interval_secs = 3600"],
};

const rpcUrl = (role: RunningRole): string => `http://${String(role.details["rpc_address"])}`;

function nodeOf(role: RunningRole, folder: string): BitcoinNode {
  return new BitcoinNode({ url: rpcUrl(role), auth: { cookiePath: `${folder}/chain/.cookie` }, network: "regtest" });
}

async function minerOf(role: RunningRole): Promise<TemplateMiner> {
  const listeners = role.details["listeners"] as readonly { readonly address: string }[];
  const stream = await tcp().dial(listeners[0]?.address ?? "", { signal });
  const miner = await TemplateMiner.over(stream, role.details["authority_public_key"] as string);
  await miner.constrain();
  return miner;
}

/** A template provider whose node is the chain of another. */
async function onNode(
  role: RunningRole,
  folders: { readonly chain: string; readonly own: string },
): Promise<RunningRole> {
  return await startRole(folders.own, {
    backend: [
      "[bitcoin_node]",
      'network = "regtest"',
      `data_path = "${folders.own}/node"`,
      "poll_interval_secs = 0.1",
      "[[bitcoin_node.nodes]]",
      `core_rpc_url = "${rpcUrl(role)}"`,
      `core_rpc_cookie_path = "${folders.chain}/chain/.cookie"`,
    ],
  });
}

/** The block of a node's template, as whoever has a node and nothing else makes it; without work unless told. */
function blockOf(
  template: NodeTemplate,
  options: { readonly solved?: boolean; readonly spoilt?: boolean } = {},
): Uint8Array {
  const script = template.witnessCommitment ?? new Uint8Array(0);
  const commitment = options.spoilt === true ? script.map((byte, at) => (at === 20 ? byte ^ 1 : byte)) : script;
  const pays = { value: template.coinbaseValue, script: Uint8Array.of(0x51) };
  const coinbase = encodeTransaction({
    version: 2,
    inputs: [
      {
        prevHash: hash(new Uint8Array(32)),
        index: 0xffffffff,
        script: Uint8Array.of(0x51 + template.height - 1, 0),
        sequence: 0xffffffff,
        witness: [new Uint8Array(32)],
      },
    ],
    outputs: [pays, { value: 0n, script: commitment }],
    locktime: 0,
    segwit: true,
  });
  const transactions = [coinbase, ...template.transactions.map(({ bytes }) => bytes)];
  const fields = {
    version: template.version,
    prevHash: template.prevHash,
    merkleRoot: merkleRootOf(transactions.map(txid)),
    ntime: template.curTime,
    nbits: template.bits,
  };
  const target = targetToBytes(template.target);
  for (let nonce = 0; ; nonce += 1) {
    const header = encodeHeader({ ...fields, nonce });
    if (meetsTarget(sha256d(header), target) === (options.solved ?? false)) return encodeBlock(header, transactions);
  }
}

/** One call after the other, as a command line would make them. Rejects with the server's words. */
function asking(
  role: RunningRole,
  folder: string,
): (method: string, ...params: readonly unknown[]) => Promise<unknown> {
  return async (method, ...params) => {
    const cookie = await readFile(`${folder}/chain/.cookie`, "utf8");
    const headers = { authorization: `Basic ${Buffer.from(cookie).toString("base64")}` };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const response = await fetch(rpcUrl(role), { method: "POST", headers, body });
    const answer = (await response.json()) as {
      readonly result: unknown;
      readonly error?: { readonly message: string };
    };
    if (answer.error !== undefined) throw new Error(answer.error.message);
    return answer.result;
  };
}

const hashOf = (block: Uint8Array): string => displayHash(sha256d(block.subarray(0, 80)));

/** The newest tip that a miner is told of, until its block is the one asked for. */
async function tipOn(miner: TemplateMiner, parent: string): Promise<Work> {
  for (;;) {
    const work = await miner.tip();
    if (displayHash(work.prevHash.prevHash) === parent) return work;
  }
}

describe("the embedded chain asked like a Bitcoin node", () => {
  test("tells its chain: best block, hashes, headers and whole blocks, those before a restart too", async () => {
    await using folder = await temporaryFolder();
    {
      await using role = await startRole(folder.path, chainLines);
      await using miner = await minerOf(role);
      await miner.mine(await miner.tip());
      await miner.tip();
    }
    await using role = await startRole(folder.path, chainLines);
    await using node = nodeOf(role, folder.path);
    await using miner = await minerOf(role);
    await miner.mine(await miner.tip());
    const { prevHash } = await miner.tip();
    const info = await node.chainInfo(request);
    expect(info).toMatchObject({ height: 2, tip: prevHash.prevHash, initialBlockDownload: false, pruned: false });
    const hashes = await Promise.all([0, 1, 2].map((height) => node.blockHash(height, request)));
    const headers = await Promise.all(hashes.map((each) => node.header(each!, request)));
    expect(headers.map((header) => header?.confirmations)).toEqual([3, 2, 1]);
    expect(headers.map((header) => header?.prevHash)).toEqual([undefined, hashes[0], hashes[1]]);
    expect(info.work).toBe(2n + 2n * 16n);
    expect(await node.blockHash(3, request)).toBeUndefined();
    expect(await node.header(hash(new Uint8Array(32)), request)).toBeUndefined();
  });

  test("gives templates that others make valid blocks of, and judges proposals like blocks but for their work", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path, chainLines);
    await using node = nodeOf(role, folder.path);
    await using miner = await minerOf(role);
    await miner.tip();
    const template = await node.template(request);
    expect(template).toMatchObject({ height: 1, transactions: { length: 12 } });
    expect(await node.proposeBlock(blockOf(template), request)).toEqual({ kind: "valid" });
    const spoilt = blockOf(template, { spoilt: true });
    expect(await node.proposeBlock(spoilt, request)).toEqual({ kind: "invalid", reason: "bad-witness-merkle-match" });
    expect(await node.submitBlock(blockOf(template), request)).toMatchObject({ kind: "rejected", reason: "high-hash" });
    expect(await node.submitBlock(Uint8Array.of(1, 2), request)).toMatchObject({ reason: "undecodable" });
    const block = blockOf(template, { solved: true });
    expect(await node.submitBlock(block, request)).toEqual({ kind: "accepted" });
    expect(await node.submitBlock(block, request)).toEqual({ kind: "known" });
    const { template: next } = await tipOn(miner, hashOf(block));
    expect(next.coinbasePrefix).toEqual(Uint8Array.of(0x52));
    expect(await node.proposeBlock(blockOf(template), request)).toMatchObject({ kind: "inconclusive" });
    expect(role.status()).toMatchObject({
      chain: { height: 1, tip_hash: hashOf(block) },
      blocks: { accepted: 1, elsewhere: 0 },
      last_block: { solved_by: "rpc" },
    });
  });

  test("ends a long poll when a client has found a block, and not before", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path, chainLines);
    await using node = nodeOf(role, folder.path);
    await using miner = await minerOf(role);
    const work = await miner.tip();
    const { longPollId } = await node.template(request);
    let isOver = false;
    const polled = node.template({ signal, longPollId: longPollId! }).finally(() => {
      isOver = true;
    });
    // Another call goes all the way there and back meanwhile.
    await node.template(request);
    expect(isOver).toBe(false);
    await miner.mine(work);
    expect(await polled).toMatchObject({ height: 2 });
    expect(await node.template({ signal, longPollId: longPollId! })).toMatchObject({ height: 2 });
  });

  test("finds what waits in its mempool by id and, through an index, by wtxid", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path, chainLines);
    await using node = nodeOf(role, folder.path);
    const { transactions } = await node.template(request);
    const index = new MempoolIndex(node);
    expect(await index.refresh(request)).toEqual({ added: 12, removed: 0, left: 0 });
    const found = await index.byWtxid(
      transactions.map(({ wtxid }) => wtxid),
      request,
    );
    expect(found.map((transaction) => transaction?.bytes)).toEqual(transactions.map(({ bytes }) => bytes));
    const [first] = transactions;
    expect(await node.transaction(first!.txid, request)).toEqual(first!.bytes);
    expect(await node.transaction(hash(new Uint8Array(32)), request)).toBeUndefined();
  });

  test("gives whole blocks in hexadecimal or taken apart, and both forms of a header", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path, chainLines);
    await using node = nodeOf(role, folder.path);
    const block = blockOf(await node.template(request), { solved: true });
    await node.submitBlock(block, request);
    const ask = asking(role, folder.path);
    expect(await ask("getbestblockhash")).toBe(hashOf(block));
    expect(await ask("getblock", hashOf(block), 0)).toBe(hex(block));
    expect(await ask("getblockheader", hashOf(block), false)).toBe(hex(block.subarray(0, 80)));
    const { transactions } = decodeBlock(block);
    expect(await ask("getblock", hashOf(block))).toMatchObject({
      hash: hashOf(block),
      height: 1,
      size: block.length,
      nTx: transactions.length,
      tx: transactions.map((tx) => displayHash(txid(tx))),
    });
    const genesis = await ask("getblockhash", 0);
    expect(await ask("getblock", genesis, 1)).toMatchObject({ height: 0, nTx: 1, nextblockhash: hashOf(block) });
    await expect(ask("getblock", genesis, 2)).rejects.toThrow("parameter 2: expected 0 for hexadecimal or 1 for JSON");
    await expect(ask("getblocktemplate", { rules: [] })).rejects.toThrow("segwit");
  });

  test("serves until it stops, with a cookie for this user alone, or user and password of its config", async () => {
    await using folder = await temporaryFolder();
    const cookie = `${folder.path}/chain/.cookie`;
    {
      await using _role = await startRole(folder.path, chainLines);
      expect((await stat(cookie)).mode & 0o777).toBe(0o600);
    }
    await expect(stat(cookie)).rejects.toMatchObject({ code: "ENOENT" });
    const login = ['rpc_user = "adit"', 'rpc_pass = "secret"'];
    await using role = await startRole(folder.path, { embedded: [...(chainLines.embedded ?? []), ...login] });
    await expect(stat(cookie)).rejects.toMatchObject({ code: "ENOENT" });
    await using node = new BitcoinNode({
      url: rpcUrl(role),
      auth: { user: "adit", password: "secret" },
      network: "regtest",
    });
    expect(await node.chainInfo(request)).toMatchObject({ height: 0 });
    const { body } = await role.metrics.expose();
    expect(body).toContain('sv2_template_provider_rpc_calls_total{method="getblockchaininfo",outcome="ok"} 1');
  });
});

describe("a template provider on another one's chain", () => {
  test("gives work for it, and blocks found at either reach the other", async () => {
    await using chainFolder = await temporaryFolder();
    await using ownFolder = await temporaryFolder();
    await using chain = await startRole(chainFolder.path, chainLines);
    await using other = await onNode(chain, { chain: chainFolder.path, own: ownFolder.path });
    await using near = await minerOf(chain);
    await using far = await minerOf(other);
    const nearWork = await near.tip();
    const farWork = await far.tip();
    expect(farWork.prevHash.nBits).toBe(nearWork.prevHash.nBits);
    expect(farWork.template.merklePath).toEqual(nearWork.template.merklePath);

    await far.mine(farWork);
    const second = await near.tip();
    expect(chain.status()).toMatchObject({ chain: { height: 1 }, last_block: { solved_by: "rpc" } });
    const tag = chain.status().last_block?.coinbase.outputs[0]?.script;
    expect(tag).toBe(hex(decodeTransaction(coinbaseFor(farWork)).outputs[0]!.script));

    await tipOn(far, displayHash(second.prevHash.prevHash));
    await near.mine(second);
    const third = await near.tip();
    const farThird = await tipOn(far, displayHash(third.prevHash.prevHash));
    await far.mine(farThird);
    const fourth = await near.tip();
    expect(chain.status()).toMatchObject({ chain: { height: 3 }, blocks: { accepted: 3, rejected: 0 } });
    expect(displayHash(fourth.prevHash.prevHash)).toBe(chain.status().chain?.tip_hash);
  });
});
