import type { ByteStream } from "./byte-stream.ts";
import { NetworkError } from "./errors.ts";
import type { FrameCipher } from "./frame-cipher.ts";

/** The sending half of a FrameConnection. Frames go out in the order of the calls, awaited or not. */
export interface FrameWriter {
  /**
   * Sends one frame: plaintext header and payload, not to be changed after the call. Resolves when the transport is ready
   * for more, so awaiting it is backpressure. A caller that does not await is cut off (`slow-consumer`) once more than
   * 1 MiB waits.
   */
  write(frame: Uint8Array): Promise<void>;
  /** Sends several frames with one write of the transport. */
  writeAll(frames: readonly Uint8Array[]): Promise<void>;
  /** Resolves when everything given so far has gone to the transport; later writes are refused. */
  end(): Promise<void>;
}

interface Entry {
  readonly frames: readonly Uint8Array[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const MAX_WAITING_BYTES = 1 << 20;
const MAX_BATCH_BYTES = 64 * 1024;

/** Seals in order, keeps exactly one write of the transport in flight, and merges what queued up meanwhile. */
export class CoalescingWriter implements FrameWriter {
  readonly #stream: ByteStream;
  readonly #cipher: FrameCipher;
  readonly #queue: Entry[] = [];
  #waitingBytes = 0;
  #framesOut = 0;
  #pumping: Promise<void> | undefined;
  #ended = false;
  #broken: Error | undefined;

  constructor(stream: ByteStream, cipher: FrameCipher) {
    this.#stream = stream;
    this.#cipher = cipher;
  }

  /** Frames given to the transport. */
  get framesOut(): number {
    return this.#framesOut;
  }

  write(frame: Uint8Array): Promise<void> {
    return this.writeAll([frame]);
  }

  async writeAll(frames: readonly Uint8Array[]): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#ended) throw this.#fault("closed", "this side has closed the connection");
    if (frames.length === 0) return;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      const error = this.#fault("slow-consumer", "the peer does not read; it is disconnected");
      this.#fail(error);
      throw error;
    }
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    this.#waitingBytes += bytes;
    const written = new Promise<void>((resolve, reject) => this.#queue.push({ frames, bytes, resolve, reject }));
    this.#pumping ??= this.#pump();
    await written;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#pumping;
    if (this.#broken !== undefined) throw this.#broken;
  }

  async #pump(): Promise<void> {
    // Lets the rest of the caller's turn join the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#nextBatch();
      try {
        await this.#stream.write(this.#seal(batch));
        for (const entry of batch) entry.resolve();
      } catch (error) {
        for (const entry of batch) entry.reject(this.#fail(error));
      }
      for (const entry of batch) this.#waitingBytes -= entry.bytes;
    }
    this.#pumping = undefined;
  }

  #nextBatch(): readonly Entry[] {
    let count = 0;
    for (let bytes = 0; count < this.#queue.length && bytes < MAX_BATCH_BYTES; count++) {
      bytes += this.#queue[count]?.bytes ?? 0;
    }
    return this.#queue.splice(0, count);
  }

  /** One write for the transport, each frame written to its place in it. A frame alone is not copied. */
  #seal(batch: readonly Entry[]): Uint8Array {
    const frames = batch.flatMap((entry) => entry.frames);
    this.#framesOut += frames.length;
    const [first] = frames;
    if (first !== undefined && frames.length === 1) return this.#cipher.seal(first);
    const joined = new Uint8Array(frames.reduce((sum, frame) => sum + this.#cipher.frameSize(frame.length), 0));
    let at = 0;
    for (const frame of frames) at = this.#cipher.sealInto(joined, at, frame);
    return joined;
  }

  /** A frame that could not be sealed or sent leaves the order broken: nothing can follow it. */
  #fail(cause: unknown): Error {
    const error = cause instanceof Error ? cause : this.#fault("closed", String(cause));
    this.#broken ??= error;
    this.#stream.abort(error);
    for (const entry of this.#queue.splice(0)) {
      this.#waitingBytes -= entry.bytes;
      entry.reject(error);
    }
    return error;
  }

  #fault(code: "closed" | "slow-consumer", why: string): NetworkError {
    const { peer } = this.#stream;
    return new NetworkError(code, { peer, message: `${peer}: ${why}` });
  }
}
