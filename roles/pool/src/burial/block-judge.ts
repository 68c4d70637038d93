import { NodeError } from "@adit/bitcoin-node";
import type { RoleContext } from "@adit/role-kit";
import { BlockBurial, type BurialEffect, type BurialInput, type FollowedBlock } from "./block-burial.ts";
import type { ChainView } from "./chain-nodes.ts";

/** Nodes as {@link BlockJudge} sees them. */
export interface ChainJudges extends AsyncDisposable {
  /** The tip of the best node, which is then asked about blocks. Rejects with NodeError when none can be asked. */
  look(): Promise<ChainView>;
}

/** What {@link BlockJudge} works with. */
export interface BlockJudgeOptions {
  /** Who is asked; disposed with the judge. */
  readonly nodes: ChainJudges;
  /** Confirmations after which a block's fate is final. */
  readonly maturity: number;
  /** A node says another thing of a block than what is on record. */
  readonly onJudged: (judged: BurialEffect & { readonly type: "judged" }) => void;
  /** A block is followed no more though it is open: there were too many. */
  readonly onLeft: (left: BurialEffect & { readonly type: "left" }) => void;
  readonly log: RoleContext["log"];
  /** Milliseconds since some moment; never goes back. */
  readonly now: () => number;
}

/** How the nodes do that judge blocks. */
export interface JudgeStatus {
  /** `host:port` of the node that was asked last; null before the first. */
  readonly node: string | null;
  /** Why no node can be asked; null while one can. */
  readonly trouble: string | null;
  /** Height of that node's tip; null before the first. */
  readonly height: number | null;
  /** Confirmations after which a block's fate is final. */
  readonly maturity: number;
  /** Blocks whose fate is not final. */
  readonly open: number;
}

/** The I/O of {@link BlockBurial}: asks nodes what it wants to know, one question at a time, and hands on what they say. */
export class BlockJudge implements AsyncDisposable {
  readonly #options: BlockJudgeOptions;
  readonly #burial: BlockBurial;
  #asking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #view: ChainView | undefined;
  #node: string | null = null;
  #trouble: string | null = null;

  constructor(options: BlockJudgeOptions) {
    this.#options = options;
    this.#burial = new BlockBurial(options);
  }

  /** Follows a block until its fate is final. */
  follow(block: FollowedBlock): void {
    this.#take({ type: "follow", block });
  }

  /** The template provider builds on this block, so that others may have changed places. */
  tipTold(hash: Uint8Array): void {
    this.#take({ type: "tip-told", hash });
  }

  /** Time passes. Call it once a second. */
  tick(): void {
    this.#take({ type: "tick" });
  }

  /** Confirmations of a block that is followed; undefined before a node has told them, and for any other block. */
  confirmations(hash: Uint8Array): number | undefined {
    return this.#burial.confirmations(hash);
  }

  /** Snapshot for monitoring. */
  status(): JudgeStatus {
    const { open, tip } = this.#burial;
    const { maturity } = this.#options;
    return { node: this.#node, trouble: this.#trouble, height: tip?.height ?? null, maturity, open };
  }

  /** Lets go of what is being asked. What has no answer yet is asked again by the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#options.nodes[Symbol.asyncDispose]();
    await this.#asking;
  }

  #take(input: BurialInput): void {
    if (this.#isStopped) return;
    for (const effect of this.#burial.handle(input, this.#options.now())) this.#perform(effect);
  }

  #perform(effect: BurialEffect): void {
    const { onJudged, onLeft } = this.#options;
    switch (effect.type) {
      case "look":
        return this.#ask(async () => ({ type: "tip", tip: (await this.#look()).tip }));
      case "ask":
        return this.#ask(async () => ({ type: "places", places: (await this.#view?.places(effect.blocks)) ?? [] }));
      case "judged":
        return onJudged(effect);
      case "left":
        return onLeft(effect);
      default:
        return effect satisfies never;
    }
  }

  async #look(): Promise<ChainView> {
    const view = await this.#options.nodes.look();
    if (this.#trouble !== null || this.#node !== view.name) {
      this.#options.log.info({ node: view.name, height: view.tip.height }, "blocks are judged by this node");
    }
    this.#view = view;
    this.#node = view.name;
    this.#trouble = null;
    return view;
  }

  #ask(question: () => Promise<BurialInput>): void {
    // A fault in what follows from an answer is none of the node's: it fails the round like any other, and is told.
    this.#asking = question()
      .then((answer) => this.#take(answer))
      .catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    if (this.#isStopped) return;
    const { log } = this.#options;
    if (!(error instanceof NodeError)) log.error({ error }, "a block could not be judged; it is tried again");
    else if (this.#trouble === null) {
      const fields = { node: error.node, code: error.code, error: error.message };
      log.warn(fields, "no node judges blocks; their results stand still until one does");
    }
    this.#trouble = error instanceof Error ? error.message : String(error);
    this.#take({ type: "failed" });
  }
}
