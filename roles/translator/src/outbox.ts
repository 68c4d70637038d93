import { CoreOutbox } from "@adit/channels";
import type { CounterName, TranslatorEffect } from "./effects.ts";

/** Collects what the parts of the core ask for while one input is handled, and keeps the counts. */
export class Outbox extends CoreOutbox<CounterName, TranslatorEffect> {
  #lastJobId = 0;

  /** A job id that no miner was given before. */
  nextJobId(): string {
    this.#lastJobId += 1;
    return this.#lastJobId.toString(16);
  }
}
