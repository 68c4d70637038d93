import {
  type Block,
  decodeBlock,
  decodeTransaction,
  displayHash,
  hex,
  type TxOutput,
  transactionWeight,
  txid,
} from "@adit/bitcoin";
import { REQUIRES_STANDARD_JOBS } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blockOf, tipOf } from "../chain-view.ts";
import type { Spend } from "../spend.ts";
import { type GivenWork, OUTPUT_SIZE, TemplateWatch } from "../template-watch.ts";
import type { Wallet } from "../wallet.ts";
import { ChannelsOnTemplates } from "./channels-on-templates.ts";
import { coinbaseOf } from "./coinbase-view.ts";
import { type MiningGround, MiningScene } from "./mining-scene.ts";

/** Transactions beside the coinbase with which the merkle path has as many hashes as their place in this list. */
const COUNTS = [0, 1, 3, 4, 15, 16, 33, 127, 200, 300, 1_023];
const COINS = 1_000;
/** Longest chain of unconfirmed transactions that nodes take. */
const LONGEST_CHAIN = 25;
const MOST_WEIGHT = 4_000_000;
/** Weight that is kept free beside the room of a client (spec 7.1). */
const RESERVED_WEIGHT = 1_168;
/** Of a pool with very many payouts: nearly the 65,535 bytes that a coinbase may have in SubmitSolution. */
const GREEDY = { size: 65_000, sigops: 1_000 };
const OP_RETURN = 0x6a;
const OP_CHECKSIG = 0xac;

