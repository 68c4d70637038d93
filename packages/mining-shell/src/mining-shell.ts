import type { OutboundLimits } from "@adit/channels";
import { dialect, type MiningMessage, mining, readWorkerIdentity } from "@adit/codec";
import type { Received, Sv2Connection } from "@adit/network-helpers";
import { peerFields, type RoleContext } from "@adit/role-kit";
import { Downstreams, type ReconnectTarget } from "@adit/role-network";
import { isMinerEffect, type MinerEffect, type MiningCore } from "./core.ts";
import { MinerConnection } from "./miner-connection.ts";

/** Why this side ended a miner's connection: the core's rules, a miner that reads too slowly, or a message out of place. */
export type CloseCause = "rules" | "slow-consumer" | "protocol";

/** What a {@link MiningShell} works with. */
export interface MiningShellOptions<Input, Effect> {
  readonly core: MiningCore<Input, Effect>;
  /** Performs an effect of the role's own, in its place among the others. Must not throw. */
  readonly perform: (effect: Effect) => void;
  /** Asked before each message of a miner: resolves when the role has room for what may follow. Absent: always. */
  readonly room?: () => Promise<void>;
  /** Called for each connection that this side ends, before it is ended; the drain's are not counted. */
  readonly onClose: (cause: CloseCause) => void;
  readonly outbound: OutboundLimits;
  /** A miner that takes nothing from its socket for this long, in milliseconds, is closed. */
  readonly stalledWriteMs: number;
  /** The core's `ackIntervalMs`. */
  readonly ackIntervalMs: number;
  /** Extensions the listener may grant. */
  readonly extensions: readonly number[];
  readonly log: RoleContext["log"];
}

const encoder = dialect("mining");
/** The drain of a connection that does not read ends after this. */
const DRAIN_MS = 3_000;

/**
 * The shell around a mining core: feeds it what miners and the rest of the role say, one input at a time, and performs
 * its effects in order. Nothing here waits for a miner but that miner's own loops.
 */
export class MiningShell<Input, Effect extends { readonly type: string }> {
  readonly #options: MiningShellOptions<Input, Effect>;
  readonly #clock = steadyClock();
  readonly #miners = new Map<number, MinerConnection>();
  readonly #writing = new Set<Promise<void>>();
  readonly #downstreams: Downstreams<"mining">;
  #draining = false;

  constructor(options: MiningShellOptions<Input, Effect>) {
    this.#options = options;
    this.#downstreams = new Downstreams("mining", options.log);
  }

  /** Serves one miner until its connection ends. The caller owns the connection. */
  async serve(connection: Sv2Connection<"mining">): Promise<void> {
    if (this.#draining) return;
    const miner = new MinerConnection(connection, this.#options.outbound);
    this.#miners.set(miner.id, miner);
    const leave = this.#downstreams.enter((frame) => miner.notify(frame));
    const writing = miner.write();
    this.#writing.add(writing);
    try {
      await this.#read(connection, miner);
    } finally {
      this.#handle({ type: "disconnected", connection: miner.id });
      miner.end();
      await writing;
      this.#writing.delete(writing);
      this.#miners.delete(miner.id);
      leave();
    }
  }

  /** Gives the core an input of the role's and performs what follows. */
  handle(input: Input): void {
    this.#handle(input);
  }

  /** Once a second. */
  tick(): void {
    this.#handle({ type: "tick" });
    const { stalledWriteMs } = this.#options;
    for (const miner of this.#miners.values()) {
      if (miner.writingSince === undefined || performance.now() - miner.writingSince < stalledWriteMs) continue;
      this.#drop(miner, "slow-consumer", "takes nothing from its socket");
    }
  }

  /**
   * Asks the miners to connect elsewhere (spec 3.6.5), if there is an elsewhere, and serves them until they have gone there
   * or their time is up. Then stops reading, waits until the role has `settled` every share that came, acknowledges all of
   * them, asks whoever is still there to connect again (an empty host means this one) and closes.
   */
  async drain(settled: () => Promise<void>, elsewhere?: ReconnectTarget): Promise<void> {
    const farewell = encoder.encode({ name: "Reconnect", newHost: "", newPort: 0, ...elsewhere });
    if (elsewhere !== undefined) await this.#downstreams.sendAway(elsewhere);
    this.#draining = true;
    await settled();
    // The longest wait for an acknowledgement is over now, whatever the clock says.
    this.#handle({ type: "tick" }, this.#clock() + this.#options.ackIntervalMs);
    for (const miner of this.#miners.values()) miner.end(farewell);
    const late = setTimeout(() => {
      for (const miner of this.#miners.values()) miner.abort("closed", "did not read its last messages in time");
    }, DRAIN_MS);
    await Promise.allSettled(this.#writing);
    clearTimeout(late);
  }

  #handle(input: Parameters<MiningCore<Input, Effect>["handle"]>[0], now = this.#clock()): void {
    const { core, perform } = this.#options;
    for (const effect of core.handle(input, now)) {
      if (isMinerEffect(effect)) this.#perform(effect);
      else perform(effect);
    }
  }

  async #read(connection: Sv2Connection<"mining">, miner: MinerConnection): Promise<void> {
    const { room, log } = this.#options;
    // Worker names reach this far only when 0x0002 was negotiated, which happens after this moment.
    const extensions = new Set(this.#options.extensions);
    this.#handle({ type: "connected", connection: miner.id, flags: connection.setup.flags, extensions });
    for await (const { message, tlvs } of connection.messages) {
      log.debug({ connection: miner.id, message: message.name }, "message received");
      await room?.();
      if (miner.isClosing) return;
      // What comes in during the drain is not looked at; the miner sends it again when it is back.
      if (!this.#draining) this.#onMessage(miner, { message, tlvs });
    }
  }

  #onMessage(miner: MinerConnection, { message, tlvs }: Received<"mining">): void {
    if (!isMining(message)) {
      this.#drop(miner, "protocol", `sent ${message.name}`);
      return;
    }
    this.#handle({ type: "message", connection: miner.id, message, worker: readWorkerIdentity(tlvs) });
    if (message.name === "CloseChannel") miner.forget(message.channelId);
  }

  #perform(effect: MinerEffect): void {
    switch (effect.type) {
      case "send":
        return this.#send(effect.to, effect.message);
      case "close-connection":
        return this.#close(effect.connection, effect.reason);
      case "log":
        return this.#log(effect);
      default:
        return effect satisfies never;
    }
  }

  /** Text in a field may be a miner's or an upstream's. */
  #log({ level, event, fields }: Extract<MinerEffect, { readonly type: "log" }>): void {
    const { log } = this.#options;
    if (log.isLevelEnabled(level)) log[level](peerFields(fields), event.replaceAll("-", " "));
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

  #close(connection: number, reason: string): void {
    const { onClose, log } = this.#options;
    onClose("rules");
    log.info({ connection, reason }, "miner closed");
    this.#miners.get(connection)?.end();
  }

  #drop(miner: MinerConnection, cause: "slow-consumer" | "protocol", reason: string): void {
    const { onClose, log } = this.#options;
    onClose(cause);
    log.info({ connection: miner.id, cause, reason }, "miner dropped");
    miner.abort(cause === "protocol" ? "protocol-violation" : cause, reason);
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
