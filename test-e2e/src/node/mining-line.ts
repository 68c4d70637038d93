import { join } from "node:path";
import { expect } from "vitest";
import {
  type Listen,
  listensOn,
  type NodeAccess,
  nodeTemplateProviderToml,
  poolToml,
  translatorToml,
  upstream,
} from "../harness/configs.ts";
import { dialPool } from "../harness/dial.ts";
import { expectRecorded } from "../harness/recorded-shares.ts";
import type { Stage } from "../harness/stage.ts";
import { Sv1Miner } from "../harness/sv1-miner.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { type BlockFile, BlockFolder } from "./block-folder.ts";
import { TemplateWatch } from "./template-watch.ts";

/** What a {@link MiningLine} mines on. */
export interface MiningLineOptions {
  /** Where templates come from, most preferred first. */
  readonly nodes: readonly NodeAccess[];
  /** Further nodes that blocks go to. */
  readonly extraSubmit?: readonly NodeAccess[];
  /** `min_interval`, in seconds. */
  readonly minIntervalSecs?: number;
  /** More lines for `[bitcoin_node]`. */
  readonly bitcoinNode?: string;
}

/** Hashes a block should take on average, so that the miners of a line find one every other second. */
export const HASHES_PER_BLOCK = 20_000;
/** Nonces that each miner tries fifty times a second. */
const TRIES_AT_ONCE = 100;
const HASHRATE = 50 * TRIES_AT_ONCE;
const IDENTITY = "direct";
/** Refusals that a change of the tip brings with it. */
const STALE = /stale|invalid-job-id|job not found/i;

/**
 * A template provider on Bitcoin nodes, a pool, a translator on it over Iroh, a miner at each of the two, and a template
 * client that watches. The miners' shares never pause; blocks they only find when told, so that a scenario knows whose
 * block is which.
 */
export class MiningLine implements AsyncDisposable {
  readonly pool: TestRole;
  readonly translator: TestRole;
  /** At the translator. */
  readonly sv1: Sv1Miner;
  /** At the pool. */
  readonly sv2: Sv2Miner;
  readonly #stage: Stage;
  readonly #options: MiningLineOptions;
  #head: Head;

  private constructor(
    stage: Stage,
    options: MiningLineOptions,
    parts: Pick<MiningLine, "pool" | "translator" | "sv1" | "sv2"> & { readonly head: Head },
  ) {
    this.#stage = stage;
    this.#options = options;
    this.#head = parts.head;
    this.pool = parts.pool;
    this.translator = parts.translator;
    this.sv1 = parts.sv1;
    this.sv2 = parts.sv2;
  }

