import { hex } from "@adit/bitcoin";
import type { BitcoinNode } from "./bitcoin-node.ts";
import { NodeError } from "./errors.ts";
import type { NodeTemplate } from "./node-template.ts";
import { Doorbell, retryMs, type WatchClock } from "./watch-clock.ts";

/** A template, and how it came. */
export interface TemplateNews {
  readonly template: NodeTemplate;
  /** Asked for at once, or the end of a long poll. */
  readonly by: "request" | "long-poll";
  /** Milliseconds from the request to the answer. */
  readonly tookMs: number;
}

/** What a {@link TemplateFollower} works with. */
export interface TemplateFollowerOptions {
  readonly node: BitcoinNode;
  /** A template is asked for when the newest is this old, in milliseconds. */
  readonly templateIntervalMs: number;
  /** The wait after a first failure, in milliseconds. */
  readonly retryMs: number;
  readonly clock: WatchClock;
  readonly onTemplate: (news: TemplateNews) => void;
  readonly onFailed: (error: NodeError, by: TemplateNews["by"]) => void;
}

/** A long poll that is over within this time, and on the same tip, has not waited. */
const QUICK_MS = 1_000;
/** Tips kept in mind to tell an answer that was overtaken; two requests are never more than a few tips apart. */
const MAX_PAST_TIPS = 16;

/**
 * Keeps a node's newest template: asks for one at once, when told to, and when the newest is old, and has a long poll
 * waiting besides. A pending long poll is never given up for a request: Core keeps a thread busy for it either way.
 */
export class TemplateFollower {
  readonly #options: TemplateFollowerOptions;
  readonly #needed: Doorbell;
  readonly #arrived: Doorbell;
  readonly #pastTips: string[] = [];
  #newest: NodeTemplate | undefined;
  #acceptedAt = 0;
  #accepted = 0;
  /** Where the next long poll starts; undefined until a template has come since the last one failed. */
  #longPollId: string | undefined;

  constructor(options: TemplateFollowerOptions) {
    this.#options = options;
    this.#needed = new Doorbell(options.clock);
    this.#arrived = new Doorbell(options.clock);
  }

  /** Asks for a template now, after the request under way if there is one. */
  refresh(): void {
    this.#needed.ring();
  }

  /** Works until `signal` aborts. One run at a time. */
  async run(signal: AbortSignal): Promise<void> {
    this.#longPollId = undefined;
    await Promise.all([this.#requests(signal), this.#longPolls(signal)]);
  }

  async #requests(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      failures = (await this.#request(signal)) ? 0 : failures + 1;
      if (failures === 0) await this.#untilOld(signal);
      else await this.#needed.pause(retryMs(this.#options.retryMs, failures), signal);
    }
  }

  /** False when the node did not give a template. */
  async #request(signal: AbortSignal): Promise<boolean> {
    this.#needed.clear();
    const started = this.#options.clock.now();
    const before = this.#accepted;
    try {
      const template = await this.#options.node.template({ signal });
      const tookMs = this.#options.clock.now() - started;
      // Overtaken by a long poll: what the node has now is asked for once more.
      if (!this.#offer({ template, by: "request", tookMs }, before)) this.refresh();
      return true;
    } catch (error) {
      this.#failed(error, "request", signal);
      return false;
    }
  }

  async #untilOld(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const restMs = this.#acceptedAt + this.#options.templateIntervalMs - this.#options.clock.now();
      if (restMs <= 0 || (await this.#needed.pause(restMs, signal))) return;
    }
  }

  async #longPolls(signal: AbortSignal): Promise<void> {
    let quick = 0;
    let failures = 0;
    while (!signal.aborted) {
      const longPollId = this.#longPollId;
      if (longPollId === undefined) {
        await this.#arrived.pause(this.#options.templateIntervalMs, signal);
        continue;
      }
      const end = await this.#longPoll(longPollId, signal);
      failures = end === "failed" ? failures + 1 : 0;
      quick = end === "quick" ? quick + 1 : 0;
      await this.#options.clock.pause(this.#longPollPause(quick, failures), signal);
    }
  }

  #longPollPause(quick: number, failures: number): number {
    if (failures > 0) return retryMs(this.#options.retryMs, failures);
    return quick === 0 ? 0 : Math.min(this.#options.templateIntervalMs, QUICK_MS * 2 ** Math.min(quick - 1, 16));
  }

  async #longPoll(longPollId: string, signal: AbortSignal): Promise<"waited" | "quick" | "failed"> {
    const started = this.#options.clock.now();
    const before = this.#accepted;
    const tip = this.#newest?.prevHash;
    try {
      const template = await this.#options.node.template({ signal, longPollId });
      const tookMs = this.#options.clock.now() - started;
      this.#offer({ template, by: "long-poll", tookMs }, before);
      const sameTip = tip !== undefined && hex(template.prevHash) === hex(tip);
      return sameTip && tookMs < QUICK_MS ? "quick" : "waited";
    } catch (error) {
      // Nothing has changed in all that time.
      if (error instanceof NodeError && error.code === "timed-out") return "waited";
      this.#longPollId = undefined;
      this.#failed(error, "long-poll", signal);
      this.refresh();
      return "failed";
    }
  }

  /**
   * Takes the template unless it was overtaken: another was accepted after this one was asked for (`before` is the
   * number of those until then), and this one is the older of the two as far as can be told.
   */
  #offer(news: TemplateNews, before: number): boolean {
    if (this.#accepted !== before && this.#isOlder(news.template)) return false;
    const newest = this.#newest;
    if (newest !== undefined && hex(newest.prevHash) !== hex(news.template.prevHash)) {
      this.#pastTips.push(hex(newest.prevHash));
      if (this.#pastTips.length > MAX_PAST_TIPS) this.#pastTips.shift();
    }
    this.#newest = news.template;
    this.#longPollId = news.template.longPollId;
    this.#acceptedAt = this.#options.clock.now();
    this.#accepted += 1;
    this.#options.onTemplate(news);
    this.#arrived.ring();
    return true;
  }

  #isOlder({ prevHash, curTime }: NodeTemplate): boolean {
    const newest = this.#newest;
    if (newest === undefined) return false;
    if (hex(newest.prevHash) === hex(prevHash)) return curTime < newest.curTime;
    return this.#pastTips.includes(hex(prevHash));
  }

  #failed(error: unknown, by: TemplateNews["by"], signal: AbortSignal): void {
    if (!(error instanceof NodeError)) throw error;
    if (!signal.aborted) this.#options.onFailed(error, by);
  }
}
