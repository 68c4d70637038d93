import type { ByteStream, StreamInfo } from "@adit/network-helpers";

/** A stream that keeps what goes over it, in both directions and as it goes over the wire: what an eavesdropper has. */
export class RecordingStream implements ByteStream {
  readonly sent: Uint8Array[] = [];
  readonly received: Uint8Array[] = [];
  readonly source: AsyncIterable<Uint8Array>;
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    this.source = this.#listen();
  }

  get peer(): string {
    return this.#stream.peer;
  }

  info(): StreamInfo {
    return this.#stream.info();
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.sent.push(bytes.slice());
    await this.#stream.write(bytes);
  }

  abort(reason: Error): void {
    this.#stream.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }

  async *#listen(): AsyncIterable<Uint8Array> {
    for await (const chunk of this.#stream.source) {
      this.received.push(chunk.slice());
      yield chunk;
    }
  }
}
