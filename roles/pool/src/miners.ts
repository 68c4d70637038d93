import type { AcceptedShare, MiningServer, OutboundLimits, ServerEffect, ServerInput } from "@adit/channels";
import { type MinerEffect, MiningShell } from "@adit/mining-shell";
import { Condition, type Sv2Connection } from "@adit/network-helpers";
import type { RoleContext } from "@adit/role-kit";
import type { ReconnectTarget } from "@adit/role-network";
import type { ShareStore } from "@adit/share-store";
import type { Blocks } from "./blocks.ts";
import type { JobDeclaration } from "./job-declaration.ts";
import type { PoolMetrics } from "./metrics.ts";

/** What {@link Miners} works with. */
export interface MinersOptions {
  readonly server: MiningServer;
  readonly store: ShareStore;
  readonly blocks: Blocks;
  readonly declaration: JobDeclaration | undefined;
  readonly metrics: PoolMetrics;
  readonly outbound: OutboundLimits;
  /** A miner that takes nothing from its socket for this long, in milliseconds, is closed. */
  readonly stalledWriteMs: number;
  /** The core's `ackIntervalMs`. */
  readonly ackIntervalMs: number;
  /** Extensions the listener may grant. */
  readonly extensions: readonly number[];
  readonly log: RoleContext["log"];
  /** Wall clock in unix milliseconds, for records. */
  readonly now: () => number;
}

/** What is to be done about shares and blocks; the rest is the shell's. */
type PoolEffect = Exclude<ServerEffect, MinerEffect>;

/**
 * The pool's miners: the shell that serves them from the mining core, and what a pool does with their shares and
 * blocks. A share is answered after the commit that holds it.
 */
export class Miners {
  readonly #options: MinersOptions;
  readonly #shell: MiningShell<ServerInput, PoolEffect>;
  readonly #recorded = new Condition(() => this.#recording === 0);
  #recording = 0;

  constructor(options: MinersOptions) {
    this.#options = options;
    const { server, store, metrics } = options;
    this.#shell = new MiningShell({
      ...options,
      core: server,
      perform: (effect) => this.#perform(effect),
      room: () => store.room(),
      onClose: (cause) => metrics.closedByPool.inc({ cause }),
    });
  }

  /** Serves one miner until its connection ends. The caller owns the connection. */
  async serve(connection: Sv2Connection<"mining">): Promise<void> {
    await this.#shell.serve(connection);
  }

  /** Gives the core an input and performs what follows. */
  handle(input: ServerInput): void {
    this.#shell.handle(input);
  }

  /** Once a second. */
  tick(): void {
    this.#shell.tick();
  }

  /** Sends miners away; records and acknowledges every share that was read, and closes. */
  async drain(elsewhere: ReconnectTarget | undefined): Promise<void> {
    await this.#shell.drain(() => this.#recorded.met(), elsewhere);
  }

  #perform(effect: PoolEffect): void {
    switch (effect.type) {
      case "submit-solution":
        return this.#options.blocks.found(effect.block);
      case "custom-block":
        this.#options.declaration?.solve(effect.block);
        return this.#options.blocks.found(effect.block);
      case "job-activated":
        return;
      case "record-share":
        return this.#record(effect.share);
      case "reject-share":
        return this.#countReject(effect);
      default:
        return effect satisfies never;
    }
  }

  /** Not awaited by the reader: the bound of what waits is the store's. */
  #record(share: AcceptedShare): void {
    this.#recording += 1;
    this.#recordAndAnswer(share)
      .catch((error: unknown) => this.#options.log.error({ error }, "recorded share not answered"))
      .finally(() => {
        this.#recording -= 1;
        this.#recorded.check();
      });
  }

  async #recordAndAnswer(share: AcceptedShare): Promise<void> {
    const { metrics } = this.#options;
    const started = performance.now();
    const result = await this.#append(share);
    metrics.shareCommitSeconds.observe({}, (performance.now() - started) / 1000);
    if (result === "recorded") {
      metrics.sharesAccepted.inc({});
      metrics.shareWork.inc({}, Number(share.work));
    }
    this.handle({ type: "share-recorded", share, result });
  }

  async #append(share: AcceptedShare): Promise<"recorded" | "duplicate" | "failed"> {
    const { store, now, log } = this.#options;
    const { hash, prevHash, userIdentity, worker = "", work, shareDifficulty } = share;
    try {
      return await store.append({ hash, prevHash, userIdentity, worker, work, shareDifficulty, at: now() });
    } catch (error) {
      log.debug({ error, connection: share.connection, channelId: share.channelId }, "share not recorded");
      return "failed";
    }
  }

  #countReject({ userIdentity, worker = "", errorCode }: Extract<ServerEffect, { type: "reject-share" }>): void {
    const { store, metrics, now } = this.#options;
    metrics.sharesRejected.inc({ error_code: errorCode });
    store.countReject({ userIdentity, worker, errorCode, at: now() });
  }
}
