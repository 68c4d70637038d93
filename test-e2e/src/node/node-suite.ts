import { join } from "node:path";
import { decodeBlock, displayHash, hex, transactionWeight, txid } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { Stage } from "../harness/stage.ts";
import { until } from "../harness/until.ts";
import { faultsOf } from "./block-oracle.ts";
import { blockOf, tipOf } from "./chain-view.ts";
import { minePlain, planOfTemplate, reorganise } from "./mine-plain.ts";
import { nodeRpc, RpcError } from "./node-rpc.ts";
import { spend } from "./spend.ts";
import type { NodeOptions, TestNode } from "./test-node.ts";
import { Wallet } from "./wallet.ts";

const MOST_WEIGHT = 4_000_000;
const DAY_SECONDS = 86_400;
const SEGWIT_HEIGHT = 432;
/** Longest chain of unconfirmed transactions that nodes take. */
const LONGEST_CHAIN = 25;

/** What every {@link TestNode} promises the scenarios. */
export function nodeSuite(name: string, start: (options: NodeOptions) => Promise<TestNode>): void {
  /** A stage with one node, for one test. */
  const withNode = async (run: (node: TestNode, stage: Stage) => Promise<void>): Promise<void> => {
    await using stage = await Stage.open();
    await using node = await start({ folder: join(stage.folder, "node") });
    await run(node, stage);
  };

  describe(`${name} behind the tests`, () => {
    test("has a recent chain on which segwit is in force", () =>
      withNode(async (node) => {
        const { height, time } = await tipOf(node);
        expect(height).toBeGreaterThanOrEqual(SEGWIT_HEIGHT);
        expect(Date.now() / 1000 - time).toBeLessThan(DAY_SECONDS);
      }));

    test("knows its user by the password", () =>
      withNode(async ({ rpcUrl, user }) => {
        const stranger = nodeRpc({ rpcUrl, user, password: "another" });
        await expect(stranger("getblockcount")).rejects.toThrow("401");
      }));

    test("takes the blocks that are mined from its templates", () =>
      withNode(async (node) => {
        const { height } = await tipOf(node);
        const blocks = await minePlain(node, 3);
        const last = blocks.at(-1)!;
        expect(await tipOf(node)).toMatchObject({ height: height + 3, hash: last.hash });
        expect(await blockOf(node, last.hash)).toEqual(last.bytes);
        for (const { bytes } of blocks) expect(await faultsOf(node, bytes)).toEqual([]);
      }));

    test("mines hundreds of transactions, of both kinds and chained", () =>
      withNode(async (node) => {
        const wallet = await Wallet.open(node);
        await wallet.provide(120);
        const sent = [...(await wallet.sendMany(200)), ...(await wallet.sendChain(LONGEST_CHAIN))];
        const [block] = await minePlain(node, 1);
        const mined = decodeBlock(block!.bytes).transactions.slice(1);
        expect(mined.map((tx) => displayHash(txid(tx))).toSorted()).toEqual(
          sent.map((spend) => displayHash(spend.txid)).toSorted(),
        );
        expect(mined.filter(({ segwit }) => segwit).length).toBeGreaterThan(100);
        expect(await faultsOf(node, block!.bytes)).toEqual([]);
        expect(await node.rpc("getrawmempool")).toEqual([]);
      }));

    test("says that it does not take a transaction", () =>
      withNode(async (node) => {
        const wallet = await Wallet.open(node);
        const [sent] = await wallet.sendMany(1);
        const [coin] = sent!.coins;
        const missing = spend({ from: [{ ...coin!, index: 1 }], to: ["legacy"], feeRate: 2 });
        await expect(wallet.send(missing)).rejects.toThrow(RpcError);
        expect(await node.rpc("getrawmempool")).toEqual([displayHash(sent!.txid)]);
      }));

    test("makes a template as heavy as a block may be, of what pays most", () =>
      withNode(async (node) => {
        const wallet = await Wallet.open(node);
        await wallet.provide(180);
        const poor = await wallet.sendWeight(MOST_WEIGHT / 2, { feeRate: 2 });
        const rich = await wallet.sendWeight(MOST_WEIGHT / 2, { feeRate: 20 });
        await wallet.sendMany(300, { feeRate: 10 });
        const [block] = await minePlain(node, 1);
        const { transactions } = decodeBlock(block!.bytes);
        const weight = transactions.reduce((sum, tx) => sum + transactionWeight(tx), 0);
        expect(weight).toBeGreaterThan(0.97 * MOST_WEIGHT);
        const ids = new Set(transactions.map((tx) => displayHash(txid(tx))));
        expect(rich.filter((spend) => !ids.has(displayHash(spend.txid)))).toEqual([]);
        expect(poor.filter((spend) => !ids.has(displayHash(spend.txid)))).not.toEqual([]);
        expect(await faultsOf(node, block!.bytes)).toEqual([]);
      }));

    test("gives up two blocks for a longer branch, and takes their transactions up again", () =>
      withNode(async (node) => {
        const wallet = await Wallet.open(node);
        await wallet.provide(2);
        // On replacing blocks, bcoin gives up what spends a coinbase, and everything when its mempool is empty.
        const mined = await wallet.sendMany(1, { kinds: ["segwit"] });
        const lost = await minePlain(node, 2);
        const waiting = await wallet.sendMany(1, { kinds: ["segwit"] });
        const branch = await reorganise(node, 2);
        expect(branch.map(({ height }) => height)).toEqual([...lost.map(({ height }) => height), lost[1]!.height + 1]);
        expect(await tipOf(node)).toMatchObject({ hash: branch.at(-1)?.hash });
        for (const { bytes } of branch) expect(await faultsOf(node, bytes)).toEqual([]);
        const sent = [...mined, ...waiting].map((spend) => hex(spend.bytes)).toSorted();
        await until("the transaction waits again", async () => {
          const { parent, transactions } = await planOfTemplate(node);
          expect({ parent, transactions: transactions.map(hex).toSorted() }).toEqual({
            parent: branch.at(-1)?.hash,
            transactions: sent,
          });
          return true;
        });
      }));

    test("shares blocks with its peer, both ways", () =>
      withNode(async (node, stage) => {
        await using peer = await start({ folder: join(stage.folder, "peer"), peer: node.p2p });
        const meets = async (): Promise<boolean> => (await tipOf(peer)).hash === (await tipOf(node)).hash;
        await until("the peer has the chain", meets);
        await minePlain(node, 1);
        await until("the peer has the block", meets);
        const [block] = await minePlain(peer, 1);
        await until("the node has the peer's block", async () => (await tipOf(node)).hash === block?.hash);
      }));
  });
}
