import { hex } from "@adit/bitcoin";
import type { BlockPlace, BlockQuestion, BurialTip } from "../block-burial.ts";

/** A block of a {@link SimulatedChain}, known by its hash. */
export interface SimulatedBlock {
  readonly hash: Uint8Array;
  readonly height: number;
  readonly parent: SimulatedBlock | undefined;
}

/** A node's tree of blocks, of which one branch is the best chain. */
export class SimulatedChain {
  #made = 0;
  readonly #blocks = new Map<string, SimulatedBlock>();
  #tip: SimulatedBlock;

  /** `height`: of the tip to begin with. */
  constructor(height: number) {
    this.#tip = this.#add({ hash: this.#hash(), height, parent: undefined });
  }

  /** The end of the best chain. */
  get tip(): SimulatedBlock & BurialTip {
    return this.#tip;
  }

  /** A block on `parent` that the node has not got. */
  make(parent: SimulatedBlock | undefined = this.#tip): SimulatedBlock {
    return { hash: this.#hash(), height: (parent?.height ?? this.#tip.height) + 1, parent };
  }

  /** Gives the node a block. It becomes the tip when its branch is the longest. */
  take(block: SimulatedBlock): SimulatedBlock {
    this.#add(block);
    if (block.height > this.#tip.height) this.#tip = block;
    return block;
  }

  /** Mines others' blocks on `parent`, so many; returns the last one. */
  mine(count: number, parent: SimulatedBlock = this.#tip): SimulatedBlock {
    let last = parent;
    for (let left = count; left > 0; left -= 1) last = this.take(this.make(last));
    return last;
  }

  /** Whether a block is in the best chain. */
  has(block: SimulatedBlock): boolean {
    return this.#at(block.height) === block;
  }

  /** Blocks of the best chain that it loses when the branch of `block` becomes the best one. */
  depthOf(block: SimulatedBlock): number {
    let fork: SimulatedBlock | undefined = block;
    while (fork !== undefined && !this.has(fork)) fork = fork.parent;
    return this.#tip.height - (fork?.height ?? 0);
  }

  /** Where the node has a block, as a role finds out over JSON-RPC. */
  place({ hash, height }: BlockQuestion): BlockPlace {
    const block = this.#blocks.get(hex(hash));
    if (block !== undefined) {
      const confirmations = this.#tip.height - block.height + 1;
      return this.has(block) ? { place: "in-chain", confirmations } : { place: "beside", height: block.height };
    }
    const isReached = height !== undefined && height <= this.#tip.height;
    return isReached ? { place: "beside", height } : { place: "unknown" };
  }

  #at(height: number): SimulatedBlock | undefined {
    let block: SimulatedBlock | undefined = this.#tip;
    while (block !== undefined && block.height > height) block = block.parent;
    return block?.height === height ? block : undefined;
  }

  #add(block: SimulatedBlock): SimulatedBlock {
    this.#blocks.set(hex(block.hash), block);
    return block;
  }

  #hash(): Uint8Array {
    this.#made += 1;
    const hash = new Uint8Array(32);
    new DataView(hash.buffer).setUint32(0, this.#made);
    return hash;
  }
}
