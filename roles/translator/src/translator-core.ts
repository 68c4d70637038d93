import type { MinerId, MinerInput, SessionId, TranslatorEffect, TranslatorInput } from "./effects.ts";
import { Miner } from "./miner.ts";
import type { MinerRules } from "./miner-rules.ts";
import { Outbox } from "./outbox.ts";
import { RememberedHashrates } from "./remembered-hashrates.ts";
import { statusOf, type TranslatorStatus } from "./status.ts";
import type { UpstreamPlan, UpstreamState } from "./upstream-plan.ts";
import type { UpstreamRules } from "./upstream-rules.ts";
import { UpstreamSide } from "./upstream-side.ts";

/** What a translator is made with. */
export interface TranslatorOptions {
  readonly miners: MinerRules;
  readonly upstream: UpstreamRules;
  readonly plan: UpstreamPlan;
}

/**
 * The translator without its sockets: what miners and the upstream say in, what to tell them out. No input makes it
 * throw.
 *
 * The upstream is chosen by what it does. Another is mined at as soon as it has given work, and the one that was left
 * still gets the shares that come late. When there is none miners stay connected. Their jobs are dead, since no other
 * connection knows them: late shares are answered as stale, and no work is made up. The first job of the next channel
 * puts them back to work.
 */
export class TranslatorCore {
  readonly #options: TranslatorOptions;
  readonly #outbox = new Outbox();
  readonly #upstream: UpstreamSide;
  readonly #remembered = new RememberedHashrates();
  readonly #miners = new Map<MinerId, Miner>();

  constructor(options: TranslatorOptions) {
    this.#options = options;
    this.#upstream = new UpstreamSide(options.upstream, options.plan, this.#outbox);
  }

  /** Takes an input at a time in milliseconds that never runs backwards; returns what to do, in order. */
  handle(input: TranslatorInput, now: number): readonly TranslatorEffect[] {
    this.#outbox.now = now;
    this.#dispatch(input);
    const effects = this.#outbox.take();
    for (const effect of effects) if (effect.type === "close-miner") this.#miners.delete(effect.miner);
    return effects;
  }

  /** Whether a miner that connects now gets work, at once or as soon as the upstream is dialled again. */
  get isServing(): boolean {
    return this.#upstream.isServing;
  }

  /** The session that is mined in, if there is one. */
  get session(): SessionId | undefined {
    return this.#upstream.session;
  }

  /** Where the translator stands with its upstream, and why the last one was lost; null while there is one. */
  get upstream(): UpstreamState {
    return this.#upstream.state;
  }

  /** Shares that upstreams have not answered. */
  get pendingSubmits(): number {
    return this.#upstream.pendingSubmits;
  }

  /** A snapshot, for monitoring. */
  status(): TranslatorStatus {
    const { routes, uplinks } = this.#upstream;
    return statusOf({ miners: this.#miners.values(), uplinks, routes, totals: this.#outbox.totals });
  }

  #dispatch(input: TranslatorInput): void {
    switch (input.type) {
      case "miner-connected":
      case "line":
      case "miner-gone":
        return this.#onMiner(input);
      case "session-up":
      case "upstream-message":
      case "session-down":
        return this.#upstream.onSession(input);
      case "upstream-list-changed":
        return this.#upstream.replace(input.plan);
      case "tick":
        for (const miner of this.#miners.values()) miner.tick();
        return this.#upstream.tick();
      case "stop":
        return this.#upstream.stop();
      default:
        input satisfies never;
    }
  }

  #onMiner(input: MinerInput): void {
    switch (input.type) {
      case "miner-connected":
        return this.#connect(input.miner, input.peer);
      case "line":
        return this.#miners.get(input.miner)?.line(input.line);
      case "miner-gone":
        this.#miners.get(input.miner)?.gone();
        this.#miners.delete(input.miner);
        return;
      default:
        input satisfies never;
    }
  }

  #connect(id: MinerId, peer: string): void {
    const context = { host: this.#upstream, outbox: this.#outbox, remembered: this.#remembered };
    this.#miners.set(id, new Miner({ id, peer }, this.#options.miners, context));
  }
}
