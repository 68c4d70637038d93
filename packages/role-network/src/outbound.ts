import { CodecError, type DialectMessage, dialect, type Protocol, type Tlv, type TlvByteOrder } from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";

/** How an {@link Outbound} sends. */
export interface OutboundOptions {
  /** Bytes that may wait. A peer that takes nothing for so long is broken off, as if it were gone. */
  readonly maxWaitingBytes: number;
  readonly tlvByteOrder: TlvByteOrder;
}

/** The sending half of a connection that the role has dialled: messages out, in order and bounded. */
export class Outbound<P extends Protocol> {
  readonly #connection: Pick<Sv2Connection<P>, "protocol" | "writeFrames" | "abort">;
  readonly #options: OutboundOptions;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;

  constructor(connection: Pick<Sv2Connection<P>, "protocol" | "writeFrames" | "abort">, options: OutboundOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Queues a message. One that fits no frame breaks the connection off, as nothing after it would make sense. */
  send(message: DialectMessage<P>, tlvs: readonly Tlv[] = []): void {
    const { maxWaitingBytes, tlvByteOrder } = this.#options;
    let frame: Uint8Array;
    try {
      frame = dialect(this.#connection.protocol).encode(message, tlvs, tlvByteOrder);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      return this.#connection.abort(error);
    }
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes > maxWaitingBytes) {
      this.#waiting = [];
      this.#connection.abort(new Error(`the peer takes no data; ${this.#waitingBytes} bytes wait for it`));
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
      // The reading side hears of it too, and ends the session.
    } finally {
      this.#writing = undefined;
    }
  }
}

/** Whether a message negotiates extensions, which is done when a connection is handed over. */
export function isNegotiation<Message extends { readonly name: string }>(
  message: Message,
): message is Extract<Message, { readonly name: `RequestExtensions${string}` }> {
  return message.name.startsWith("RequestExtensions");
}
