import { join } from "node:path";
import { fromHex } from "@adit/bitcoin";
import { nodeTemplateProviderToml } from "../../harness/configs.ts";
import { Stage } from "../../harness/stage.ts";
import type { TestRole } from "../../harness/test-role.ts";
import { until } from "../../harness/until.ts";
import { type BlockFile, BlockFolder } from "../block-folder.ts";
import { chainOf, tipOf } from "../chain-view.ts";
import type { NodeOptions, TestNode } from "../test-node.ts";
import { Wallet } from "../wallet.ts";
import { expectSound } from "./sound-blocks.ts";

const TAKEN_MS = 20_000;

/** What the scenarios of mining run on. */
export interface MiningGround {
  /** Starts a node. */
  readonly start: (options: NodeOptions) => Promise<TestNode>;
  /** Other software that is shown the node's blocks. Rejects when it refuses one. */
  readonly judge?: (blocks: NodeBlocks) => Promise<void>;
}

/** Every block that a node has of its own or was given by a template provider. */
export interface NodeBlocks {
  /** The best chain, without the first block, in order. */
  readonly chain: readonly Uint8Array[];
  /** Blocks of other branches. */
  readonly aside: readonly Uint8Array[];
}

/** A node whose mempool can be filled, and a template provider on it. Disposing it ends them. */
export class MiningScene implements AsyncDisposable {
  readonly stage: Stage;
  readonly node: TestNode;
  readonly wallet: Wallet;
  readonly provider: TestRole;
  readonly #ground: MiningGround;

  private constructor(
    parts: Pick<MiningScene, "stage" | "node" | "wallet" | "provider"> & { readonly ground: MiningGround },
  ) {
    this.stage = parts.stage;
    this.node = parts.node;
    this.wallet = parts.wallet;
    this.provider = parts.provider;
    this.#ground = parts.ground;
  }

  /** Starts both, with so many coins of each kind in the wallet. */
  static async open(ground: MiningGround, coins: number): Promise<MiningScene> {
    const stage = await Stage.open();
    let node: TestNode | undefined;
    try {
      const started = await ground.start({ folder: join(stage.folder, "node") });
      node = started;
      const wallet = await Wallet.open(node);
      await wallet.provide(coins);
      const provider = await stage.start("template-provider", (folder) => nodeTemplateProviderToml(folder, [started]));
      return new MiningScene({ stage, node, wallet, provider, ground });
    } catch (error) {
      await node?.kill();
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Resolves when the node has a block, by its hash in displayed order, as its best one. */
  async takes(hash: string): Promise<void> {
    await until(`the node takes ${hash}`, async () => (await tipOf(this.node)).hash === hash, TAKEN_MS);
  }

  /**
   * Checks every block that the template provider submitted, shows them and the chain to the judge, and returns them.
   * `mayFork`: as for {@link expectSound}.
   */
  async expectSound(options: { readonly mayFork?: boolean } = {}): Promise<readonly BlockFile[]> {
    const folder = new BlockFolder(join(this.stage.folder, "template-provider", "node"));
    const blocks = await expectSound(this.node, folder, options);
    const { judge } = this.#ground;
    if (judge === undefined) return blocks;
    const chain: Uint8Array[] = [];
    for await (const block of chainOf(this.node)) chain.push(block);
    const aside = blocks.filter(({ outcome }) => outcome?.outcome !== "accepted");
    await judge({ chain, aside: aside.map((block) => fromHex(block.hex)) });
    return blocks;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage[Symbol.asyncDispose]();
    await this.node[Symbol.asyncDispose]();
  }
}
