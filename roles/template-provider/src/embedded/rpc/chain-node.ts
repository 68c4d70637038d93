import type { ChainFile } from "../chain-file.ts";
import type { EmbeddedChain } from "../embedded-chain.ts";
import { genesisBlock } from "../genesis-block.ts";
import { HeaderChain } from "../header-chain.ts";
import { type BlockGround, type BlockVerdict, judgeBlock } from "../submitted-block.ts";
import { chainCalls } from "./chain-calls.ts";
import { mempoolCalls } from "./mempool-calls.ts";
import type { RpcMethods } from "./rpc-call.ts";
import { TemplateCalls } from "./template-calls.ts";

/** What {@link ChainNode} speaks for. */
export interface ChainNodePorts {
  readonly chain: EmbeddedChain;
  readonly file: Pick<ChainFile, "headers" | "read">;
  /** Calls `judge` when the block's turn comes among the clients' solutions, and connects the block when it is good. */
  readonly submit: (judge: () => BlockVerdict) => Promise<BlockVerdict>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The embedded chain as a Bitcoin node: what it answers to JSON-RPC, so that whatever works with a node works with it. */
export class ChainNode {
  /** What it answers. */
  readonly methods: RpcMethods;
  readonly #ports: ChainNodePorts;
  readonly #headers: HeaderChain;
  readonly #templates: TemplateCalls;

  constructor(ports: ChainNodePorts) {
    const { chain, file, submit, now } = ports;
    this.#ports = ports;
    this.#headers = new HeaderChain(file.headers);
    this.#templates = new TemplateCalls({
      chain,
      ground: () => this.#ground(),
      submit: (bytes) => submit(() => judgeBlock(bytes, this.#ground())),
      now,
    });
    const block = (height: number): Promise<Uint8Array> =>
      height === 0 ? Promise.resolve(genesisBlock) : file.read(height);
    this.methods = new Map([
      ...chainCalls({ headers: this.#headers, block }),
      ...mempoolCalls(chain),
      ...this.#templates.methods,
    ]);
  }

  /** A block is on the chain. Call it in the same turn. */
  connected(header: Uint8Array): void {
    this.#headers.add(header);
  }

  /** There is another tip, or other transactions wait. */
  changed(): void {
    this.#templates.changed();
  }

  #ground(): BlockGround {
    const { chain, now } = this.#ports;
    return {
      headers: this.#headers,
      bits: chain.bits,
      feeOf: (id) => chain.feeOf(id),
      waiting: (id) => chain.transaction(id),
      now: now(),
    };
  }
}