  /** Starts all of them, and resolves when both miners have had shares accepted. */
  static async open(stage: Stage, options: MiningLineOptions): Promise<MiningLine> {
    const head = await startHead(stage, options);
    const { templateProvider } = head;
    const pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider, { shareBatchSize: 1 }));
    const translator = await stage.start("translator", (folder) => translatorToml(folder, [upstream(pool, "iroh")]));
    const rate = { hashrate: HASHRATE, triesAtOnce: TRIES_AT_ONCE };
    const sv2 = await Sv2Miner.open(await dialPool(pool), IDENTITY, rate);
    const sv1 = await Sv1Miner.dial(translator.details.downstream_address, TRIES_AT_ONCE);
    const line = new MiningLine(stage, options, { pool, translator, sv1, sv2, head });
    line.#withhold(true);
    await line.goesOn();
    return line;
  }

  /** The one that runs, or ran last. */
  get templateProvider(): TestRole {
    return this.#head.templateProvider;
  }

  /** A client of {@link templateProvider}. */
  get watch(): TemplateWatch {
    return this.#head.watch;
  }

  /** What the template provider has written down. */
  get blocks(): BlockFolder {
    return new BlockFolder(join(this.#stage.folder, "template-provider", "node"));
  }

  /** Resolves when each miner has had another share accepted, on the connection it began with. */
  async goesOn(): Promise<void> {
    const before = { sv1: this.sv1.accepted, sv2: this.sv2.acceptedCount };
    this.#expectConnected();
    await until("both miners have another share accepted", () => {
      return this.sv1.accepted > before.sv1 && this.sv2.acceptedCount > before.sv2;
    });
  }

  /** Lets the miners find blocks until `found` resolves. Afterwards none of theirs is on its way to a file any more. */
  async findingBlocks<T>(found: () => Promise<T>): Promise<T> {
    this.#withhold(false);
    const result = await found().finally(() => this.#withhold(true));
    await this.#allAnswered();
    const { last_block: last } = await this.pool.status();
    await until("the last block is on disk", () => last === null || this.blocks.files().some(isOf(last)));
    return result;
  }

  /** Resolves when a node has accepted a block of the miners', and all that they found is judged. */
  async minesOn(): Promise<void> {
    const accepted = async (): Promise<number> => (await this.templateProvider.status()).blocks.accepted;
    const before = await accepted();
    await this.findingBlocks(() =>
      until("a block of the miners' is accepted", async () => (await accepted()) > before),
    );
    await until("every block is judged", () => this.blocks.files().every(({ outcome }) => outcome !== undefined));
  }

  /** Kills the template provider and starts it again, on the same files and addresses; `meanwhile` it is gone. */
  async crashTemplateProvider(meanwhile: () => void = () => {}): Promise<void> {
    const listen = listensOn(this.templateProvider);
    await this.templateProvider.crash();
    meanwhile();
    await this.watch[Symbol.asyncDispose]();
    this.#head = await startHead(this.#stage, this.#options, listen);
  }

  /** Ends the mining; the miners stay connected. Resolves when all that they found is answered. */
  async rest(): Promise<void> {
    this.sv1.rest();
    this.sv2.rest();
    await this.#allAnswered();
  }

  /**
   * Ends the mining, and kills the pool. The miners must still have the connections they began with, no share may have been
   * refused for more than a change of the tip, and none that was acknowledged may be lost.
   */
  async expectNothingLost(): Promise<void> {
    await this.rest();
    this.#expectConnected();
    const refused = [...this.sv1.rejected, ...this.sv2.rejected];
    expect(refused.filter((reason) => !STALE.test(reason))).toEqual([]);
    await this.pool.crash();
    const store = join(this.#stage.folder, "pool", "shares.db");
    await expectRecorded(store, { userIdentity: IDENTITY, hashes: this.sv2.acknowledged });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sv1[Symbol.dispose]();
    await this.sv2[Symbol.asyncDispose]();
    await this.watch[Symbol.asyncDispose]();
  }

  async #allAnswered(): Promise<void> {
    await until("every share has its answer", () => {
      return this.sv2.unanswered === 0 && this.sv1.submitted === this.sv1.accepted + this.sv1.rejected.length;
    });
  }

  #expectConnected(): void {
    expect(this.sv1.isConnected).toBe(true);
    expect(this.sv2.isClosed).toBe(false);
    expect(this.translator.log()).not.toMatch(/upstream lost/);
  }

  #withhold(withholdsBlocks: boolean): void {
    this.sv1.withholdsBlocks = withholdsBlocks;
    this.sv2.withholdsBlocks = withholdsBlocks;
  }
}

function isOf(block: { readonly hash: string }): (file: BlockFile) => boolean {
  return ({ hash }) => hash === block.hash;
}

interface Head {
  readonly templateProvider: TestRole;
  readonly watch: TemplateWatch;
}

async function startHead(stage: Stage, { nodes, ...options }: MiningLineOptions, listen?: Listen): Promise<Head> {
  const templateProvider = await stage.start("template-provider", (folder) =>
    nodeTemplateProviderToml(folder, nodes, { ...options, ...(listen === undefined ? {} : { listen }) }),
  );
  return { templateProvider, watch: await TemplateWatch.open(templateProvider) };
}
