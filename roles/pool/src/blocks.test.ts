import { readFile } from "node:fs/promises";
import { displayHash, hash, pureHashing } from "@adit/bitcoin";
import { NodeError } from "@adit/bitcoin-node";
import type { MiningServerStatus } from "@adit/channels";
import { u256 } from "@adit/codec";
import { metricsRegister, openLog } from "@adit/role-kit";
import { type BlockRow, openSqliteStore, type ShareStore } from "@adit/share-store";
import { describe, expect, test, vi } from "vitest";
import { BlockJournal } from "./block-journal.ts";
import { Blocks } from "./blocks.ts";
import type { ChainJudges } from "./burial/block-judge.ts";
import { type SimulatedBlock, SimulatedChain } from "./burial/testing/simulated-chain.ts";
import { poolMetrics } from "./metrics.ts";
import { temporaryFolder } from "./testing/running-pool.ts";

const MATURITY = 6;
const FOUND_AT = 1_700_000_000_000;

/** What a mining core without a miner says of itself, as far as metrics read it. */
const idle = {
  held: 0,
  hashrate: 0,
  connections: [],
  customJobs: 0,
  customShares: 0,
  refusedCustomJobs: new Map(),
  waitingCustomJobs: 0,
} as unknown as MiningServerStatus;

/** A simulated chain as the node that a pool asks. */
class ChainNode implements ChainJudges {
  readonly chain: SimulatedChain;
  isAway = false;
  /** Blocks it was asked about, in all. */
  asked = 0;

  constructor(chain: SimulatedChain) {
    this.chain = chain;
  }

