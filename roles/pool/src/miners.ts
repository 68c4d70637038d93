import type { AcceptedShare, MiningServer, OutboundLimits, ServerEffect, ServerInput } from "@adit/channels";
import { dialect, type MiningMessage, mining, readWorkerIdentity } from "@adit/codec";
import type { Received, Sv2Connection } from "@adit/network-helpers";
import type { RoleContext } from "@adit/role-kit";
import type { ShareStore } from "@adit/share-store";
import type { Blocks } from "./blocks.ts";
import type { PoolMetrics } from "./metrics.ts";
import { MinerConnection } from "./miner-connection.ts";

/** What {@link Miners} works with. */
export interface MinersOptions {
  readonly server: MiningServer;
  readonly store: ShareStore;
  readonly blocks: Blocks;
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

const encoder = dialect("mining");
/** The drain of a connection that does not read ends after this. */
const DRAIN_MS = 3_000;

/**
 * The shell around the mining core: feeds it what miners, the template provider and the store say, one input at a time,
 * and performs its effects in order. Nothing here waits for a miner but that miner's own loops.
 */
export class Miners {
  readonly #options: MinersOptions;
  readonly #clock = steadyClock();
  readonly #miners = new Map<number, MinerConnection>();
  readonly #writing = new Set<Promise<void>>();
  #recording = 0;
  #onRecorded: (() => void) | undefined;
  #draining = false;

  constructor(options: MinersOptions) {
    this.#options = options;
  }

  /** Serves one miner until its connection ends. The caller owns the connection. */
  async serve(connection: Sv2Connection<"mining">): Promise<void> {
    if (this.#draining) return;
    const miner = new MinerConnection(connection, this.#options.outbound);
    this.#miners.set(miner.id, miner);
    const writing = miner.write();
    this.#writing.add(writing);
    try {
      await this.#read(connection, miner);
    } finally {
      this.handle({ type: "disconnected", connection: miner.id });
      miner.end();
      await writing;
      this.#writing.delete(writing);
      this.#miners.delete(miner.id);
    }
  }

  /** Gives the core an input and performs what follows. */
  handle(input: ServerInput): void {
    this.#perform(this.#options.server.handle(input, this.#clock()));
  }

  /** Once a second. */
  tick(): void {
    this.handle({ type: "tick" });
    const { stalledWriteMs } = this.#options;
    for (const miner of this.#miners.values()) {
      if (miner.writingSince === undefined || performance.now() - miner.writingSince < stalledWriteMs) continue;
      this.#drop(miner, "slow-consumer", "takes nothing from its socket");
    }
  }

  /**
   * Stops reading miners, waits until every share they sent is recorded, acknowledges all of them, asks the miners to
   * connect again (an empty host means this one) and closes.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#recorded();
    // The longest wait for an acknowledgement is over now, whatever the clock says.
    this.#perform(this.#options.server.handle({ type: "tick" }, this.#clock() + this.#options.ackIntervalMs));
    const farewell = encoder.encode({ name: "Reconnect", newHost: "", newPort: 0 });
    for (const miner of this.#miners.values()) miner.end(farewell);
    const late = setTimeout(() => {
      for (const miner of this.#miners.values()) miner.abort("closed", "did not read its last messages in time");
    }, DRAIN_MS);
    await Promise.allSettled(this.#writing);
    clearTimeout(late);
  }

  async #read(connection: Sv2Connection<"mining">, miner: MinerConnection): Promise<void> {
    const { store, log } = this.#options;
    // Worker names reach this far only when 0x0002 was negotiated, which happens after this moment.
    const extensions = new Set(this.#options.extensions);
    this.handle({ type: "connected", connection: miner.id, flags: connection.setup.flags, extensions });
    for await (const { message, tlvs } of connection.messages) {
      log.debug({ connection: miner.id, message: message.name }, "message received");
      await store.room();
      if (miner.isClosing) return;
      // What comes in during the drain is not looked at; the miner sends it again to the next pool.
      if (!this.#draining) this.#onMessage(miner, { message, tlvs });
    }
  }

  #onMessage(miner: MinerConnection, { message, tlvs }: Received<"mining">): void {
    if (!isMining(message)) {
      this.#drop(miner, "protocol", `sent ${message.name}`);
      return;
    }
    this.handle({ type: "message", connection: miner.id, message, worker: readWorkerIdentity(tlvs) });
    if (message.name === "CloseChannel") miner.forget(message.channelId);
  }

  #perform(effects: readonly ServerEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: ServerEffect): void {
    switch (effect.type) {
      case "send":
        return this.#send(effect.to, effect.message);
      case "submit-solution":
        return this.#options.blocks.found(effect.block);
      case "record-share":
        return this.#record(effect.share);
      case "reject-share":
        return this.#countReject(effect);
      case "close-connection":
        return this.#close(effect.connection, effect.reason);
      case "log":
        return this.#log(effect);
      default:
        return effect satisfies never;
    }
  }

  /** Encodes once, whatever the number of connections. */
  #send(to: readonly number[], message: MiningMessage): void {
    const frame = encoder.encode(message);
    for (const id of to) {
      const miner = this.#miners.get(id);
      if (miner?.push(message, frame) === "overflow")
        this.#drop(miner, "slow-consumer", "does not keep up with its messages");
    }
    this.#options.log.debug({ connections: to.length, message: message.name }, "message sent");
  }

  /** Not awaited by the reader: the bound of what waits is the store's. */
  #record(share: AcceptedShare): void {
    this.#recording += 1;
    this.#recordAndAnswer(share)
      .catch((error: unknown) => this.#options.log.error({ error }, "recorded share not answered"))
      .finally(() => {
        this.#recording -= 1;
        if (this.#recording === 0) this.#onRecorded?.();
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

  #close(connection: number, reason: string): void {
    const { metrics, log } = this.#options;
    metrics.closedByPool.inc({ cause: "rules" });
    log.info({ connection, reason }, "miner closed");
    this.#miners.get(connection)?.end();
  }

  #drop(miner: MinerConnection, cause: "slow-consumer" | "protocol", reason: string): void {
    const { metrics, log } = this.#options;
    metrics.closedByPool.inc({ cause });
    log.info({ connection: miner.id, cause, reason }, "miner dropped");
    miner.abort(cause === "protocol" ? "protocol-violation" : cause, reason);
  }

  #log({ level, event, fields }: Extract<ServerEffect, { type: "log" }>): void {
    this.#options.log[level](fields, event.replaceAll("-", " "));
  }

  async #recorded(): Promise<void> {
    if (this.#recording === 0) return;
    await new Promise<void>((resolve) => {
      this.#onRecorded = resolve;
    });
  }
}

function isMining(message: { readonly name: string }): message is MiningMessage {
  return Object.hasOwn(mining.rows, message.name);
}

/** Unix milliseconds that only go forward, at the pace of time: a corrected wall clock closes nobody's connection. */
function steadyClock(): () => number {
  const ahead = Date.now() - performance.now();
  return () => Math.round(ahead + performance.now());
}
