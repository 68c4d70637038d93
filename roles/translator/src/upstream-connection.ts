import { type DialectMessage, dialect, type MiningMessage, type TlvByteOrder, workerIdentityTlv } from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";

/** Bytes that may wait for an upstream: some ten thousand shares. */
const MAX_WAITING_BYTES = 1024 * 1024;

type MiningConnection = Pick<Sv2Connection<"mining">, "messages" | "writeFrames" | "abort">;

/** The shell of one upstream connection: messages out, in order and bounded. */
export class UpstreamConnection {
  readonly #connection: MiningConnection;
  readonly #tlvByteOrder: TlvByteOrder;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;

  constructor(connection: MiningConnection, tlvByteOrder: TlvByteOrder) {
    this.#connection = connection;
    this.#tlvByteOrder = tlvByteOrder;
  }

  /** Queues a message. An upstream that takes nothing for a long time is broken off, as if it were gone. */
  send(message: MiningMessage, worker: string | undefined): void {
    const frame = mining.encode(message, worker === undefined ? [] : [workerIdentityTlv(worker)], this.#tlvByteOrder);
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#waiting = [];
      this.#connection.abort(new Error(`the upstream takes no data; ${this.#waitingBytes} bytes wait for it`));
      return;
    }
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when all that was sent is with the transport, or lost. */
  async flushed(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const frames = this.#waiting;
        this.#waiting = [];
        this.#waitingBytes = 0;
        await this.#connection.writeFrames(frames);
      }
    } catch {
      // The reading side hears of it too, and ends the connection.
    } finally {
      this.#writing = undefined;
    }
  }
}

const mining = dialect("mining");

/** Messages that are the core's business; extension negotiation is done when a connection is handed over. */
export function isForCore(
  message: DialectMessage<"mining">,
): message is Exclude<DialectMessage<"mining">, { name: `RequestExtensions${string}` }> {
  return !message.name.startsWith("RequestExtensions");
}