  async look() {
    if (this.isAway) {
      const message = "no connection; start the node";
      throw new NodeError("unreachable", { node: "node:1", method: "getblockchaininfo", message });
    }
    const { tip } = this.chain;
    return {
      name: "node:1",
      tip,
      places: async (blocks: Parameters<SimulatedChain["place"]>[0][]) => {
        this.asked += blocks.length;
        return blocks.map((block) => this.chain.place(block));
      },
    } as Awaited<ReturnType<ChainJudges["look"]>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The blocks of one process of a pool, on a store and a log that the next one goes on with. */
class Process implements AsyncDisposable {
  readonly blocks: Blocks;
  readonly metrics = metricsRegister();
  readonly store: ShareStore;
  readonly #chain: SimulatedChain;

  private constructor(store: ShareStore, folder: string, nodes: ChainNode | SimulatedChain) {
    this.store = store;
    this.#chain = nodes instanceof ChainNode ? nodes.chain : nodes;
    this.blocks = new Blocks({
      hashing: pureHashing,
      network: "regtest",
      store,
      journal: new BlockJournal(`${folder}/shares.db-blocks`),
      metrics: poolMetrics(this.metrics, {
        server: () => idle,
        store: () => store.stats(),
        templateProviderUp: () => 1,
        templateAge: () => undefined,
        judge: () => this.blocks.judgeStatus,
      }),
      judges: nodes instanceof ChainNode ? { nodes, maturity: MATURITY } : undefined,
      submit: () => {},
      log: openLog({ role: "pool", level: "info", file: `${folder}/pool.log` }),
      now: () => FOUND_AT,
    });
  }

  /** `nodes`: the chain alone for a pool without a node. */
  static async start(folder: string, nodes: ChainNode | SimulatedChain): Promise<Process> {
    const process = new Process(await openSqliteStore({ path: `${folder}/shares.db` }), folder, nodes);
    await process.blocks.restore();
    return process;
  }

  /** A miner's block that the node has. */
  found(block: SimulatedBlock): SimulatedBlock {
    this.#chain.take(block);
    const { height, parent } = block;
    this.blocks.found({
      hash: hash(block.hash),
      prevHash: hash(parent?.hash ?? new Uint8Array(32)),
      height,
      header: new Uint8Array(80),
      coinbase: Uint8Array.of(1),
      templateId: 1n,
      declaration: undefined,
      workId: 1,
      extranonce: new Uint8Array(20),
      connection: 1,
      channelId: 1,
      userIdentity: "finder",
      worker: undefined,
    });
    return block;
  }

  /** The template provider builds on the tip of the chain. Resolves when the newest block has this result. */
  async tell(result?: string): Promise<void> {
    const prevHash = u256(this.#chain.tip.hash);
    const target = u256(new Uint8Array(32));
    const fields = { templateId: 1n, prevHash, headerTimestamp: 0, nBits: 0, target };
    this.blocks.handle({ type: "prev-hash", prevHash: { name: "SetNewPrevHash", ...fields } });
    if (result !== undefined) await vi.waitFor(() => expect(this.blocks.last?.row.result).toBe(result));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.blocks[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
  }
}

async function stored(folder: string): Promise<readonly BlockRow[]> {
  await using store = await openSqliteStore({ path: `${folder}/shares.db` });
  return await store.blocks(10_000);
}

/** Fills a store with rows that a former version of the pool left. */
async function fill(folder: string, rows: readonly Partial<BlockRow>[]): Promise<void> {
  await using store = await openSqliteStore({ path: `${folder}/shares.db` });
  const bytes = { hash: new Uint8Array(32), header: new Uint8Array(80), prevHash: new Uint8Array(32) };
  const who = { templateId: null, declaredBy: null, userIdentity: "finder", worker: "" };
  const row = { ...bytes, ...who, coinbase: Uint8Array.of(1), height: 1, foundAt: 0, result: "pending", resultAt: 1 };
  await Promise.all(rows.map((change) => store.recordBlock({ ...row, ...change })));
}

async function logged(folder: string): Promise<readonly Record<string, unknown>[]> {
  const lines = (await readFile(`${folder}/pool.log`, "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("a pool's block that a node judges", () => {
  test("goes to the side and wins after a restart: store, log and metrics say so each time", async () => {
    await using folder = await temporaryFolder();
    const chain = new SimulatedChain(100);
    const node = new ChainNode(chain);
    let block: SimulatedBlock;
    {
      await using pool = await Process.start(folder.path, node);
      const rival = chain.take(chain.make());
      block = pool.found(chain.make(rival.parent));
      await pool.tell("side-branch");
      expect(pool.blocks.newest(9)).toMatchObject([{ row: { result: "side-branch" }, confirmations: 0 }]);
    }
    expect(await stored(folder.path)).toMatchObject([{ result: "side-branch", resultAt: FOUND_AT }]);
    {
      await using pool = await Process.start(folder.path, node);
      chain.mine(2, block);
      await pool.tell("accepted");
      expect(pool.blocks.newest(9)).toMatchObject([{ confirmations: 3 }]);
      chain.mine(MATURITY - 3);
      await pool.tell("matured");
      expect(pool.blocks.judgeStatus).toMatchObject({ node: "node:1", trouble: null, open: 0, maturity: MATURITY });
      const { body } = await pool.metrics.expose();
      for (const line of ['blocks_settled_total{result="matured"} 1', "blocks_open 0", "block_judge_up 1"]) {
        expect(body).toContain(`sv2_pool_${line}`);
      }
    }
    expect(await stored(folder.path)).toMatchObject([{ result: "matured" }]);
    const texts = ["block not in the chain", "block accepted", "block matured"];
    const lines = (await logged(folder.path)).filter(({ msg }) => texts.includes(String(msg)));
    const fields = { hash: displayHash(hash(block.hash)), height: 101 };
    expect(lines).toMatchObject([
      { ...fields, msg: texts[0], before: "pending", result: "side-branch", confirmations: 0 },
      { ...fields, msg: texts[1], before: "side-branch", result: "accepted", confirmations: 3 },
      { ...fields, msg: texts[2], before: "accepted", result: "matured", confirmations: MATURITY },
    ]);
  });

  test("that was accepted is orphaned when another branch is as deep", async () => {
    await using folder = await temporaryFolder();
    const chain = new SimulatedChain(100);
    {
      await using pool = await Process.start(folder.path, new ChainNode(chain));
      const { parent } = pool.found(chain.make());
      await pool.tell("accepted");
      chain.mine(MATURITY, parent);
      await pool.tell("orphaned");
    }
    expect(await stored(folder.path)).toMatchObject([{ result: "orphaned" }]);
    expect((await logged(folder.path)).at(-1)).toMatchObject({ level: 40, msg: "block orphaned" });
  });

  test("stands still while the node is away, which is told once, and is judged when it is back", async () => {
    await using folder = await temporaryFolder();
    const node = new ChainNode(new SimulatedChain(100));
    {
      await using pool = await Process.start(folder.path, node);
      pool.found(node.chain.make());
      node.isAway = true;
      for (const _ of [1, 2]) {
        await pool.tell();
        await vi.waitFor(() => expect(pool.blocks.judgeStatus?.trouble).toMatch(/start the node/));
      }
      expect(pool.blocks.last?.row.result).toBe("pending");
      node.isAway = false;
      await pool.tell("accepted");
      expect(pool.blocks.judgeStatus?.trouble).toBeNull();
    }
    const lines = (await logged(folder.path)).map(({ msg }) => msg);
    expect(lines.filter((msg) => String(msg).startsWith("no node judges blocks"))).toHaveLength(1);
    expect(lines).toContain("blocks are judged by this node");
  });

  test("is judged however many were found since, and one that is final is not asked about any more", async () => {
    await using folder = await temporaryFolder();
    const chain = new SimulatedChain(100);
    const old = chain.mine(1);
    const later = Array.from({ length: 300 }, (_, at) => ({
      hash: chain.make().hash,
      foundAt: 10 + at,
      result: at % 2 === 0 ? "matured" : "orphaned",
    }));
    await fill(folder.path, [{ hash: old.hash, height: old.height, foundAt: 1, result: "accepted" }, ...later]);
    chain.mine(MATURITY);
    const node = new ChainNode(chain);
    {
      await using pool = await Process.start(folder.path, node);
      expect(pool.blocks.judgeStatus?.open).toBe(1);
      await pool.tell();
      await vi.waitFor(() => expect(pool.blocks.judgeStatus?.open).toBe(0));
    }
    expect(node.asked).toBe(1);
    expect((await stored(folder.path)).at(-1)).toMatchObject({ foundAt: 1, result: "matured" });
  });

  test("is judged in the end where more are open than are followed at once", { timeout: 60_000 }, async () => {
    await using folder = await temporaryFolder();
    const chain = new SimulatedChain(100);
    // As tips alone left them, before there was a node.
    const rows = Array.from({ length: 1_500 }, (_, at) => {
      const block = at % 3 === 0 ? chain.mine(1) : chain.make(chain.tip.parent);
      return { hash: block.hash, height: block.height, foundAt: at, result: at % 3 === 0 ? "unknown" : "superseded" };
    });
    await fill(folder.path, rows);
    chain.mine(MATURITY);
    {
      await using pool = await Process.start(folder.path, new ChainNode(chain));
      expect(pool.blocks.judgeStatus?.open).toBe(1_024);
      await vi.waitFor(
        async () => {
          pool.blocks.tick();
          await pool.tell();
          expect(await pool.store.openBlocks(1)).toEqual([]);
        },
        { timeout: 50_000 },
      );
    }
    const results = (await stored(folder.path)).map(({ result }) => result);
    const count = (wanted: string): number => results.filter((result) => result === wanted).length;
    expect([count("matured"), count("orphaned")]).toEqual([500, 1_000]);
  });
});

test("without a node the tips decide, for now, and the operator is warned", async () => {
  await using folder = await temporaryFolder();
  const chain = new SimulatedChain(100);
  {
    await using pool = await Process.start(folder.path, chain);
    pool.found(chain.make());
    await pool.tell("accepted");
    chain.mine(2 * MATURITY);
    await pool.tell("accepted");
    expect(pool.blocks.judgeStatus).toBeUndefined();
    expect(pool.blocks.newest(1)).toMatchObject([{ confirmations: undefined }]);
  }
  const [first] = await logged(folder.path);
  expect(first).toMatchObject({ level: 40, msg: expect.stringMatching(/^no bitcoin_node is configured/) as string });
});
