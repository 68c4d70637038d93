import { pureHashing } from "@adit/bitcoin";
import { chainBits } from "../config.ts";
import { type ChainTip, genesisTip } from "../embedded/chain-tip.ts";
import { elsewhereCandidate, elsewhereRoom, NonceSearch, solvedElsewhere } from "../embedded/elsewhere.ts";
import { EmbeddedChain } from "../embedded/embedded-chain.ts";
import type { SolvedBlock } from "../template/solved-block.ts";
import { seeded } from "./random.ts";

/** When the blocks of {@link MinedChain} are mined, Unix milliseconds. */
export const MINED_AT = 1_800_000_000_000;

/** A chain that mines its own blocks, at once. */
export class MinedChain {
  readonly chain: EmbeddedChain;
  /** Blocks above genesis. */
  readonly blocks: SolvedBlock[] = [];
  /** The tip after each block, genesis first. */
  readonly tips: ChainTip[] = [genesisTip];
  #extranonce = 0n;

  /** `length`: blocks to begin with. */
  constructor(length: number) {
    const bits = chainBits({ hashesPerBlock: 16 });
    this.chain = new EmbeddedChain({ bits, tip: genesisTip, mempoolTransactions: 4, random: seeded(9) });
    for (let count = 0; count < length; count += 1) this.connect(this.solve());
  }

  /** A block on the tip that is not connected; no two are the same. */
  solve(): SolvedBlock {
    this.#extranonce += 1n;
    const candidate = elsewhereCandidate(this.chain.template(elsewhereRoom), {
      ntime: this.chain.startTime(MINED_AT),
      extranonce: this.#extranonce,
    });
    const nonce = new NonceSearch(candidate, pureHashing).advance(100_000);
    const outcome = solvedElsewhere(candidate, { nonce: nonce ?? 0, now: MINED_AT });
    if (outcome.kind === "refused") throw new Error(outcome.faults.join());
    return outcome.block;
  }

  connect(block: SolvedBlock): void {
    this.chain.connect(block);
    this.blocks.push(block);
    this.tips.push(this.chain.tip);
  }
}
