import type { Hash } from "@adit/bitcoin";
import { NodeError, type SubmitResult } from "@adit/bitcoin-node";

/**
 * What became of a block.
 *
 * - `pending`: no node has judged it yet
 * - `accepted`: it is in the best chain of a node
 * - `side-branch`: a node has it, but another block of that height in its best chain
 * - `rejected`: every node refused it
 * - `superseded`: no node took it, and the chain is six blocks past it
 */
export type BlockOutcome = "pending" | "accepted" | "side-branch" | "rejected" | "superseded";

/** What a node last said of a block. */
export interface NodeAnswer {
  readonly result: SubmitResult | NodeError | undefined;
  /** How often it was submitted there. */
  readonly attempts: number;
}

/** Where a node has a block: in its best chain, beside it, or nowhere. */
export type BlockStanding = "in-chain" | "beside" | "unknown";

/** What happens to a submission. */
export type SubmissionInput =
  | { readonly type: "answer"; readonly node: number; readonly result: SubmitResult | NodeError }
  /** Where a node that said it took the block has it. */
  | { readonly type: "looked-up"; readonly node: number; readonly standing: BlockStanding }
  /** The node answers again. */
  | { readonly type: "node-up"; readonly node: number }
  /** Time passes. `bestHeight`: of the best known tip, when there is one. */
  | { readonly type: "tick"; readonly bestHeight: number | undefined };

/** What the shell has to do, in order. */
export type SubmissionEffect =
  | { readonly type: "submit"; readonly node: number }
  /** Ask the node where the block stands. */
  | { readonly type: "look-up"; readonly node: number }
  | { readonly type: "outcome"; readonly outcome: BlockOutcome };

type Target =
  | { readonly state: "asked" }
  | { readonly state: "waiting"; readonly until: number }
  | { readonly state: "has-it"; readonly lookAt: number; readonly inChain: boolean | undefined }
  | { readonly state: "refused" }
  | { readonly state: "given-up" };

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 10_000;
const LOOK_UP_MS = 5_000;
/** A block that so many others were found after is not tried any more. */
const DEEP = 6;
/** What was asked of a node by then is still waited for so long: it may have taken the block long ago. */
const LAST_WORD_MS = 60_000;

/**
 * One block on its way to all nodes at once: tried again wherever no node could judge it, until it is accepted, known or
 * superseded. Pure; `now` is in milliseconds and never goes back.
 */
export class BlockSubmission {
  readonly height: number;
  readonly hash: Hash;
  readonly #targets: Target[];
  readonly #answers: { result: SubmitResult | NodeError | undefined; attempts: number }[];
  #outcome: BlockOutcome = "pending";
  /** When the chain was first seen to be past the block. */
  #deepSince: number | undefined;

  constructor(block: { readonly height: number; readonly hash: Hash }, nodes: number) {
    this.height = block.height;
    this.hash = block.hash;
    this.#targets = Array.from({ length: nodes }, () => ({ state: "asked" }));
    this.#answers = this.#targets.map(() => ({ result: undefined, attempts: 1 }));
  }

  /** What goes out first: the block, to every node. */
  begin(): readonly SubmissionEffect[] {
    return this.#targets.map((_, node) => ({ type: "submit", node }));
  }

  /** What is known of the block. */
  get outcome(): BlockOutcome {
    return this.#outcome;
  }

  /** What each node said, in order. */
  get answers(): readonly NodeAnswer[] {
    return this.#answers;
  }

  /** Nothing more is to come: the outcome is final. */
  get isDone(): boolean {
    return this.#targets.every(({ state }) => state === "refused" || state === "given-up");
  }

  /** Takes one input and returns what follows from it. */
  handle(input: SubmissionInput, now: number): readonly SubmissionEffect[] {
    switch (input.type) {
      case "answer":
        return this.#onAnswer(input.node, input.result, now);
      case "looked-up":
        return this.#onLookedUp(input.node, input.standing, now);
      case "node-up":
        return this.#targets[input.node]?.state === "waiting" ? [this.#again(input.node)] : [];
      case "tick":
        return this.#onTick(input.bestHeight, now);
      default:
        return input satisfies never;
    }
  }

  #onAnswer(node: number, result: SubmitResult | NodeError, now: number): readonly SubmissionEffect[] {
    const answer = this.#answers[node];
    if (answer === undefined) throw new RangeError(`the block was not submitted to node ${node}`);
    answer.result = result;
    if (this.#targets[node]?.state !== "asked") return [];
    if (result instanceof NodeError || result.kind === "retry") {
      this.#targets[node] = { state: "waiting", until: now + retryAfter(answer.attempts) };
      return [];
    }
    if (result.kind === "rejected") {
      this.#targets[node] = { state: "refused" };
      return this.#targets.every(({ state }) => state === "refused") ? this.#settle("rejected") : [];
    }
    this.#targets[node] = { state: "has-it", lookAt: now + LOOK_UP_MS, inChain: undefined };
    return [{ type: "look-up", node }];
  }

  #onLookedUp(node: number, standing: BlockStanding, now: number): readonly SubmissionEffect[] {
    // Two look-ups may be under way; the later one is of no use once the block is submitted again, or given up.
    if (this.#targets[node]?.state !== "has-it") return [];
    // btcd says that it took a block whose parent it lacks: it will have to be told again.
    if (standing === "unknown") {
      this.#targets[node] = { state: "waiting", until: now + MAX_RETRY_MS };
      return [];
    }
    this.#targets[node] = { state: "has-it", lookAt: now + LOOK_UP_MS, inChain: standing === "in-chain" };
    const isInChain = this.#targets.some((target) => target.state === "has-it" && target.inChain === true);
    return this.#settle(isInChain ? "accepted" : "side-branch");
  }

  #onTick(bestHeight: number | undefined, now: number): readonly SubmissionEffect[] {
    if (bestHeight !== undefined && bestHeight >= this.height + DEEP) this.#deepSince ??= now;
    if (this.#deepSince !== undefined) this.#giveUp(now - this.#deepSince);
    if (this.isDone) return this.#outcome === "pending" ? this.#settle("superseded") : [];
    return this.#targets.flatMap((target, node): readonly SubmissionEffect[] => {
      if (target.state === "waiting" && now >= target.until) return [this.#again(node)];
      if (target.state !== "has-it" || now < target.lookAt) return [];
      this.#targets[node] = { ...target, lookAt: now + LOOK_UP_MS };
      return [{ type: "look-up", node }];
    });
  }

  #again(node: number): SubmissionEffect {
    const answer = this.#answers[node];
    if (answer !== undefined) answer.attempts += 1;
    this.#targets[node] = { state: "asked" };
    return { type: "submit", node };
  }

  #giveUp(deepForMs: number): void {
    for (const [node, target] of this.#targets.entries()) {
      const isOpen = target.state === "asked" || (target.state === "has-it" && target.inChain === undefined);
      if (target.state === "refused" || (isOpen && deepForMs < LAST_WORD_MS)) continue;
      this.#targets[node] = { state: "given-up" };
    }
  }

  #settle(outcome: BlockOutcome): readonly SubmissionEffect[] {
    if (outcome === this.#outcome) return [];
    this.#outcome = outcome;
    return [{ type: "outcome", outcome }];
  }
}

function retryAfter(attempts: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), MAX_RETRY_MS);
}
