import { type Hash, hash, type Network, sameBytes } from "@adit/bitcoin";
import { BitcoinNode, type ChainInfo, NodeError, type RpcSettings, rpcAuth, rpcUrl } from "@adit/bitcoin-node";
import type { BlockPlace, BlockQuestion, BurialTip } from "./block-burial.ts";

/** Nodes that say where blocks are, and how they are asked. */
export interface ChainNodesSettings {
  readonly network: Network;
  /** Most preferred first. */
  readonly nodes: readonly RpcSettings[];
  readonly rpcTimeoutSecs: number;
  /** Longest wait for a node's tip: the others wait for it. */
  readonly pollTimeoutSecs: number;
}

/** A node that has told its tip. */
export interface ChainView {
  /** Its `host:port`. */
  readonly name: string;
  readonly tip: BurialTip;
  /** Where it has these blocks, in order. Rejects with NodeError. */
  places(blocks: readonly BlockQuestion[]): Promise<readonly BlockPlace[]>;
}

interface Answer {
  readonly node: BitcoinNode;
  readonly info: ChainInfo;
}

/** Bitcoin nodes as judges of blocks: the one with the highest chain is asked, among equals the most preferred. */
export class ChainNodes implements AsyncDisposable {
  readonly #nodes: readonly BitcoinNode[];
  readonly #stopping = new AbortController();

  /** RangeError for a URL that the config's check would not have let through. */
  constructor({ network, nodes, rpcTimeoutSecs, pollTimeoutSecs }: ChainNodesSettings) {
    const times = {
      timeoutMs: Math.round(rpcTimeoutSecs * 1000),
      chainTimeoutMs: Math.round(pollTimeoutSecs * 1000),
    };
    this.#nodes = nodes.map(
      (settings) => new BitcoinNode({ url: rpcUrl(settings, network), auth: rpcAuth(settings), network, ...times }),
    );
  }

  /**
   * Asks every node for its tip and picks the highest. Nodes that download the chain are passed over.
   *
   * @throws NodeError of the most preferred node when none of them can be asked.
   */
  async look(): Promise<ChainView> {
    const answers = await Promise.all(this.#nodes.map((node) => this.#answer(node)));
    const [best] = answers
      .flatMap((answer) => (answer instanceof NodeError ? [] : answer))
      .toSorted((one, other) => other.info.height - one.info.height);
    if (best === undefined) throw answers.find((answer) => answer instanceof NodeError) ?? new RangeError("no nodes");
    const { node, info } = best;
    return {
      name: node.name,
      tip: { hash: info.tip, height: info.height },
      places: async (blocks) => await Promise.all(blocks.map((block) => this.#place(node, block))),
    };
  }

  /** Ends what is being asked. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
  }

  async #answer(node: BitcoinNode): Promise<Answer | NodeError> {
    try {
      const info = await node.chainInfo({ signal: this.#stopping.signal });
      if (!info.initialBlockDownload) return { node, info };
      const message = "the node is downloading the chain; wait until it has it";
      return new NodeError("initial-block-download", { node: node.name, method: "getblockchaininfo", message });
    } catch (error) {
      if (error instanceof NodeError) return error;
      throw error;
    }
  }

  /** btcd tells no header of a block beside its best chain; that another has the height says as much. */
  async #place(node: BitcoinNode, { hash: bytes, height }: BlockQuestion): Promise<BlockPlace> {
    const request = { signal: this.#stopping.signal };
    const block: Hash = hash(bytes);
    const header = await node.header(block, request);
    if (header !== undefined) {
      const { confirmations } = header;
      return confirmations >= 1 ? { place: "in-chain", confirmations } : { place: "beside", height: header.height };
    }
    if (height === undefined) return { place: "unknown" };
    const there = await node.blockHash(height, request);
    // Ours, when it came between the two questions.
    if (there === undefined || sameBytes(there, block)) return { place: "unknown" };
    return { place: "beside", height };
  }
}