/** What a template provider promises on a node: its templates make blocks, whatever the mempool and whoever mines. */
export function templateSuite(name: string, ground: MiningGround): void {
  describe(`${name} behind a template provider`, () => {
    let scene: MiningScene;

    beforeAll(async () => {
      scene = await MiningScene.open(ground, COINS);
    });

    afterAll(async () => {
      await scene[Symbol.asyncDispose]();
    });

    test.each([
      ["an extended channel", "extended", 0],
      ["a standard channel in a group", "standard", 0],
      ["a standard channel of its own", "standard", REQUIRES_STANDARD_JOBS],
    ] as const)("takes blocks of %s before and after its extranonce prefix is rotated", async (_, kind, flags) => {
      await using channels = await ChannelsOnTemplates.open(scene.provider, flags);
      const { miner } = channels;
      const channel = await miner.open(kind, "rotated");
      const mine = async (): Promise<string> => {
        const hash = await miner.mine(channel, (await tipOf(scene.node)).hash);
        await scene.takes(hash);
        const [, , extranonce] = (await coinbaseOf(scene.node, hash)).pushes;
        return hex(extranonce!).slice(0, 2 * channel.extranoncePrefix.length);
      };
      const old = hex(channel.extranoncePrefix);
      expect(await mine()).toBe(old);
      const { hash: tip } = await tipOf(scene.node);
      const job = await miner.job(channel, tip);
      channels.rotate(channel);
      const rotated = hex(channel.extranoncePrefix);
      expect(rotated).not.toBe(old);
      // The job that was there before keeps its prefix (spec 5.3.10).
      expect(channel.activeJob).toBe(job);
      expect(await mine()).toBe(old);
      expect(await mine()).toBe(rotated);
      expect(miner.complaints).toEqual([]);
    });

    test("gives merkle paths of each length from none to ten, and takes a block of each", async () => {
      await using client = await TemplateWatch.open(scene.provider);
      const mined: string[] = [];
      let work = await client.given("a template without transactions", hasPath(0));
      for (const [length, count] of COUNTS.entries()) {
        const spends = await sendSome(scene.wallet, count);
        // A template from before the transactions makes a new tip, whose own has them: btcd makes no other one so soon.
        if (count > 0) {
          const hash = await client.mine(work);
          mined.push(hash);
          work = await client.given(`a path of ${length}`, (next) => next.parent === hash && hasPath(length)(next));
        }
        expect(work.template.merklePath).toHaveLength(length);
        expect((await client.transactions(work)).map(idOf).toSorted()).toEqual(idsOf(spends));
      }
      mined.push(await client.mine(work));
      await scene.takes(mined.at(-1)!);
      const blocks = await Promise.all(mined.map((hash) => decoded(scene, hash)));
      expect(blocks.map(({ transactions }) => transactions.length - 1)).toEqual(COUNTS);
      expect(blocks.at(-1)!.transactions.filter(({ segwit }) => segwit).length).toBeGreaterThan(400);
      expect(await scene.node.rpc("getrawmempool")).toEqual([]);
    });

    test("trims a full template to the room that a client asks for, which takes all of it", async () => {
      const { provider, wallet } = scene;
      await using modest = await TemplateWatch.open(provider);
      await using greedy = await TemplateWatch.open(provider, GREEDY);
      await wallet.provide(600);
      const { hash: parent } = await tipOf(scene.node);
      const empty = await modest.given("a template without transactions", (work) => work.parent === parent);
      await wallet.sendWeight(1.1 * MOST_WEIGHT, { feeRate: 5 });
      await wallet.sendChain(LONGEST_CHAIN, { feeRate: 10 });
      const rich = await wallet.sendMany(300, { feeRate: 20 });
      // Small enough to fill what no big one fits in.
      await wallet.sendMany(700, { feeRate: 2 });
      const tip = await modest.mine(empty);
      const isFull = (work: GivenWork): boolean => work.parent === tip && work.template.merklePath.length >= 9;
      const full = await modest.transactions(await modest.given("a full template", isFull));
      const work = await greedy.given("a trimmed template", isFull);
      const trimmed = await greedy.transactions(work);

      const room = MOST_WEIGHT - RESERVED_WEIGHT - 4 * GREEDY.size;
      expect(weightOf(full)).toBeGreaterThan(0.95 * MOST_WEIGHT);
      expect(weightOf(trimmed)).toBeLessThanOrEqual(room);
      const taken = new Set(trimmed.map(idOf));
      const left = full.filter((bytes) => !taken.has(idOf(bytes)));
      expect(left).not.toEqual([]);
      expect(left.filter((bytes) => weightOf([...trimmed, bytes]) <= room)).toEqual([]);

      const hash = await greedy.mine(work, [takingAll()]);
      await scene.takes(hash);
      const [coinbase, ...mined] = (await decoded(scene, hash)).transactions;
      expect(transactionWeight(coinbase!)).toBeGreaterThan(4 * GREEDY.size);
      const ids = new Set(mined.map((tx) => displayHash(txid(tx))));
      expect(idsOf(rich).filter((id) => !ids.has(id))).toEqual([]);
    });

    test("was given blocks that nothing is wrong with", async () => {
      const blocks = await scene.expectSound();
      // Three for each kind of channel, and those with transactions.
      expect(blocks.length).toBe(3 * 3 + COUNTS.length + 2);
      expect(blocks.filter(({ outcome }) => outcome?.outcome !== "accepted")).toEqual([]);
      const counts = { accepted: blocks.length, rejected: 0, rejected_by_reason: {} };
      expect((await scene.provider.status()).blocks).toMatchObject(counts);
    });
  });
}

/** Transactions of both kinds; of many, some depend on each other. */
async function sendSome(wallet: Wallet, count: number): Promise<readonly Spend[]> {
  const chained = count > LONGEST_CHAIN ? await wallet.sendChain(LONGEST_CHAIN) : [];
  return [...chained, ...(await wallet.sendMany(count - chained.length))];
}

function hasPath(length: number): (work: GivenWork) => boolean {
  return ({ template }) => template.merklePath.length === length;
}

/** An output that fills the greedy client's room, beside the one that pays. */
function takingAll(): TxOutput {
  // Eight bytes of value, and five that tell the length.
  const script = new Uint8Array(GREEDY.size - OUTPUT_SIZE - 8 - 5).fill(OP_RETURN);
  return { value: 0n, script: script.fill(OP_CHECKSIG, 0, GREEDY.sigops) };
}

async function decoded({ node }: MiningScene, hash: string): Promise<Block> {
  return decodeBlock(await blockOf(node, hash));
}

function weightOf(transactions: readonly Uint8Array[]): number {
  return transactions.reduce((sum, bytes) => sum + transactionWeight(decodeTransaction(bytes)), 0);
}

function idOf(bytes: Uint8Array): string {
  return displayHash(txid(decodeTransaction(bytes)));
}

function idsOf(spends: readonly Spend[]): readonly string[] {
  return spends.map((spend) => displayHash(spend.txid)).toSorted();
}
