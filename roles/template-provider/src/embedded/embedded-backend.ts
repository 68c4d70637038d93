import { decodeBlock, displayHash, encodeTransaction, type ShareHashing } from "@adit/bitcoin";
import type { CounterMetric } from "@adit/role-kit";
import {
  type Backend,
  type BackendPorts,
  type BackendRpc,
  type BackendShell,
  type BackendStatus,
  type ClientsBlock,
  chainStatus,
} from "../backend.ts";
import { type BlockStatus, blockStatus } from "../block-status.ts";
import { chainBits, type EmbeddedSettings } from "../config.ts";
import { blocksMetric } from "../metrics.ts";
import { checkSolution } from "../template/solution.ts";
import type { SolvedBlock } from "../template/solved-block.ts";
import { TemplateFile } from "../template/template-file.ts";
import type { SourceChange } from "../template-source.ts";
import { ChainFile } from "./chain-file.ts";
import type { StoredBlock } from "./chain-record.ts";
import type { ChainTip } from "./chain-tip.ts";
import type { ElsewhereCandidate } from "./elsewhere.ts";
import { ElsewhereMiner } from "./elsewhere-miner.ts";
import { EmbeddedChain } from "./embedded-chain.ts";
import { EmbeddedCore, type EmbeddedEffect, type EmbeddedInput } from "./embedded-core.ts";
import { ChainNode } from "./rpc/chain-node.ts";
import { serveEmbeddedRpc } from "./rpc/embedded-rpc.ts";
import type { BlockVerdict } from "./submitted-block.ts";
import type { Random } from "./synthetic-transaction.ts";

const NETWORK = "regtest";

/** What the backend needs of its process. */
export interface EmbeddedPorts extends BackendPorts {
  readonly hashing: ShareHashing;
  readonly random: Random;
}

/**
 * The embedded development chain as a backend: a block is on disk before the tip moves and anybody is told. When it
 * cannot be written the role ends.
 */
export class EmbeddedBackend implements Backend {
  readonly source: EmbeddedChain;
  readonly server: Backend["server"];
  readonly templates: TemplateFile;
  /** The chain is always there. */
  readonly trouble = null;
  readonly #settings: EmbeddedSettings;
  readonly #core: EmbeddedCore;
  readonly #node: ChainNode;
  readonly #file: ChainFile;
  readonly #ports: EmbeddedPorts;
  readonly #miner: ElsewhereMiner;
  readonly #blocks: CounterMetric<"solved_by">;
  #shell: BackendShell | undefined;
  #lastBlock: BlockStatus | null;

