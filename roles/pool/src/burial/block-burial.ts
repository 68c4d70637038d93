import { hex, sameBytes } from "@adit/bitcoin";

/**
 * What a node has made of a block so far.
 *
 * - `accepted`: it is in the best chain
 * - `side-branch`: it is not; another block of its height is, or the chain ends below it
 * - `matured`: it is in the best chain under so many others that its coinbase can be spent. Final
 * - `orphaned`: another block of its height is as deep as that. Final
 */
export type Judgement = "accepted" | "side-branch" | "matured" | "orphaned";

/** A block that is followed. Byte fields are kept, not copied. */
export interface FollowedBlock {
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  /** Undefined when it is not on record; a node that has the block knows it. */
  readonly height: number | undefined;
  /** As it is on record. */
  readonly result: string;
}

/** The end of a node's best chain. */
export interface BurialTip {
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  readonly height: number;
}

/** Where a node has a block: in its best chain, with itself and those above it counted; beside it; or nowhere yet. */
export type BlockPlace =
  | { readonly place: "in-chain"; readonly confirmations: number }
  | { readonly place: "beside"; readonly height: number }
  | { readonly place: "unknown" };

/** What is asked of a node about one block. */
export type BlockQuestion = Pick<FollowedBlock, "hash" | "height">;

/** Everything that bears on the burial of blocks. */
export type BurialInput =
  /** A miner found a block, or an open one was read from the record. */
  | { readonly type: "follow"; readonly block: FollowedBlock }
  /** The template provider builds on another block. */
  | { readonly type: "tip-told"; readonly hash: Uint8Array }
  /** Answer to `look`. */
  | { readonly type: "tip"; readonly tip: BurialTip }
  /** Answer to `ask`: a place for each question, in order. */
  | { readonly type: "places"; readonly places: readonly BlockPlace[] }
  /** Answer to either: no node could be asked. */
  | { readonly type: "failed" }
  /** Time passes; once a second. */
  | { readonly type: "tick" };

/** What is to be done, in order. There is never more than one `look` or `ask` without an answer. */
export type BurialEffect =
  /** Ask a node for its tip. */
  | { readonly type: "look" }
  /** Ask the node that told the tip where these blocks are. */
  | { readonly type: "ask"; readonly blocks: readonly BlockQuestion[] }
  /** Record what has become of a block: another thing than before. */
  | {
      readonly type: "judged";
      readonly hash: Uint8Array;
      readonly result: Judgement;
      readonly before: string;
      readonly confirmations: number;
    }
  /** The oldest of too many blocks is followed no more: it stays open on record. */
  | { readonly type: "left"; readonly hash: Uint8Array };

/** How {@link BlockBurial} works. */
export interface BurialOptions {
  /** Confirmations after which a block's fate is final. */
  readonly maturity: number;
}

/** Blocks that are followed at once; of those within a hundred blocks of the tip no pool has as many. */
export const MAX_FOLLOWED = 1_024;
/** Blocks a node is asked about at once. */
export const MAX_QUESTIONS = 32;
/** A block that was just found is on its way to the node. */
const FIRST_LOOK_MS = 2_000;
/** First wait after a node that could not be asked, or did not have all that was expected; doubled each time. */
const RETRY_MS = 1_000;
/** Longest time without a look while a block is open: for changes that no template provider tells of. */
const SLOW_LOOK_MS = 60_000;

interface Followed {
  readonly block: FollowedBlock;
  result: string;
  /** Undefined until a node has told its place. */
  confirmations: number | undefined;
  /** A node has told its place on the tip of the last look. */
  isPlaced: boolean;
}

type Phase =
  | { readonly phase: "idle" }
  | { readonly phase: "looking" }
  /** `left`: those that are asked about next. */
  | {
      readonly phase: "asking";
      readonly tip: BurialTip;
      readonly asked: readonly Followed[];
      readonly left: readonly Followed[];
    };

/**
 * Follows blocks until they are buried: each tip is a reason to ask a node where they are, and a node is the only one to
 * say. What it does not know stays as it was. Two answers are final: the block, or another of its height, has as many
 * confirmations as maturity takes. Pure; `now` is in milliseconds and never goes back.
 */
export class BlockBurial {
  readonly #maturity: number;
  /** By hash, oldest first. */
  readonly #followed = new Map<string, Followed>();
  #phase: Phase = { phase: "idle" };
  #due = Number.POSITIVE_INFINITY;
  /** Tip of the last look, in which blocks have their places. */
  #seen: BurialTip | undefined;
  /** What the template provider builds on. */
  #told: Uint8Array | undefined;
  /** A tip was told while a node was asked, so that its answers may be of before. */
  #isOverdue = false;
  /** Rounds in a row that failed, or did not answer everything. */
  #missed = 0;

  constructor({ maturity }: BurialOptions) {
    this.#maturity = maturity;
  }

  /** Blocks whose fate is not final. */
  get open(): number {
    return this.#followed.size;
  }

  /** The tip that a node told last. */
  get tip(): BurialTip | undefined {
    return this.#seen;
  }

