import { type Hash, hex } from "@adit/bitcoin";
import type { BitcoinNode } from "./bitcoin-node.ts";
import type { ChainInfo } from "./chain-info.ts";
import { NodeError } from "./errors.ts";
import type { NodeTemplate } from "./node-template.ts";
import { TemplateFollower } from "./template-follower.ts";
import { Doorbell, retryMs, systemClock, type WatchClock } from "./watch-clock.ts";
import { followHashblock } from "./zmq-hashblock.ts";

/** What a {@link NodeWatch} sees. */
export type NodeEvent =
  /** A poll was answered. */
  | { readonly type: "chain"; readonly info: ChainInfo }
  /** A tip other than the newest template's parent; its template may follow. Once for each tip. */
  | { readonly type: "tip-seen"; readonly hash: Hash; readonly by: "poll" | "zmq" }
  /** A newer template; none that is older than the one before. For a long poll `tookMs` is how long it waited. */
  | {
      readonly type: "template";
      readonly template: NodeTemplate;
      readonly tookMs: number;
      readonly by: "request" | "long-poll";
    }
  /** A poll, a request for a template, a long poll or the ZMQ notifications failed. The watch goes on. */
  | {
      readonly type: "failed";
      readonly error: NodeError;
      readonly by: "poll" | "request" | "long-poll" | "zmq";
    };

/** What a {@link NodeWatch} follows, and how often it looks. */
export interface NodeWatchOptions {
  /** The node; it stays the caller's, who disposes it after the watch. */
  readonly node: BitcoinNode;
  /** Time between two polls of the chain, in milliseconds. */
  readonly pollIntervalMs: number;
  /** Age at which a template is replaced although the tip is the same, in milliseconds. */
  readonly templateIntervalMs: number;
  /** The node's `zmqpubhashblock` address, like `tcp://127.0.0.1:28332`; tips are then seen without waiting for a poll. */
  readonly zmqHashblock?: string;
  /** Called in the order of events. Must not throw. */
  readonly onEvent: (event: NodeEvent) => void;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** The machine's time unless told. */
  readonly clock?: WatchClock;
}

/** Follows one node's chain, and its templates while they are wanted, from its construction until it is disposed. */
export class NodeWatch implements AsyncDisposable {
  readonly #options: NodeWatchOptions;
  readonly #clock: WatchClock;
  readonly #ended = new AbortController();
  readonly #end = (): void => {
    this.#ended.abort();
    this.#following?.abort();
  };
  readonly #pollNeeded: Doorbell;
  readonly #templates: TemplateFollower;
  readonly #running: Promise<unknown>;
  #wanted = false;
  /** The node has answered that it is on the right network. */
  #trusted = false;
  #following: AbortController | undefined;
  #followed: Promise<void> = Promise.resolve();
  /** The tip that was last announced, by itself or as a template's parent. */
  #lastTip = "";

  constructor(options: NodeWatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pollNeeded = new Doorbell(this.#clock);
    this.#templates = this.#follower();
    options.signal.addEventListener("abort", this.#end, { once: true });
    if (options.signal.aborted) this.#end();
    this.#running = Promise.all([this.#polls(), this.#notifications()]);
  }

  /** Starts or stops asking for templates. They start with the first poll that finds the node on its network. */
  wantTemplates(wanted: boolean): void {
    this.#wanted = wanted;
    this.#follow();
  }

  /** Polls now, and asks for a template now if they are wanted. */
  refresh(): void {
    this.#pollNeeded.ring();
    this.#templates.refresh();
  }

  /** Ends the watch; after it no event comes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#end);
    this.#end();
    await this.#running;
    await this.#followed;
  }

  #follower(): TemplateFollower {
    const { node, templateIntervalMs, pollIntervalMs } = this.#options;
    return new TemplateFollower({
      node,
      templateIntervalMs,
      retryMs: pollIntervalMs,
      clock: this.#clock,
      onTemplate: (news) => {
        this.#lastTip = hex(news.template.prevHash);
        this.#emit({ type: "template", ...news });
      },
      onFailed: (error, by) => this.#emit({ type: "failed", error, by }),
    });
  }

  async #polls(): Promise<void> {
    let failures = 0;
    while (!this.#ended.signal.aborted) {
      failures = (await this.#poll()) ? 0 : failures + 1;
      const { pollIntervalMs } = this.#options;
      const waitMs = failures === 0 ? pollIntervalMs : retryMs(pollIntervalMs, failures);
      await this.#pollNeeded.pause(waitMs, this.#ended.signal);
    }
  }

  /** False when the node did not answer. */
  async #poll(): Promise<boolean> {
    this.#pollNeeded.clear();
    try {
      const info = await this.#options.node.chainInfo({ signal: this.#ended.signal });
      this.#emit({ type: "chain", info });
      this.#sawTip(info.tip, "poll");
      this.#trust(true);
      return true;
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      this.#emit({ type: "failed", error, by: "poll" });
      if (error.code === "wrong-network") this.#trust(false);
      return false;
    }
  }

  async #notifications(): Promise<void> {
    const { node, zmqHashblock } = this.#options;
    if (zmqHashblock === undefined) return;
    const onHash = (hash: Hash): void => {
      this.#sawTip(hash, "zmq");
      this.#pollNeeded.ring();
    };
    try {
      await followHashblock({ node: node.name, address: zmqHashblock, onHash, signal: this.#ended.signal });
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      this.#emit({ type: "failed", error, by: "zmq" });
    }
  }

  #sawTip(hash: Hash, by: "poll" | "zmq"): void {
    const tip = hex(hash);
    if (tip === this.#lastTip) return;
    this.#lastTip = tip;
    this.#emit({ type: "tip-seen", hash, by });
    this.#templates.refresh();
  }

  #trust(trusted: boolean): void {
    this.#trusted = trusted;
    this.#follow();
  }

  /** One run of the follower at a time: the next waits until the one before has let go of its long poll. */
  #follow(): void {
    const due = this.#wanted && this.#trusted && !this.#ended.signal.aborted;
    if (due && this.#following === undefined) {
      const following = new AbortController();
      this.#following = following;
      this.#followed = this.#followed.then(() => this.#templates.run(following.signal));
    } else if (!due) {
      this.#following?.abort();
      this.#following = undefined;
    }
  }

  #emit(event: NodeEvent): void {
    if (!this.#ended.signal.aborted) this.#options.onEvent(event);
  }
}
