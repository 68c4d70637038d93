import { type OutboundLimits, OutboundQueue } from "@adit/channels";
import type { MiningMessage } from "@adit/codec";
import { NetworkError, type NetworkErrorCode, type Sv2Connection } from "@adit/network-helpers";

/** Bytes handed to the transport at once: enough to fill packets, few enough that newer work overtakes older. */
const WRITE_BYTES = 16 * 1024;

/** The sending half of one miner's connection: a conflating queue and the one loop that empties it. */
export class MinerConnection {
  /** Names the connection towards the mining core. */
  readonly id: number;
  readonly #connection: Sv2Connection<"mining">;
  readonly #queue: OutboundQueue;
  /** Frames that go out before what is queued. */
  #notices: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #ending: { readonly farewell: Uint8Array | undefined } | undefined;
  #writingSince: number | undefined;
  #aborted = false;

  /** The connection stays its opener's; this only ends it. */
  constructor(connection: Sv2Connection<"mining">, limits: OutboundLimits) {
    this.id = connection.id;
    this.#connection = connection;
    this.#queue = new OutboundQueue(limits);
  }

  /** Whether it was ended or aborted from this side. */
  get isClosing(): boolean {
    return this.#aborted || this.#ending !== undefined;
  }

  /** Since when, on `performance.now()`, the transport has not taken what it was given; undefined when it has. */
  get writingSince(): number | undefined {
    return this.#writingSince;
  }

  /** Queues a message. "overflow" when this miner is too slow to be served; the caller aborts it. */
  push(message: MiningMessage, frame: Uint8Array): "queued" | "overflow" {
    if (this.isClosing) return "queued";
    const outcome = this.#queue.push(message, frame);
    this.#wake?.();
    return outcome;
  }

  /** Sends a frame ahead of what is queued. */
  notify(frame: Uint8Array): void {
    if (this.isClosing) return;
    this.#notices.push(frame);
    this.#wake?.();
  }

  /** Drops what waits for a channel that the miner has closed. */
  forget(channelId: number): void {
    this.#queue.forget(channelId);
  }

  /** Ends the connection once all that waits, and then `farewell`, is written. */
  end(farewell?: Uint8Array): void {
    this.#ending ??= { farewell };
    this.#wake?.();
  }

  /** Breaks the connection now. */
  abort(code: NetworkErrorCode, reason: string): void {
    this.#aborted = true;
    const { peer } = this.#connection;
    this.#connection.abort(new NetworkError(code, { peer, message: `${peer}: ${reason}` }));
    this.#wake?.();
  }

  /** Writes what is queued until {@link end} or a fault; then the connection is closed. Never rejects. */
  async write(): Promise<void> {
    try {
      while (!this.#aborted) {
        const frames = this.#notices.length > 0 ? this.#notices.splice(0) : this.#queue.take(WRITE_BYTES);
        if (frames.length > 0) await this.#writeOut(frames);
        else if (this.#ending === undefined) await this.#awaken();
        else break;
      }
      const farewell = this.#ending?.farewell;
      if (farewell !== undefined && !this.#aborted) await this.#writeOut([farewell]);
      await this.#connection[Symbol.asyncDispose]();
    } catch (error) {
      this.#aborted = true;
      this.#connection.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #writeOut(frames: readonly Uint8Array[]): Promise<void> {
    this.#writingSince = performance.now();
    await this.#connection.writeFrames(frames);
    this.#writingSince = undefined;
  }

  async #awaken(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
