import type { SolvedBlock } from "../template/solved-block.ts";
import type { SourceChange } from "../template-source.ts";
import { type ElsewhereCandidate, elsewhereCandidate, elsewhereRoom, solvedElsewhere } from "./elsewhere.ts";
import type { EmbeddedChain } from "./embedded-chain.ts";
import type { Random } from "./synthetic-transaction.ts";

/** How the chain lives by itself. */
export interface EmbeddedCoreOptions {
  /** Milliseconds between arrivals of new transactions. */
  readonly templateIntervalMs: number;
  /** Mean time between blocks from elsewhere, in milliseconds; 0 for never. */
  readonly elsewhereIntervalMs: number;
  readonly random: Random;
}

/** What happens to the chain. */
export type EmbeddedInput =
  /** A block of a client, or one that came over RPC, checked. */
  | { readonly type: "solved"; readonly block: SolvedBlock }
  /** The block of a `store-block` effect is safe on disk. */
  | { readonly type: "block-stored"; readonly block: SolvedBlock }
  /** The nonce of a `mine-elsewhere` effect is found. */
  | { readonly type: "elsewhere-solved"; readonly candidate: ElsewhereCandidate; readonly nonce: number }
  /** Time passes; a few times a second. */
  | { readonly type: "tick" };

/** What the shell has to do, in order. */
export type EmbeddedEffect =
  /** Write the block to disk; then, and only then, input `block-stored`. */
  | { readonly type: "store-block"; readonly block: SolvedBlock }
  | { readonly type: "block-connected"; readonly block: SolvedBlock }
  /** Search a nonce for this in the background, in place of any earlier candidate. */
  | { readonly type: "mine-elsewhere"; readonly candidate: ElsewhereCandidate }
  | { readonly type: "stop-mining" }
  | { readonly type: "changed"; readonly change: SourceChange };

/** The development chain in time: transactions come in, blocks are put on it, some of them from elsewhere. */
export class EmbeddedCore {
  readonly #chain: EmbeddedChain;
  readonly #options: EmbeddedCoreOptions;
  readonly #counts = { client: 0, elsewhere: 0, rpc: 0 };
  #storing: SolvedBlock | undefined;
  #candidate: ElsewhereCandidate | undefined;
  #nextArrival: number;
  #nextElsewhere: number;

  /** `now` is Unix milliseconds, here and in {@link handle}. */
  constructor(chain: EmbeddedChain, options: EmbeddedCoreOptions, now: number) {
    this.#chain = chain;
    this.#options = options;
    this.#nextArrival = now + options.templateIntervalMs;
    this.#nextElsewhere = this.#drawElsewhere(now);
  }

  /** Blocks put on the chain since the start, by who solved them. */
  get connected(): Readonly<Record<SolvedBlock["solvedBy"], number>> {
    return this.#counts;
  }

  /** Takes one input and returns what follows from it. */
  handle(input: EmbeddedInput, now: number): readonly EmbeddedEffect[] {
    switch (input.type) {
      case "solved":
        return [this.#store(input.block)];
      case "block-stored":
        return this.#onBlockStored(input.block, now);
      case "elsewhere-solved":
        return this.#onElsewhereSolved(input, now);
      case "tick":
        return [...this.#arrivals(now), ...this.#elsewhereWhenDue(now)];
      default:
        return input satisfies never;
    }
  }

  #store(block: SolvedBlock): EmbeddedEffect {
    this.#storing = block;
    return { type: "store-block", block };
  }

  #onBlockStored(block: SolvedBlock, now: number): readonly EmbeddedEffect[] {
    if (this.#storing !== block) throw new Error("a block was stored that was not asked to be");
    this.#storing = undefined;
    this.#chain.connect(block);
    this.#counts[block.solvedBy] += 1;
    this.#nextElsewhere = this.#drawElsewhere(now);
    const mining = this.#candidate !== undefined;
    this.#candidate = undefined;
    return [
      { type: "block-connected", block },
      { type: "changed", change: { type: "tip" } },
      ...(mining ? [{ type: "stop-mining" } as const] : []),
    ];
  }

  #onElsewhereSolved(
    { candidate, nonce }: { readonly candidate: ElsewhereCandidate; readonly nonce: number },
    now: number,
  ): readonly EmbeddedEffect[] {
    if (candidate !== this.#candidate || this.#storing !== undefined) return [];
    const outcome = solvedElsewhere(candidate, { nonce, now });
    if (outcome.kind === "refused") throw new Error(`our own block is wrong: ${outcome.faults.join(", ")}`);
    return [this.#store(outcome.block)];
  }

  #arrivals(now: number): readonly EmbeddedEffect[] {
    if (now < this.#nextArrival) return [];
    this.#nextArrival = now + this.#options.templateIntervalMs;
    this.#chain.arrive();
    return [{ type: "changed", change: { type: "better-templates", atOnce: false } }];
  }

  #elsewhereWhenDue(now: number): readonly EmbeddedEffect[] {
    if (now < this.#nextElsewhere || this.#candidate !== undefined || this.#storing !== undefined) return [];
    const extranonce = BigInt(Math.floor(this.#options.random() * 2 ** 52));
    const ntime = this.#chain.startTime(now);
    this.#candidate = elsewhereCandidate(this.#chain.template(elsewhereRoom), { ntime, extranonce });
    return [{ type: "mine-elsewhere", candidate: this.#candidate }];
  }

  /** Blocks are found at random times: the wait is drawn from an exponential distribution. */
  #drawElsewhere(now: number): number {
    const { elsewhereIntervalMs, random } = this.#options;
    return elsewhereIntervalMs === 0 ? Number.POSITIVE_INFINITY : now - Math.log(1 - random()) * elsewhereIntervalMs;
  }
}
