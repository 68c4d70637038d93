import { join } from "node:path";
import {
  decodeTransaction,
  type Hash,
  hash,
  hashFromDisplay,
  hex,
  sha256d,
  subsidy,
  transactionWeight,
} from "@adit/bitcoin";
import { BitcoinNode, MempoolIndex, NodeError, type NodeEvent, NodeWatch } from "@adit/bitcoin-node";
import { describe, expect, test } from "vitest";
import { Stage } from "../harness/stage.ts";
import { until } from "../harness/until.ts";
import { tipOf } from "./chain-view.ts";
import { type BlockPlan, minePlain, type PlainBlock, planOfTemplate, reorganise, solve } from "./mine-plain.ts";
import type { NodeOptions, TestNode } from "./test-node.ts";
import { Wallet } from "./wallet.ts";

/** How the software at hand answers where the others do not. */
export interface ClientSuiteOptions {
  readonly start: (options: NodeOptions) => Promise<TestNode>;
  /** What a block is answered with whose parent the node lacks. */
  readonly orphan: "accepted" | "retry";
  /** It tells the headers of side branches. */
  readonly knowsBranches: boolean;
}

/** What `@adit/bitcoin-node` promises with real node software. */
export function clientSuite(name: string, { start, orphan, knowsBranches }: ClientSuiteOptions): void {
  const request = { signal: new AbortController().signal };
  const withNode = async (run: (node: BitcoinNode, behind: TestNode, stage: Stage) => Promise<void>): Promise<void> => {
    await using stage = await Stage.open();
    await using behind = await start({ folder: join(stage.folder, "node") });
    await using node = clientOf(behind);
    await run(node, behind, stage);
  };

  describe(`@adit/bitcoin-node with ${name}`, () => {
    test("sees the chain, and headers on and off it", () =>
      withNode(async (node, behind) => {
        const [lost] = await minePlain(behind, 1);
        await reorganise(behind, 1);
        const info = await node.chainInfo(request);
        const tip = await tipOf(behind);
        expect(info).toMatchObject({ chain: "regtest", height: tip.height, initialBlockDownload: false });
        const header = await node.header(info.tip, request);
        expect(header).toMatchObject({ hash: hashFromDisplay(tip.hash), height: tip.height, confirmations: 1 });
        expect(header?.bits).toBe(0x207f_ffff);
        const beside = await node.header(hashFromDisplay(lost!.hash), request);
        expect(beside?.confirmations).toBe(knowsBranches ? -1 : undefined);
        expect(await node.header(hash(new Uint8Array(32).fill(1)), request)).toBeUndefined();
        expect(await node.blockHash(tip.height, request)).toEqual(info.tip);
        expect(await node.blockHash(tip.height + 1, request)).toBeUndefined();
      }));

    test("reads templates whose every transaction is what it is said to be", () =>
      withNode(async (node, behind) => {
        const wallet = await Wallet.open(behind);
        await wallet.provide(60);
        await wallet.sendMany(100);
        await wallet.sendChain(10);
        const template = await until("the template has them", async () => {
          const template = await node.template(request);
          return template.transactions.length === 110 && template;
        });
        expect(template).toMatchObject({ weightLimit: 4_000_000, sigopsLimit: 80_000, bits: 0x207f_ffff });
        expect(template.witnessCommitment?.subarray(0, 6)).toEqual(Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed));
        const fees = template.transactions.reduce((sum, { fee }) => sum + fee, 0n);
        expect(template.coinbaseValue).toBe(subsidy(template.height, "regtest") + fees);
        for (const { bytes, wtxid, weight } of template.transactions) {
          expect(sha256d(bytes)).toEqual(wtxid);
          expect(transactionWeight(decodeTransaction(bytes))).toBe(weight);
        }
        const ids = template.transactions.map(({ txid }) => hex(txid));
        for (const { bytes, depends } of template.transactions) {
          const parents = decodeTransaction(bytes).inputs.map(({ prevHash }) => ids.indexOf(hex(prevHash)));
          expect(depends.toSorted((a, b) => a - b)).toEqual(parents.filter((at) => at >= 0));
        }
      }));

    test("has blocks taken, known, refused by their reasons and not read", () =>
      withNode(async (node, behind) => {
        const wallet = await Wallet.open(behind);
        await wallet.provide(2);
        await wallet.sendMany(2);
        const plan = await until("the template has both", async () => {
          const plan = await planOfTemplate(behind);
          return plan.transactions.length === 2 && plan;
        });
        const refused = async (change: Partial<BlockPlan>): Promise<unknown> =>
          await node.submitBlock(solve({ ...plan, ...change }).bytes, request);
        expect(await refused({ coinbaseValue: plan.coinbaseValue + 1n })).toMatchObject(rejectedAs("bad-cb-amount"));
        expect(await refused({ time: plan.time + 10_800 })).toEqual({ kind: "retry", reason: "time-too-new" });
        expect(await refused({ commits: false })).toMatchObject(rejectedAs("unexpected-witness"));
        expect(await refused({ bits: 0x207f_fffe })).toMatchObject(rejectedAs("bad-diffbits"));
        expect(await refused({ time: 1_300_000_000 })).toMatchObject(rejectedAs("time-too-old"));
        const good = solve(plan);
        expect(await node.submitBlock(good.bytes.subarray(0, 100), request)).toMatchObject(rejectedAs("undecodable"));
        expect(await node.submitBlock(solve({ ...plan, parent: "11".repeat(32) }).bytes, request)).toMatchObject({
          kind: orphan,
        });
        expect(await node.submitBlock(good.bytes, request)).toEqual({ kind: "accepted" });
        expect(await node.submitBlock(good.bytes, request)).toEqual({ kind: "known" });
      }));

    test("has blocks checked before they have work", () =>
      withNode(async (node, behind) => {
        const plan = await planOfTemplate(behind);
        const proposed = async (change: Partial<BlockPlan> = {}): Promise<unknown> =>
          await node.proposeBlock(solve({ ...plan, ...change }).bytes, request);
        expect(await proposed()).toEqual({ kind: "valid" });
        expect(await proposed({ coinbaseValue: plan.coinbaseValue + 1n })).toEqual({
          kind: "invalid",
          reason: "bad-cb-amount",
        });
        await minePlain(behind, 1);
        expect(await proposed()).toMatchObject({ kind: "inconclusive" });
      }));

    test("waits in a long poll until there is a block", () =>
      withNode(async (node, behind) => {
        const { longPollId } = await node.template(request);
        const polling = node.template({ ...request, longPollId: longPollId! });
        const [block] = await minePlain(behind, 1);
        expect((await polling).prevHash).toEqual(hashFromDisplay(block!.hash));
      }));

    test("finds the mempool's transactions by txid and wtxid", () =>
      withNode(async (node, behind) => {
        const wallet = await Wallet.open(behind);
        await wallet.provide(50);
        const sent = await wallet.sendMany(100);
        const index = new MempoolIndex(node, { maxBytes: 4_000 });
        expect(await index.refresh(request)).toEqual({ added: 100, removed: 0, left: 0 });
        const wtxids = sent.map(({ bytes }): Hash => sha256d(bytes));
        const found = await index.byWtxid(wtxids, request);
        expect(found.map((transaction) => transaction?.bytes)).toEqual(sent.map(({ bytes }) => bytes));
        expect(await node.transaction(sent[0]!.txid, request)).toEqual(sent[0]!.bytes);
        expect(await node.transaction(wtxids[0]!.toReversed() as Hash, request)).toBeUndefined();
        await minePlain(behind, 1);
        expect(await index.refresh(request)).toEqual({ added: 0, removed: 100, left: 0 });
      }));

    test("follows blocks, a reorganisation and a restart", () =>
      withNode(async (node, behind) => {
        const events: NodeEvent[] = [];
        const onEvent = (event: NodeEvent): unknown => events.push(event);
        await using watch = new NodeWatch({
          node,
          pollIntervalMs: 100,
          templateIntervalMs: 30_000,
          onEvent,
          ...request,
        });
        watch.wantTemplates(true);
        const builtOn = async (block: PlainBlock): Promise<unknown> =>
          await until(`a template on ${block.hash}`, () => {
            const newest = events.findLast((event) => event.type === "template");
            return newest?.type === "template" && hex(newest.template.prevHash) === hex(hashFromDisplay(block.hash));
          });
        for (const block of await minePlain(behind, 1)) await builtOn(block);
        const [lost] = await minePlain(behind, 1);
        await builtOn(lost!);
        await builtOn((await reorganise(behind, 1)).at(-1)!);
        await behind.kill();
        await until("the node is gone", () => events.some((event) => event.type === "failed"));
        await behind.restart();
        await builtOn((await minePlain(behind, 1))[0]!);
        const faults = events.flatMap((event) => (event.type === "failed" ? [event.error.code] : []));
        expect(new Set(faults)).toEqual(new Set(["unreachable"]));
      }));

    test("is told that its password is wrong", () =>
      withNode(async (_node, { rpcUrl }) => {
        const auth = { user: "someone", password: "wrong" };
        await using stranger = new BitcoinNode({ url: rpcUrl, auth, network: "regtest" });
        const refusal: unknown = await stranger.chainInfo(request).catch((error: unknown) => error);
        expect(refusal).toBeInstanceOf(NodeError);
        expect(refusal).toMatchObject({ code: "auth-refused" });
      }));
  });
}

function clientOf({ rpcUrl, user, password }: TestNode): BitcoinNode {
  return new BitcoinNode({ url: rpcUrl, auth: { user, password }, network: "regtest" });
}

function rejectedAs(reason: string): object {
  return { kind: "rejected", reason };
}
