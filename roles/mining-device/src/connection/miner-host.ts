import type { RoleContext } from "@adit/role-kit";
import type { ReconnectTarget } from "@adit/role-network";
import type { HashingEngine, HashingSource } from "../hashing/hashing-engine.ts";
import type { Miner, MinerEffect } from "../miner/miner-effect.ts";
import type { ShareNews } from "../miner/share-tally.ts";
import type { Share, Work } from "../work/work.ts";

/** Inputs that every miner takes. */
export type HostInput =
  | { readonly type: "connected" | "tick" | "disconnected" }
  | { readonly type: "share"; readonly share: Share };

/** One live connection, whatever its protocol, as its miner's host needs it. */
export interface Wire<Message> {
  /** Sends in the order of the calls, awaited or not. */
  write(message: Message): Promise<void>;
  /** Breaks the connection, which ends the reading of it with this reason. */
  abort(reason: Error): void;
}

/** What a host works with. */
export interface MinerHostOptions<Input, Message> {
  readonly miner: Miner<Input | HostInput, Message>;
  readonly wire: Wire<Message>;
  readonly engine: HashingEngine;
  readonly log: RoleContext["log"];
  readonly onNews: (news: ShareNews) => void;
  /** Called with the work that is hashed from now on, undefined for none. */
  readonly onWork: (work: Work | undefined) => void;
  /** Called when the upstream asks to be reached elsewhere. */
  readonly onReconnect: (to: ReconnectTarget) => void;
}

/** Messages that may wait for an upstream that does not read; shares are the only thing a miner sends much of. */
const MOST_UNSENT = 512;
const TICK_MS = 1000;

/** Performs what a miner decides, for the life of one connection. Disposing it ends the hashing for it. */
export class MinerHost<Input, Message> implements Disposable {
  readonly #options: MinerHostOptions<Input, Message>;
  readonly #source: HashingSource;
  readonly #ticking: ReturnType<typeof setInterval>;
  #unsent = 0;
  #ended = false;

  constructor(options: MinerHostOptions<Input, Message>) {
    this.#options = options;
    this.#source = options.engine.attach((share) => this.step({ type: "share", share }));
    this.#ticking = setInterval(() => this.step({ type: "tick" }), TICK_MS);
    this.step({ type: "connected" });
  }

  /** Gives the miner an input and performs its effects. Does nothing once the miner has ended the connection. */
  step(input: Input | HostInput): void {
    if (!this.#ended) this.#handle(input);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticking);
    this.#source[Symbol.dispose]();
    this.#ended = true;
    this.#handle({ type: "disconnected" });
    this.#options.onWork(undefined);
  }

  #handle(input: Input | HostInput): void {
    for (const effect of this.#options.miner.handle(input, performance.now())) this.#perform(effect);
  }

  #perform(effect: MinerEffect<Message>): void {
    switch (effect.type) {
      case "send":
        this.#send(effect.message);
        break;
      case "work":
        this.#source.work(effect.work);
        this.#options.onWork(effect.work);
        break;
      case "no-work":
        this.#source.noWork();
        this.#options.onWork(undefined);
        break;
      case "pause":
        this.#source.pause();
        break;
      case "resume":
        this.#source.resume();
        break;
      case "log":
        this.#options.log[effect.level](effect.fields, effect.event);
        break;
      case "reconnect":
        this.#options.onReconnect(effect.to);
        break;
      case "close":
        this.#ended = true;
        this.#options.wire.abort(new Error(effect.reason));
        break;
      default:
        this.#options.onNews(effect);
    }
  }

  #send(message: Message): void {
    this.#unsent++;
    if (this.#unsent > MOST_UNSENT) this.#options.wire.abort(new Error("the upstream does not read what it is sent"));
    // Not awaited, so that a full socket holds up neither the reading nor the clock; the count bounds what waits.
    else void this.#write(message);
  }

  async #write(message: Message): Promise<void> {
    const { wire } = this.#options;
    try {
      await wire.write(message);
      this.#unsent--;
    } catch (error) {
      wire.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
