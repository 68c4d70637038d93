import { BitcoinError, displayHash, hash } from "@adit/bitcoin";
import {
  type AcceptedShare,
  BlockLedger,
  type ClientChannel,
  type ExtranonceBase,
  type FoundBlock,
  type LedgerInput,
  MiningServer,
  type ServerEffect,
  type ServerInput,
} from "@adit/channels";
import type { TemplateEvent } from "@adit/mining-shell";
import type { JdClientEffect, JdClientInput } from "./effects.ts";
import type { JdClientOptions } from "./jd-client-options.ts";
import { Outbox } from "./outbox.ts";
import { type Payout, payoutTo, rewardOutputs } from "./payout.ts";
import { INDEX_SIZE } from "./session-maker.ts";
import type { SessionTerms } from "./session-types.ts";
import { type JdClientStatus, statusOf } from "./status.ts";
import { UpstreamSide } from "./upstream-side.ts";

/** Number of channels that miners may have at once. */
export const EXTRANONCE_INDEXES: number = 2 ** (8 * INDEX_SIZE);

/**
 * The jd-client without its sockets: what miners, template provider, pools and job declarators say in, what to tell them
 * out. No input makes it throw.
 *
 * Miners are served by one mining server, whatever is mined for. Templates become jobs at once; the pool is told of them
 * afterwards. A change of what is mined for puts every channel on another extranonce and makes the jobs again.
 */
export class JdClientCore {
  readonly #options: JdClientOptions;
  readonly #outbox = new Outbox();
  readonly #server: MiningServer;
  readonly #ledger: BlockLedger;
  readonly #upstream: UpstreamSide;
  #payout: Payout;

