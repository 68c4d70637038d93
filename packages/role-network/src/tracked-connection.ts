import type { DialectMessage, Protocol, SetupConnection, SetupConnectionSuccess, Tlv } from "@adit/codec";
import type { ConnectionInfo, Received, Sv2Connection, Sv2Reader, Sv2Writer } from "@adit/network-helpers";

/** A connection that says when its owner has let go of it, so that a status document lists live ones only. */
export class TrackedConnection<P extends Protocol> implements Sv2Connection<P> {
  readonly #inner: Sv2Connection<P>;
  readonly #onEnd: () => void;

  constructor(inner: Sv2Connection<P>, onEnd: () => void) {
    this.#inner = inner;
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
    return this.#inner.messages;
  }

  info(): ConnectionInfo {
    return this.#inner.info();
  }

  async write(message: DialectMessage<P>, tlvs?: readonly Tlv[]): Promise<void> {
    await this.#inner.write(message, tlvs);
  }

  async writeFrames(frames: readonly Uint8Array[]): Promise<void> {
    await this.#inner.writeFrames(frames);
  }

  split(): { readonly reader: Sv2Reader<P>; readonly writer: Sv2Writer<P> } {
    return this.#inner.split();
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
}