  /**
   * Confirmations of a block that is followed, as a node told them last, 0 for one that is not in the chain. Undefined before a
   * node has, and for any other block.
   */
  confirmations(hash: Uint8Array): number | undefined {
    return this.#followed.get(hex(hash))?.confirmations;
  }

  /** Takes one input and says what to do. */
  handle(input: BurialInput, now: number): readonly BurialEffect[] {
    switch (input.type) {
      case "follow":
        return this.#follow(input.block, now);
      case "tip-told":
        return this.#tipTold(input.hash);
      case "tip":
        return this.#onTip(input.tip, now);
      case "places":
        return this.#onPlaces(input.places, now);
      case "failed":
        return this.#phase.phase === "idle" ? [] : this.#endRound(now, true);
      case "tick":
        return now >= this.#due ? this.#look() : [];
      default:
        return input satisfies never;
    }
  }

  #follow(block: FollowedBlock, now: number): readonly BurialEffect[] {
    const key = hex(block.hash);
    if (this.#followed.has(key)) return [];
    this.#followed.set(key, { block, result: block.result, confirmations: undefined, isPlaced: false });
    this.#missed = 0;
    this.#due = Math.min(this.#due, now + FIRST_LOOK_MS);
    const [oldest] = this.#followed.values();
    if (this.#followed.size <= MAX_FOLLOWED || oldest === undefined) return [];
    this.#followed.delete(hex(oldest.block.hash));
    return [{ type: "left", hash: oldest.block.hash }];
  }

  #tipTold(hash: Uint8Array): readonly BurialEffect[] {
    this.#told = hash.slice();
    this.#missed = 0;
    for (const followed of this.#followed.values()) followed.isPlaced = false;
    if (this.#phase.phase === "idle") return this.#look();
    this.#isOverdue = true;
    return [];
  }

  #look(): readonly BurialEffect[] {
    if (this.#phase.phase !== "idle" || this.#followed.size === 0) return [];
    this.#phase = { phase: "looking" };
    return [{ type: "look" }];
  }

  #onTip(tip: BurialTip, now: number): readonly BurialEffect[] {
    if (this.#phase.phase !== "looking") return [];
    const isSame = this.#seen !== undefined && sameBytes(this.#seen.hash, tip.hash);
    if (!isSame) for (const followed of this.#followed.values()) followed.isPlaced = false;
    this.#seen = tip;
    const left = [...this.#followed.values()].filter(({ isPlaced }) => !isPlaced);
    return this.#ask(left, tip, now);
  }

  #ask(left: readonly Followed[], tip: BurialTip, now: number): readonly BurialEffect[] {
    if (left.length === 0) return this.#endRound(now, this.#misses(tip));
    const asked = left.slice(0, MAX_QUESTIONS);
    this.#phase = { phase: "asking", tip, asked, left: left.slice(MAX_QUESTIONS) };
    return [{ type: "ask", blocks: asked.map(({ block: { hash, height } }) => ({ hash, height })) }];
  }

  #onPlaces(places: readonly BlockPlace[], now: number): readonly BurialEffect[] {
    if (this.#phase.phase !== "asking") return [];
    const { tip, asked, left } = this.#phase;
    const judged = asked.flatMap((followed, at) => this.#judge(followed, places[at] ?? { place: "unknown" }, tip));
    return [...judged, ...this.#ask(left, tip, now)];
  }

  #judge(followed: Followed, place: BlockPlace, tip: BurialTip): readonly BurialEffect[] {
    if (place.place === "unknown") return [];
    const { hash } = followed.block;
    const { result: before } = followed;
    const result = judgementOf(place, tip, this.#maturity);
    followed.isPlaced = true;
    followed.result = result;
    const confirmations = place.place === "in-chain" ? place.confirmations : 0;
    followed.confirmations = confirmations;
    if (isFinal(result)) this.#followed.delete(hex(hash));
    return result === before ? [] : [{ type: "judged", hash, result, before, confirmations }];
  }

  /** Whether there is a reason to look again soon: a block without a place, or a tip that the node has not got. */
  #misses({ hash }: BurialTip): boolean {
    const isBehind = this.#told !== undefined && !sameBytes(this.#told, hash);
    return isBehind || [...this.#followed.values()].some(({ isPlaced }) => !isPlaced);
  }

  #endRound(now: number, isMiss: boolean): readonly BurialEffect[] {
    this.#phase = { phase: "idle" };
    this.#missed = isMiss ? this.#missed + 1 : 0;
    this.#due = now + (isMiss ? Math.min(RETRY_MS * 2 ** (this.#missed - 1), SLOW_LOOK_MS) : SLOW_LOOK_MS);
    if (!this.#isOverdue) return [];
    this.#isOverdue = false;
    for (const followed of this.#followed.values()) followed.isPlaced = false;
    return this.#look();
  }
}

/** Where a block is for good, or for now. */
function judgementOf(
  place: Exclude<BlockPlace, { readonly place: "unknown" }>,
  tip: BurialTip,
  maturity: number,
): Judgement {
  if (place.place === "in-chain") return place.confirmations >= maturity ? "matured" : "accepted";
  return tip.height - place.height + 1 >= maturity ? "orphaned" : "side-branch";
}

function isFinal(result: Judgement): boolean {
  return result === "matured" || result === "orphaned";
}
