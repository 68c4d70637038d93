import type { ByteStream, StreamInfo } from "./byte-stream.ts";
import { GRACE_MS, within } from "./deadline.ts";
import { NetworkError } from "./errors.ts";
import { type FrameReader, type FrameReaderOptions, StreamFrameReader } from "./frame-reader.ts";
import { CoalescingWriter, type FrameWriter } from "./frame-writer.ts";

/** What a connection knows about itself (requirement A13). */
export interface ConnectionInfo extends StreamInfo {
  /** Frames that were read. */
  readonly framesIn: number;
  /** Since when, on `performance.now()`, the payload of a frame is waited for; null between frames. */
  readonly awaitingFrameSince: number | null;
  /** Frames that were given to the transport. */
  readonly framesOut: number;
  /** Whether the frames are sealed by Noise. */
  readonly encryption: "noise" | "plain";
  /** Number of the connection, unique within this process. */
  readonly id: number;
  /** Streams of the transport it uses. */
  readonly streams: 1 | 2;
  /** What one of two streams had to hold back for the other; nothing on one stream. */
  readonly holds: Holds;
}

/** Frames that waited for frames of the other stream (docs/dual-stream.md). */
export interface Holds {
  /** Frames held back now: none or one, as what is behind a held frame is not read. */
  readonly now: number;
  /** Frames that were held back so far. */
  readonly total: number;
  /** The longest hold that has ended, in milliseconds. */
  readonly longestMs: number;
}

/**
 * Frames over a ByteStream, sealed or plain. Disposing it is graceful: what was written is sent, the stream ends, and
 * after two seconds at the latest everything is broken off.
 */
export interface FrameConnection extends AsyncDisposable {
  /** The other side, for logs. */
  readonly peer: string;
  /** Metadata and counters as of now. */
  info(): ConnectionInfo;
  /** The receiving half. */
  readonly reader: FrameReader;
  /** The sending half. */
  readonly writer: FrameWriter;
  /** Breaks both directions now; pending reads and writes reject with `reason`. */
  abort(reason: Error): void;
}

const NO_HOLDS: Holds = { now: 0, total: 0, longestMs: 0 };
let lastId = 0;

/** A number for a new connection, of any protocol: in a process no two have the same. */
export function nextConnectionId(): number {
  return ++lastId;
}

/** The FrameConnection over one stream; takes the stream over. */
export class StreamFrameConnection implements FrameConnection {
  readonly peer: string;
  readonly reader: StreamFrameReader;
  readonly writer: CoalescingWriter;
  readonly #stream: ByteStream;
  readonly #encryption: "noise" | "plain";
  readonly #id = nextConnectionId();
  #closing: Promise<void> | undefined;

  constructor(stream: ByteStream, options: FrameReaderOptions) {
    this.peer = stream.peer;
    this.#stream = stream;
    this.#encryption = options.cipher.encryption;
    this.reader = new StreamFrameReader(stream, options);
    this.writer = new CoalescingWriter(stream, options.cipher);
  }

  info(): ConnectionInfo {
    return {
      ...this.#stream.info(),
      framesIn: this.reader.framesIn,
      awaitingFrameSince: this.reader.awaitingSince,
      framesOut: this.writer.framesOut,
      encryption: this.#encryption,
      id: this.#id,
      streams: 1,
      holds: NO_HOLDS,
    };
  }

  abort(reason: Error): void {
    this.#stream.abort(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const flushed = await within(GRACE_MS, this.writer.end()).catch(() => false);
    if (!flushed) {
      const message = `${this.peer}: closed before everything was sent; the peer reads too slowly or is gone`;
      this.#stream.abort(new NetworkError("closed", { peer: this.peer, message }));
    }
    await this.#stream[Symbol.asyncDispose]();
  }
}
