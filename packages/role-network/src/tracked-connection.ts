import type { DialectMessage, Protocol, SetupConnection, SetupConnectionSuccess, Tlv } from "@adit/codec";
import type { ConnectionInfo, Received, Sv2Connection, Sv2Reader, Sv2Writer } from "@adit/network-helpers";
import type { MessageMeter } from "./message-meter.ts";

/**
 * A connection whose messages are counted, and that says when its owner has let go of it, so that a status document
 * lists live ones only.
 */
export class TrackedConnection<P extends Protocol> implements Sv2Connection<P> {
  readonly #inner: Sv2Connection<P>;
  readonly #meter: MessageMeter;
  readonly #onEnd: () => void;

  constructor(inner: Sv2Connection<P>, meter: MessageMeter, onEnd: () => void) {
    this.#inner = inner;
    this.#meter = meter;
    this.#onEnd = onEnd;
  }

  get id(): number {
    return this.#inner.id;
  }

  get peer(): string {
    return this.#inner.peer;
  }

  get protocol(): P {
    return this.#inner.protocol;
  }

  get setup(): SetupConnection {
    return this.#inner.setup;
  }

  get accepted(): SetupConnectionSuccess {
    return this.#inner.accepted;
  }

  get extensions(): ReadonlySet<number> {
    return this.#inner.extensions;
  }

  get messages(): AsyncIterable<Received<P>> {
    return this.#counted(this.#inner.messages);
  }

  info(): ConnectionInfo {
    return this.#inner.info();
  }

  async write(message: DialectMessage<P>, tlvs?: readonly Tlv[]): Promise<void> {
    this.#meter.message(this.protocol, message.name, "out");
    await this.#inner.write(message, tlvs);
  }

  async writeFrames(frames: readonly Uint8Array[]): Promise<void> {
    this.#meter.framesOut(frames);
    await this.#inner.writeFrames(frames);
  }

  split(): { readonly reader: Sv2Reader<P>; readonly writer: Sv2Writer<P> } {
    const { reader, writer } = this.#inner.split();
    return {
      reader: { messages: this.#counted(reader.messages), [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose]() },
      writer: {
        write: async (message, tlvs) => {
          this.#meter.message(this.protocol, message.name, "out");
          await writer.write(message, tlvs);
        },
        writeFrames: async (frames) => {
          this.#meter.framesOut(frames);
          await writer.writeFrames(frames);
        },
        [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
      },
    };
  }

  abort(reason: Error): void {
    this.#inner.abort(reason);
    this.#onEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#inner[Symbol.asyncDispose]();
    } finally {
      this.#onEnd();
    }
  }

  async *#counted(messages: AsyncIterable<Received<P>>): AsyncIterable<Received<P>> {
    for await (const received of messages) {
      this.#meter.message(this.protocol, received.message.name, "in");
      yield received;
    }
  }
}