  private constructor(
    settings: EmbeddedSettings,
    files: { readonly chain: ChainFile; readonly templates: TemplateFile },
    ports: EmbeddedPorts,
  ) {
    const { random, now, metrics, hashing } = ports;
    const { tip, last } = files.chain;
    this.#settings = settings;
    this.#file = files.chain;
    this.templates = files.templates;
    this.#ports = ports;
    const { mempoolTransactions } = settings;
    this.source = new EmbeddedChain({ bits: chainBits(settings), tip, mempoolTransactions, random });
    this.server = {
      feeThreshold: BigInt(settings.feeThreshold),
      minIntervalMs: settings.minInterval * 1000,
      judge: checkSolution,
      lateBlocks: "refused",
      former: files.templates.former,
    };
    this.#core = new EmbeddedCore(
      this.source,
      {
        templateIntervalMs: settings.templateIntervalSecs * 1000,
        elsewhereIntervalMs: settings.blockElsewhereIntervalSecs * 1000,
        random,
      },
      now(),
    );
    this.#node = new ChainNode({
      chain: this.source,
      file: files.chain,
      submit: (judge) => this.#submit(judge),
      now,
    });
    this.#lastBlock = last === undefined ? null : storedStatus(last, tip);
    this.#blocks = blocksMetric(metrics);
    this.#miner = new ElsewhereMiner(hashing, (candidate, nonce) => this.#onElsewhereSolved(candidate, nonce));
  }

  /**
   * Opens the chain the settings name.
   *
   * @throws ChainFileError; errors of the file system as they are.
   */
  static async open(settings: EmbeddedSettings, ports: EmbeddedPorts): Promise<EmbeddedBackend> {
    const chain = await ChainFile.open(settings.dataPath);
    const { tip, path, droppedBytes } = chain;
    if (droppedBytes > 0) ports.log.warn({ path, droppedBytes }, "cut off a block that a crash left half written");
    try {
      const templates = await TemplateFile.open(settings.dataPath);
      const fields = { path, height: tip.height, tip: displayHash(tip.hash), templates: templates.former.sent.size };
      ports.log.info(fields, "chain opened");
      return new EmbeddedBackend(settings, { chain, templates }, ports);
    } catch (error) {
      await chain[Symbol.asyncDispose]();
      throw error;
    }
  }

  start(shell: BackendShell): void {
    this.#shell = shell;
  }

  async serveRpc(): Promise<BackendRpc | null> {
    const { rpcListenAddress, dataPath: folder } = this.#settings;
    if (rpcListenAddress === undefined) return null;
    const { methods } = this.#node;
    return await serveEmbeddedRpc({
      ...this.#ports,
      settings: { ...this.#settings, rpcListenAddress },
      folder,
      methods,
    });
  }

  async tick(): Promise<readonly SourceChange[]> {
    return await this.#take({ type: "tick" });
  }

  async solved({ block }: ClientsBlock): Promise<readonly SourceChange[]> {
    return await this.#take({ type: "solved", block });
  }

  status(): BackendStatus {
    const { tip, bits, mempool } = this.source;
    const { client, rpc, elsewhere } = this.#core.connected;
    return {
      network: NETWORK,
      chain: chainStatus(tip, bits),
      mempool: { transactions: mempool.transactions, fees: Number(mempool.fees) },
      accepted: client + rpc,
      elsewhere,
      last_block: this.#lastBlock,
      nodes: [],
      submissions: [],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#miner.stop();
    await this.templates[Symbol.asyncDispose]();
    await this.#file[Symbol.asyncDispose]();
  }

  async #onElsewhereSolved(candidate: ElsewhereCandidate, nonce: number): Promise<void> {
    await this.#shell?.run(() => this.#take({ type: "elsewhere-solved", candidate, nonce }));
  }

  /** A block from outside waits for its turn like a client's solution, and is judged by the tip it finds then. */
  async #submit(judge: () => BlockVerdict): Promise<BlockVerdict> {
    const shell = this.#shell;
    if (shell === undefined) throw new Error("blocks are taken once the backend has started");
    return await new Promise<BlockVerdict>((resolve, reject) => {
      let verdict: BlockVerdict;
      const work = async (): Promise<readonly SourceChange[]> => {
        verdict = judge();
        if (verdict.kind === "block") return await this.#take({ type: "solved", block: verdict.block });
        this.#ports.log.info({ verdict }, "submitted block refused");
        return [];
      };
      shell.run(work).then(() => resolve(verdict), reject);
    });
  }

  async #take(input: EmbeddedInput): Promise<readonly SourceChange[]> {
    const changes: SourceChange[] = [];
    for (const effect of this.#core.handle(input, this.#ports.now())) changes.push(...(await this.#perform(effect)));
    return changes;
  }

  async #perform(effect: EmbeddedEffect): Promise<readonly SourceChange[]> {
    switch (effect.type) {
      case "store-block":
        await this.#file.append(effect.block);
        return await this.#take({ type: "block-stored", block: effect.block });
      case "block-connected":
        this.#onConnected(effect.block);
        return [];
      case "changed":
        this.#node.changed();
        return [effect.change];
      case "mine-elsewhere":
        // Goes on beside everything else; a fault in it ends the role like any other.
        this.#miner.mine(effect.candidate).catch((error: unknown) => this.#shell?.fail(error));
        return [];
      case "stop-mining":
        this.#miner.stop();
        return [];
      default:
        return effect satisfies never;
    }
  }

  #onConnected(block: SolvedBlock): void {
    const { height, hash, solvedBy } = block;
    this.#node.connected(block.header);
    this.#lastBlock = blockStatus(block, NETWORK);
    this.#blocks.inc({ solved_by: solvedBy });
    this.#ports.log.info({ height, hash: displayHash(hash), solvedBy, bytes: block.bytes.length }, "block connected");
  }
}

/** The last block of a stored chain, which is not taken apart yet. */
function storedStatus({ bytes, solvedBy }: StoredBlock, { height, hash }: ChainTip): BlockStatus {
  const [first] = decodeBlock(bytes).transactions;
  if (first === undefined) throw new RangeError("a block has a coinbase");
  return blockStatus({ height, hash, coinbase: encodeTransaction(first), solvedBy }, NETWORK);
}
