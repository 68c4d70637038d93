import type { ByteStream } from "../byte-stream.ts";
import { GRACE_MS, within } from "../deadline.ts";
import { NetworkError } from "../errors.ts";
import { type ConnectionInfo, type FrameConnection, nextConnectionId } from "../frame-connection.ts";
import { type FrameReaderOptions, StreamFrameReader } from "../frame-reader.ts";
import { DualReader } from "./dual-reader.ts";
import { DualWriter } from "./dual-writer.ts";

/** One of the two streams, with the cipher of its own. */
export interface DualStream extends FrameReaderOptions {
  readonly stream: ByteStream;
}

/** What a dual connection is made of. */
export interface DualStreams {
  readonly control: DualStream;
  readonly data: DualStream;
}

/**
 * Frames over two streams of one connection, in the order of docs/dual-stream.md: to whoever reads and writes it, a connection
 * as any other. Takes both streams over.
 */
export class DualFrameConnection implements FrameConnection {
  readonly peer: string;
  readonly reader: DualReader;
  readonly writer: DualWriter;
  readonly #streams: DualStreams;
  readonly #readers: { readonly control: StreamFrameReader; readonly data: StreamFrameReader };
  readonly #id = nextConnectionId();
  #closing: Promise<void> | undefined;

  private constructor(streams: DualStreams) {
    const { control, data } = streams;
    this.peer = control.stream.peer;
    this.#streams = streams;
    this.#readers = {
      control: new StreamFrameReader(control.stream, control),
      data: new StreamFrameReader(data.stream, data),
    };
    this.reader = new DualReader(this.#readers, { peer: this.peer, abort: (reason) => this.abort(reason) });
    this.writer = new DualWriter(streams);
  }

  /** The side that opened the data stream: says hello on it, which is what lets the peer see it. */
  static async dial(streams: DualStreams): Promise<DualFrameConnection> {
    const connection = new DualFrameConnection(streams);
    await connection.writer.hello();
    return connection;
  }

  /**
   * The side that accepted it. Rejects with `protocol-violation` when the data stream does not begin with a hello, sealed by
   * the very handshake of the control stream where there was one: so nobody can attach the stream of another session.
   */
  static async accept(streams: DualStreams): Promise<DualFrameConnection> {
    const connection = new DualFrameConnection(streams);
    await connection.reader.hello();
    return connection;
  }

  info(): ConnectionInfo {
    const { control, data } = this.#streams;
    const [ours, second] = [control.stream.info(), data.stream.info()];
    const waits = [this.#readers.control.awaitingSince, this.#readers.data.awaitingSince].filter((at) => at !== null);
    return {
      ...ours,
      bytesIn: ours.bytesIn + second.bytesIn,
      bytesOut: ours.bytesOut + second.bytesOut,
      framesIn: this.reader.framesIn,
      awaitingFrameSince: waits.length === 0 ? null : Math.min(...waits),
      framesOut: this.writer.framesOut,
      encryption: control.cipher.encryption,
      id: this.#id,
      streams: 2,
      holds: this.reader.holds,
    };
  }

  abort(reason: Error): void {
    this.#streams.control.stream.abort(reason);
    this.#streams.data.stream.abort(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { control, data } = this.#streams;
    const flushed = await within(GRACE_MS, this.writer.end()).catch(() => false);
    if (!flushed) {
      const message = `${this.peer}: closed before everything was sent; the peer reads too slowly or is gone`;
      this.abort(new NetworkError("closed", { peer: this.peer, message }));
    }
    await Promise.all([control.stream[Symbol.asyncDispose](), data.stream[Symbol.asyncDispose]()]);
  }
}
