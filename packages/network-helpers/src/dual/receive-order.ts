import type { Holds } from "../frame-connection.ts";
import { otherStream, type StreamName } from "./message-order.ts";

/** What the receiver does next. */
export type Turn<F> =
  /** Hands this frame out. */
  | { readonly kind: "frame"; readonly frame: F }
  /** Reads on: whatever may be handed out next has not arrived. */
  | { readonly kind: "wait" }
  /** Nothing: both streams have ended, and every frame was handed out. */
  | { readonly kind: "end" }
  /** Breaks the connection off: a frame waits for one that will never come, which no honest sender does. */
  | { readonly kind: "stuck" };

interface Head<F> {
  readonly frame: F;
  /** When it was found to wait for frames that have not arrived; null while it has not. */
  heldSince: number | null;
}

/**
 * The receiver's half of the order. Pure: time is an argument. It keeps at most one frame a stream, the one read last and
 * not handed out, and asks for no more of that stream while it is there: the bound is backpressure.
 *
 * No hold lasts for ever: among the frames not handed out, the one sent first waits for nothing, since frames wait for
 * frames sent before them only. It is the next of its stream. So if it has arrived it can be handed out, and if not, its
 * stream has no frame waiting here and is being read.
 */
export class ReceiveOrder<F> {
  readonly #heads: Record<StreamName, Head<F> | undefined> = { control: undefined, data: undefined };
  readonly #after: Record<StreamName, number> = { control: 0, data: 0 };
  /** Whether the last thing on the stream was an order, which a frame must follow. */
  readonly #announced: Record<StreamName, boolean> = { control: false, data: false };
  readonly #delivered: Record<StreamName, number> = { control: 0, data: 0 };
  readonly #ended: Record<StreamName, boolean> = { control: false, data: false };
  #held = 0;
  #longestMs = 0;

  /** Whether the stream is to be read: it has not ended, and no frame of it waits here. */
  wants(stream: StreamName): boolean {
    return !this.#ended[stream] && this.#heads[stream] === undefined;
  }

  /** Takes an order off a stream: what follows on it comes after `after` frames of the other. False when that is nonsense. */
  order(stream: StreamName, after: number): boolean {
    if (this.#announced[stream] || after <= this.#after[stream]) return false;
    this.#announced[stream] = true;
    this.#after[stream] = after;
    return true;
  }

  /** Takes a frame off a stream that {@link wants} one. */
  arrive(stream: StreamName, frame: F): void {
    if (!this.wants(stream)) throw new RangeError(`the ${stream} stream was not to be read`);
    this.#announced[stream] = false;
    this.#heads[stream] = { frame, heldSince: null };
  }

  /** Takes the end of a stream. */
  end(stream: StreamName): void {
    this.#ended[stream] = true;
  }

  /** Decides what is next, at `now` in milliseconds. Of two frames that may both go, the control stream's goes first. */
  next(now: number): Turn<F> {
    for (const stream of ["control", "data"] as const) {
      const head = this.#heads[stream];
      if (head === undefined || this.#waits(stream)) continue;
      this.#heads[stream] = undefined;
      this.#delivered[stream] += 1;
      if (head.heldSince !== null) this.#longestMs = Math.max(this.#longestMs, now - head.heldSince);
      return { kind: "frame", frame: head.frame };
    }
    if (this.#isStuck("control") || this.#isStuck("data")) return { kind: "stuck" };
    if (this.#ended.control && this.#ended.data) return { kind: "end" };
    this.#hold(now);
    return { kind: "wait" };
  }

  /** Since when a frame is held back; null when none is. */
  get heldSince(): number | null {
    return this.#heads.control?.heldSince ?? this.#heads.data?.heldSince ?? null;
  }

  /** Frames handed out. */
  get delivered(): number {
    return this.#delivered.control + this.#delivered.data;
  }

  /** What was and is held back. */
  get holds(): Holds {
    return { now: this.heldSince === null ? 0 : 1, total: this.#held, longestMs: this.#longestMs };
  }

  #waits(stream: StreamName): boolean {
    return this.#after[stream] > this.#delivered[otherStream[stream]];
  }

  /** A frame waits, and of the other stream nothing can come: it has ended, or its own next frame waits for this one. */
  #isStuck(stream: StreamName): boolean {
    return this.#heads[stream] !== undefined && this.#waits(stream) && !this.wants(otherStream[stream]);
  }

  #hold(now: number): void {
    const head = this.#heads.control ?? this.#heads.data;
    if (head === undefined || head.heldSince !== null) return;
    head.heldSince = now;
    this.#held += 1;
  }
}
