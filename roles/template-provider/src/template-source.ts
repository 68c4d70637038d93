import type { Hash } from "@adit/bitcoin";
import type { BlockTemplate, CoinbaseRoom } from "./template/block-template.ts";

/** The block that templates build on. */
export interface SourceTip {
  /** Internal order. */
  readonly hash: Hash;
  readonly height: number;
}

/** Where templates come from: the embedded chain, or Bitcoin nodes. */
export interface TemplateSource {
  /** Undefined as long as nothing is known to build on. */
  readonly tip: SourceTip | undefined;
  /** The best template now that leaves a coinbase its room. Only while there is a tip. */
  template(room: CoinbaseRoom): BlockTemplate;
  /** Header time a miner should start at, Unix seconds. `now` is Unix milliseconds. Only while there is a tip. */
  startTime(now: number): number;
}

/** What a source has news of. */
export type SourceChange =
  /** There is another block to build on, or another target to meet. */
  | { readonly type: "tip" }
  /** On the same tip other transactions wait. `atOnce` when what was sent is known to be poor. */
  | { readonly type: "better-templates"; readonly atOnce: boolean };