  /** RangeError or BitcoinError when sizes, rates or the coinbase tag are out of range. `now`: not after the first input. */
  constructor(options: JdClientOptions, now: number) {
    const { server, soloScript, extranonceStart } = options;
    this.#options = options;
    this.#outbox.now = now;
    this.#payout = payoutTo(soloScript);
    this.#server = new MiningServer({
      ...server,
      extranonce: { ...soloBase(options), indexSize: INDEX_SIZE, start: extranonceStart },
      rewardOutputs: (template) => rewardOutputs(this.#payout, template),
      customJobs: null,
    });
    this.#ledger = new BlockLedger(server.hashing);
    this.#upstream = new UpstreamSide(options, this.#outbox, {
      // For a hashrate of nothing there are pools that count every hash a share: a flood, until their next target is here.
      hashrate: () => Math.max(this.#server.status().hashrate, server.minHashrate),
      rework: (terms) => this.#rework(terms),
      retarget: ({ channel }) => this.#serve({ type: "hardest-target", target: channel.target }),
    });
  }

  /** Takes an input at a time in milliseconds that never runs backwards; returns what to do, in order. */
  handle(input: JdClientInput, now: number): readonly JdClientEffect[] {
    this.#outbox.now = now;
    this.#dispatch(input);
    return this.#outbox.take();
  }

  /** Whether a miner that connects now gets work. */
  get isServing(): boolean {
    return this.#upstream.inUse !== "nothing" && this.#server.activeJobId !== undefined;
  }

  /** Shares that no pool has answered: on their way, or kept until their job is taken. */
  get pendingShares(): number {
    return this.#upstream.pendingShares;
  }

  /** A snapshot, for monitoring. */
  status(): JdClientStatus {
    return statusOf({
      server: this.#server.status(),
      table: this.#upstream.routes,
      inUse: this.#upstream.inUse,
      states: this.#upstream.states,
      cachedShares: this.#upstream.cachedShares,
      totals: this.#outbox.totals,
    });
  }

  #dispatch(input: JdClientInput): void {
    switch (input.type) {
      case "connected":
      case "message":
      case "disconnected":
        return this.#serve(input);
      case "tick":
        this.#serve(input);
        return this.#upstream.tick();
      case "session-up":
      case "pool-message":
      case "jds-message":
      case "session-down":
        return this.#upstream.onSession(input);
      case "upstream-list-changed":
        return this.#upstream.replace(input.plan);
      case "stop":
        return this.#upstream.stop();
      default:
        return this.#onTemplateEvent(input);
    }
  }

  /** Miners first: their work is worth most in the first moments after a block. */
  #onTemplateEvent(event: TemplateEvent): void {
    if (event.type === "template" || event.type === "prev-hash") this.#serve(event);
    if (event.type === "provider-lost") this.#serve({ type: "template-source-lost" });
    this.#upstream.onTemplateEvent(event);
    if (event.type !== "transaction-data" && event.type !== "transaction-data-refused") this.#follow(event);
  }

  #rework(terms: SessionTerms | undefined): string | undefined {
    const before = this.#payout;
    this.#payout = terms?.payout ?? payoutTo(this.#options.soloScript);
    const extranonce = terms === undefined ? soloBase(this.#options) : this.#baseOf(terms.channel);
    this.#serve({ type: "hardest-target", target: terms?.channel.target });
    try {
      this.#serve({ type: "rebase", extranonce });
      return undefined;
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof BitcoinError)) throw error;
      this.#payout = before;
      return error.message;
    }
  }

  /** The pool's extranonce for many miners: what they need less than the pool gives is filled with zeros. */
  #baseOf({ extranoncePrefix, extranonceSize }: ClientChannel): ExtranonceBase {
    const totalSize = extranoncePrefix.length + extranonceSize;
    const prefix = new Uint8Array(totalSize - INDEX_SIZE - this.#options.reservedExtranonceSize);
    prefix.set(extranoncePrefix);
    return { prefix, totalSize };
  }

  #serve(input: ServerInput): void {
    for (const effect of this.#server.handle(input, this.#outbox.now)) this.#perform(effect);
  }

  #perform(effect: ServerEffect): void {
    switch (effect.type) {
      case "send":
      case "reject-share":
      case "close-connection":
      case "log":
        return this.#outbox.emit(effect);
      case "job-activated":
        return this.#upstream.mine(effect.job);
      case "record-share":
        return this.#record(effect.share);
      case "submit-solution":
        return this.#found(effect.block);
      case "custom-block":
        // Miners of a jd-client declare no jobs of their own.
        return;
      default:
        return effect satisfies never;
    }
  }

  /** The upstream is the store of a jd-client: what is valid here is credited to the miner at once. */
  #record(share: AcceptedShare): void {
    this.#outbox.count("sharesAccepted");
    this.#upstream.share(share);
    this.#serve({ type: "share-recorded", share, result: "recorded" });
  }

  /** First the template provider, then the job declarator; the share itself comes after both. */
  #found(block: FoundBlock): void {
    this.#follow({ type: "found", block });
    this.#upstream.found(block);
    this.#outbox.count("blocksFound");
    const { height, templateId, connection, channelId } = block;
    const fields = { hash: displayHash(block.hash), height, templateId: templateId?.toString(), connection, channelId };
    this.#outbox.log("info", "block-found", fields);
  }

  #follow(input: LedgerInput): void {
    for (const effect of this.#ledger.handle(input)) {
      switch (effect.type) {
        case "submit":
          this.#outbox.emit({ type: "submit-solution", solution: effect.solution });
          break;
        case "settle": {
          const { hash: blockHash, result } = effect;
          const fields = { hash: displayHash(hash(blockHash)), result };
          this.#outbox.count("blocksSettled", result);
          if (result === "accepted") this.#outbox.log("info", "block-accepted", fields);
          else this.#outbox.log("warn", "block-not-in-the-chain", fields);
          break;
        }
        default:
          effect satisfies never;
      }
    }
  }
}

function soloBase({ soloExtranoncePrefix: prefix, reservedExtranonceSize }: JdClientOptions): ExtranonceBase {
  return { prefix, totalSize: prefix.length + INDEX_SIZE + reservedExtranonceSize };
}
