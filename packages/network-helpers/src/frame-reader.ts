import { decodeHeader, type Frame, type FrameHeader } from "@adit/codec";
import type { ByteStream } from "./byte-stream.ts";
import { NetworkError } from "./errors.ts";
import type { FrameCipher } from "./frame-cipher.ts";
import type { Inbox } from "./inbox.ts";
import { iterateOnce } from "./once.ts";

/** The receiving half of a FrameConnection. */
export interface FrameReader {
  /**
   * One frame a pull, so reading slowly is backpressure. Ends when the peer ends between frames; throws a NetworkError
   * otherwise, and the connection is broken then. Payloads are views: copy what outlives the next pull. Iterate once.
   */
  readonly frames: AsyncIterable<Frame>;
  /** Sets the longest payload that is accepted from the next frame on, in bytes before sealing. */
  setMaxPayload(bytes: number): void;
}

/** Opens frames as their bytes arrive. A header that announces too much is refused before anything is allocated. */
export class StreamFrameReader implements FrameReader {
  readonly frames: AsyncIterable<Frame>;
  readonly #stream: ByteStream;
  readonly #inbox: Inbox;
  readonly #cipher: FrameCipher;
  readonly #hint: string;
  #maxPayload: number;
  /** Read, while the payload it announces is not here yet. */
  #header: FrameHeader | undefined;
  #framesIn = 0;
  #awaitingSince: number | null = null;

  /** `inbox` holds or pulls the stream's bytes. `hint` is added to the error when not even one frame could be read. */
  constructor(stream: ByteStream, options: FrameReaderOptions) {
    this.#stream = stream;
    this.#inbox = options.inbox;
    this.#cipher = options.cipher;
    this.#maxPayload = options.maxPayload;
    this.#hint = options.hint;
    this.frames = iterateOnce("a connection's frames", {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    });
  }

  /** Frames read. */
  get framesIn(): number {
    return this.#framesIn;
  }

  /** Since when, on `performance.now()`, the payload of a frame is waited for; null between frames. */
  get awaitingSince(): number | null {
    return this.#awaitingSince;
  }

  setMaxPayload(bytes: number): void {
    this.#maxPayload = bytes;
  }

  /**
   * The next frame if all its bytes have been pulled already, undefined otherwise. Fails as a pull of `frames` does, and is not
   * to be called while one is pending.
   */
  takeArrived(): Frame | undefined {
    try {
      return this.#takeFrame();
    } catch (cause) {
      throw this.#broken(cause);
    }
  }

  async #next(): Promise<IteratorResult<Frame, undefined>> {
    try {
      const frame = this.#takeFrame() ?? (await this.#awaitFrame());
      return frame === undefined ? { done: true, value: undefined } : { done: false, value: frame };
    } catch (cause) {
      throw this.#broken(cause);
    }
  }

  #broken(cause: unknown): Error {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#stream.abort(error);
    return error;
  }

  /** The next frame once its bytes are here; undefined at the end of the stream. */
  async #awaitFrame(): Promise<Frame | undefined> {
    for (;;) {
      const header = this.#header;
      const wanted = header === undefined ? this.#cipher.headerSize : this.#cipher.payloadSize(header.length);
      if (header !== undefined) this.#awaitingSince = performance.now();
      if (!(await this.#inbox.fill(wanted))) {
        if (header === undefined && this.#inbox.length === 0) return undefined;
        throw this.#cutShort();
      }
      this.#awaitingSince = null;
      const frame = this.#takeFrame();
      if (frame !== undefined) return frame;
    }
  }

  /** The next frame if its bytes are here already, as most are when a peer sends many: without a turn of any queue. */
  #takeFrame(): Frame | undefined {
    const header = (this.#header ??= this.#takeHeader());
    if (header === undefined) return undefined;
    const { extensionType, channelMsg, messageType, length } = header;
    const size = this.#cipher.payloadSize(length);
    if (this.#inbox.length < size) return undefined;
    this.#header = undefined;
    const payload = this.#open(() => this.#cipher.openPayload(this.#inbox.take(size), length));
    this.#framesIn++;
    return { extensionType, channelMsg, messageType, payload };
  }

  #takeHeader(): FrameHeader | undefined {
    const { headerSize } = this.#cipher;
    if (this.#inbox.length < headerSize) return undefined;
    const header = decodeHeader(this.#open(() => this.#cipher.openHeader(this.#inbox.take(headerSize))));
    if (header.length <= this.#maxPayload) return header;
    const message = `a frame of ${header.length} bytes, at most ${this.#maxPayload} are allowed now; the peer is disconnected`;
    throw this.#fault("frame-too-large", message);
  }

  #open(open: () => Uint8Array): Uint8Array {
    try {
      return open();
    } catch (cause) {
      const message = "a frame could not be decrypted; it was altered on the way, or the peer is broken: reconnect";
      throw this.#fault("protocol-violation", message, cause);
    }
  }

  #cutShort(): NetworkError {
    return this.#fault("closed", "the peer ended in the middle of a frame; its log says why");
  }

  #fault(code: "closed" | "frame-too-large" | "protocol-violation", what: string, cause?: unknown): NetworkError {
    const { peer } = this.#stream;
    const hint = this.#framesIn === 0 && code !== "closed" ? this.#hint : "";
    return new NetworkError(code, { peer, message: `${peer}: ${what}${hint}`, cause });
  }
}

/** What a StreamFrameReader is made of. */
export interface FrameReaderOptions {
  readonly inbox: Inbox;
  readonly cipher: FrameCipher;
  readonly maxPayload: number;
  readonly hint: string;
}
