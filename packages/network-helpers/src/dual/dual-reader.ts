import type { Frame } from "@adit/codec";
import { NetworkError, type NetworkErrorCode } from "../errors.ts";
import type { Holds } from "../frame-connection.ts";
import type { FrameReader, StreamFrameReader } from "../frame-reader.ts";
import { iterateOnce } from "../once.ts";
import type { StreamName } from "./message-order.ts";
import { readOrderFrame } from "./order-frames.ts";
import { ReceiveOrder } from "./receive-order.ts";

/** Longest time in which nothing arrives while a frame is held back: longer than any change of QUIC's path. */
const HOLD_LIMIT_MS = 30_000;

/** What the reader needs of its connection. */
interface Owner {
  readonly peer: string;
  abort(reason: Error): void;
}

/** Merges the frames of two streams in the guaranteed order. A stream is read only while no frame of it waits here. */
export class DualReader implements FrameReader {
  readonly frames: AsyncIterable<Frame>;
  readonly #readers: Readonly<Record<StreamName, StreamFrameReader>>;
  readonly #sources: Readonly<Record<StreamName, AsyncIterator<Frame, undefined>>>;
  readonly #owner: Owner;
  readonly #order = new ReceiveOrder<Frame>();
  readonly #reading = new Set<StreamName>();
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(readers: Readonly<Record<StreamName, StreamFrameReader>>, owner: Owner) {
    this.#readers = readers;
    this.#owner = owner;
    this.#sources = {
      control: readers.control.frames[Symbol.asyncIterator](),
      data: readers.data.frames[Symbol.asyncIterator](),
    };
    this.frames = iterateOnce("a connection's frames", {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    });
  }

  /** Frames handed out, the order's own not counted. */
  get framesIn(): number {
    return this.#order.delivered;
  }

  /** What was and is held back. */
  get holds(): Holds {
    return this.#order.holds;
  }

  setMaxPayload(bytes: number): void {
    this.#readers.control.setMaxPayload(bytes);
    this.#readers.data.setMaxPayload(bytes);
  }

  /** Takes the first frame of an accepted data stream. Rejects when it is none of ours. */
  async hello(): Promise<void> {
    const first = await this.#sources.data.next();
    const said = first.done === true ? null : readOrderFrame(first.value);
    if (said === null || said === "nonsense" || said.kind !== "hello") {
      throw this.#fault("protocol-violation", "its second stream does not begin as one; the peer is disconnected");
    }
  }

  async #next(): Promise<IteratorResult<Frame, undefined>> {
    for (;;) {
      this.#readOn();
      const turn = this.#order.next(performance.now());
      if (turn.kind === "frame") return { done: false, value: turn.frame };
      if (turn.kind === "end") return { done: true, value: undefined };
      if (turn.kind === "stuck") throw this.#violation("a frame waits for one that cannot come any more");
      if (this.#failure !== undefined) throw this.#failure;
      await this.#arrival();
    }
  }

  /** Reads what is wanted. Payloads are views, so a stream is read on only once its last frame is given back. */
  #readOn(): void {
    for (const stream of ["control", "data"] as const) {
      if (this.#failure !== undefined || this.#reading.has(stream) || !this.#order.wants(stream)) continue;
      if (this.#takeArrived(stream)) continue;
      this.#reading.add(stream);
      void this.#read(stream);
    }
  }

  /** Takes a frame whose bytes are here already, as most are when a peer sends many; whether there is nothing to wait for. */
  #takeArrived(stream: StreamName): boolean {
    const reader = this.#readers[stream];
    try {
      for (let frame = reader.takeArrived(); frame !== undefined; frame = reader.takeArrived()) {
        if (this.#sort(stream, frame)) return true;
      }
      return false;
    } catch (cause) {
      this.#fail(cause);
      return true;
    }
  }

  /** Reads one frame, or the end. Never rejects. */
  async #read(stream: StreamName): Promise<void> {
    try {
      for (let over = false; !over; ) {
        const next = await this.#sources[stream].next();
        if (next.done === true) this.#order.end(stream);
        over = next.done === true || this.#sort(stream, next.value);
      }
    } catch (cause) {
      this.#fail(cause);
    }
    this.#reading.delete(stream);
    this.#wake();
  }

  /** Takes a frame to where it belongs; false when it was an order, which another must follow. */
  #sort(stream: StreamName, frame: Frame): boolean {
    const said = readOrderFrame(frame);
    if (said === null) {
      this.#order.arrive(stream, frame);
      return true;
    }
    if (said === "nonsense" || said.kind === "hello") throw this.#violation("a frame of the order that says nothing");
    if (!this.#order.order(stream, said.after)) throw this.#violation("an order of frames that makes no sense");
    return false;
  }

  #fail(cause: unknown): void {
    this.#failure ??= cause instanceof Error ? cause : new Error(String(cause));
    this.#owner.abort(this.#failure);
  }

  /** Waits for a read to settle. A race of the two reads would add to the one that stays pending each time. */
  async #arrival(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#order.heldSince === null) return;
      timer = setTimeout(() => {
        this.#failure ??= this.#fault("timed-out", "frames wait for others that do not come; dial again");
        this.#owner.abort(this.#failure);
        resolve();
      }, HOLD_LIMIT_MS);
    });
    clearTimeout(timer);
  }

  #violation(what: string): NetworkError {
    const error = this.#fault("protocol-violation", `${what}; the peer is disconnected`);
    this.#owner.abort(error);
    return error;
  }

  #fault(code: NetworkErrorCode, what: string): NetworkError {
    return new NetworkError(code, { peer: this.#owner.peer, message: `${this.#owner.peer}: ${what}` });
  }
}
