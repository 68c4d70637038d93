import type { MinerId, TranslatorEffect, TranslatorInput } from "./effects.ts";
import { Miner, type MinerRules } from "./miner.ts";
import { Outbox } from "./outbox.ts";
import { RememberedHashrates } from "./remembered-hashrates.ts";
import { statusOf, type TranslatorStatus } from "./status.ts";
import { type UpstreamRules, UpstreamSide } from "./upstream-side.ts";

/** What a translator is made with. */
export interface TranslatorOptions {
  readonly miners: MinerRules;
  readonly upstream: UpstreamRules;
}

/**
 * The translator without its sockets: what miners and the upstream say in, what to tell them out. No input makes it
 * throw.
 *
 * When the upstream is lost miners stay connected. Their jobs are dead, since no other connection knows them: late
 * shares are answered as stale, and no work is made up. The first job of the next channel puts them back to work.
 */
export class TranslatorCore {
  readonly #options: TranslatorOptions;
  readonly #outbox = new Outbox();
  readonly #upstream: UpstreamSide;
  readonly #remembered = new RememberedHashrates();
  readonly #miners = new Map<MinerId, Miner>();

  constructor(options: TranslatorOptions) {
    this.#options = options;
    this.#upstream = new UpstreamSide(options.upstream, this.#outbox);
  }

  /** Takes an input at a time in milliseconds that never runs backwards; returns what to do, in order. */
  handle(input: TranslatorInput, now: number): readonly TranslatorEffect[] {
    this.#outbox.now = now;
    this.#dispatch(input);
    const effects = this.#outbox.take();
    for (const effect of effects) if (effect.type === "close-miner") this.#miners.delete(effect.miner);
    return effects;
  }

  /** Whether the upstream that is or was connected last is the one to dial first when the connection ends. */
  get trustsUpstream(): boolean {
    return this.#upstream.deservesTrust;
  }

  /** A snapshot, for monitoring. */
  status(): TranslatorStatus {
    return statusOf({ miners: this.#miners.values(), uplinks: this.#upstream.uplinks, totals: this.#outbox.totals });
  }

  #dispatch(input: TranslatorInput): void {
    switch (input.type) {
      case "miner-connected":
        return this.#connect(input.miner, input.peer);
      case "line":
        return this.#miners.get(input.miner)?.line(input.line);
      case "miner-gone":
        this.#miners.get(input.miner)?.gone();
        this.#miners.delete(input.miner);
        return;
      case "upstream-up":
        return this.#upstream.up(input.setup);
      case "upstream-message":
        return this.#upstream.message(input.message);
      case "upstream-down":
        return this.#upstream.down(input.reason);
      case "tick":
        for (const miner of this.#miners.values()) miner.tick();
        return this.#upstream.tick();
      default:
        input satisfies never;
    }
  }

  #connect(id: MinerId, peer: string): void {
    const context = { host: this.#upstream, outbox: this.#outbox, remembered: this.#remembered };
    this.#miners.set(id, new Miner({ id, peer }, this.#options.miners, context));
  }
}
