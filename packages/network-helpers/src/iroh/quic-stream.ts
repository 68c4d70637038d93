import { NetworkError } from "../errors.ts";
import { iterateOnce } from "../once.ts";
import type { Iroh, NativeBiStream, NativeRecvStream, NativeSendStream } from "./binding.ts";
import { irohError } from "./fault.ts";
import { SendQueue } from "./send-queue.ts";

/** Bytes a stream moves and waits for; the native call costs 40 to 100 ns a byte on the main thread, so calls stay short. */
const READ_SIZE = 4_096;
const WRITE_SIZE = 8_192;
/** Queued bytes above which `write` waits, and at which it goes on. */
const HIGH_WATER = 256 * 1024;
const LOW_WATER = HIGH_WATER / 2;
/** Queued bytes at which a caller that does not await `write` loses the connection. */
const HARD_CAP = 4 * 1024 * 1024;

/** What a stream needs of the connection it belongs to. */
export interface QuicConnection {
  readonly iroh: Iroh;
  readonly peer: string;
  /** Whether the connection is closed, by whichever side. */
  readonly closed: boolean;
  /** Why this side broke it; undefined when it did not. */
  readonly abortReason: Error | undefined;
  /** Breaks the connection. */
  abort(reason: Error): void;
}

interface Waiter {
  resolve(): void;
  reject(reason: Error): void;
}

/** One bidirectional QUIC stream: bytes in and out, in order. The connection around it is somebody else's. */
export class QuicStream {
  readonly source: AsyncIterable<Uint8Array>;
  readonly #connection: QuicConnection;
  readonly #send: NativeSendStream;
  readonly #receive: NativeRecvStream;
  readonly #queue = new SendQueue(WRITE_SIZE);
  #waiters: Waiter[] = [];
  #flushing: Promise<void> | undefined;
  #writeStartedAt: number | undefined;
  #writeFault: NetworkError | undefined;
  #lastPull: Promise<unknown> = Promise.resolve();
  #readOutcome: "open" | "ended" | Error = "open";
  #ending: Promise<void> | undefined;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(connection: QuicConnection, bi: NativeBiStream) {
    this.#connection = connection;
    this.#send = bi.send;
    this.#receive = bi.recv;
    this.source = iterateOnce("a stream's source", {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    });
  }

  /** Bytes that came out of `source`. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  /** Bytes given to `write`. */
  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Since when, on `performance.now()`, the peer has taken nothing of a write under way; undefined between writes. */
  get writeStartedAt(): number | undefined {
    return this.#writeStartedAt;
  }

  /** As {@link ByteStream.write}. */
  async write(bytes: Uint8Array): Promise<void> {
    const { abortReason, peer } = this.#connection;
    const fault = abortReason ?? this.#writeFault ?? (this.#ending && endedHere(peer));
    if (fault !== undefined) throw fault;
    if (this.#queue.bytes > HARD_CAP) {
      const message = `${peer}: ${this.#queue.bytes} bytes wait to be sent; the peer or its link is too slow, and writes must be awaited`;
      const reason = new NetworkError("slow-consumer", { peer, message });
      this.#connection.abort(reason);
      throw reason;
    }
    this.#queue.push(bytes);
    this.#bytesOut += bytes.length;
    this.#flushing ??= this.#flush();
    if (this.#queue.bytes <= HIGH_WATER) return;
    await new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Takes no more writes and ends the sending half; resolves when the peer has acknowledged all of it, or cannot any more. */
  end(): Promise<void> {
    this.#ending ??= this.#finish().catch(() => undefined);
    return this.#ending;
  }

  /** Reading goes on: what the peer sent before it closed is still there. */
  failWrites(fault: NetworkError): void {
    this.#writeFault ??= fault;
    this.#queue.clear();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#connection.abortReason ?? fault);
  }

  async #finish(): Promise<void> {
    // One turn, so that `#ending` is set and no write joins the queue behind the last flush.
    await Promise.resolve();
    await this.#flushing;
    if (this.#writeFault !== undefined) return;
    await this.#send.finish();
    await this.#send.stopped();
  }

  /** Concurrent native writes are reordered, so one is in flight and the rest is merged behind it. Never rejects. */
  async #flush(): Promise<void> {
    // What the caller writes in this turn travels together.
    await Promise.resolve();
    try {
      while (this.#queue.bytes > 0 && !this.#connection.closed) {
        this.#writeStartedAt = performance.now();
        await this.#send.writeAll(this.#connection.iroh.toNative(this.#queue.take()));
        if (this.#queue.bytes <= LOW_WATER) this.#wake();
      }
    } catch (error) {
      this.failWrites(irohError(error, this.#connection.peer));
    }
    this.#writeStartedAt = undefined;
    this.#flushing = undefined;
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** An abandoned native read eats the next bytes, so pulls wait for each other. */
  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const pull = this.#lastPull.then(() => this.#pull());
    this.#lastPull = pull.catch(() => undefined);
    return pull;
  }

  async #pull(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#readOutcome === "open" && !this.#connection.closed) {
      const chunk = await this.#read();
      if (chunk !== undefined) return { done: false, value: chunk };
    }
    const { abortReason } = this.#connection;
    if (abortReason !== undefined) throw abortReason;
    if (this.#readOutcome instanceof Error && this.#ending === undefined) throw this.#readOutcome;
    return { done: true, value: undefined };
  }

  /** The first outcome stays: after a reset, a second native read would look like a clean end. */
  async #read(): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#receive.read(READ_SIZE);
      if (bytes.length === 0) this.#readOutcome = "ended";
      if (bytes.length === 0 || this.#connection.closed || this.#ending !== undefined) return undefined;
      this.#bytesIn += bytes.length;
      return this.#connection.iroh.fromNative(bytes);
    } catch (error) {
      this.#readOutcome = irohError(error, this.#connection.peer);
      return undefined;
    }
  }
}

/** The error of a write after this side has ended the stream. */
export function endedHere(peer: string): NetworkError {
  const message = `${peer}: this side has ended the stream; dial again if it is still wanted`;
  return new NetworkError("closed", { peer, message });
}
