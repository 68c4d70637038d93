import { NetworkError } from "../errors.ts";
import { encodeRpcFrame, NO_CALL, type RpcFrame } from "./frame.ts";
import type { RpcLimits } from "./limits.ts";
import { noPayload } from "./messages.ts";

/** What either side does with its stream. */
export type LinkEffect =
  | { readonly type: "send"; readonly bytes: Uint8Array }
  /** Nothing follows it. `error` null: end gracefully, after what was sent. */
  | { readonly type: "close"; readonly error: NetworkError | null };

/** What both sides of a connection have in common: bytes on their way out, signs of life, and the end. Pure. */
export class Link {
  /** The other side, for errors. */
  readonly peer: string;
  readonly #limits: RpcLimits;
  #heardAt: number;
  #sentAt: number;
  #movedAt: number;
  #waiting = 0;
  #closed = false;

  constructor({ peer, limits, now }: { readonly peer: string; readonly limits: RpcLimits; readonly now: number }) {
    this.peer = peer;
    this.#limits = limits;
    this.#heardAt = now;
    this.#sentAt = now;
    this.#movedAt = now;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Bytes that the transport has not taken yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** When `tick` has something to do next. */
  get wakeAt(): number {
    if (this.#closed) return Number.POSITIVE_INFINITY;
    const { keepAliveMs, silenceMs, stallMs } = this.#limits;
    const own = this.#waiting > 0 ? this.#movedAt + stallMs : this.#sentAt + keepAliveMs;
    return Math.min(own, this.#heardAt + silenceMs);
  }

  /** A frame came in. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /** The transport took bytes. */
  written(bytes: number, now: number): void {
    this.#waiting -= bytes;
    this.#movedAt = now;
  }

  /** Sends a frame, or cuts the peer off when it lets too much wait. */
  send(frame: RpcFrame, now: number): LinkEffect[] {
    if (this.#closed) return [];
    if (this.#waiting > this.#limits.maxWaiting) {
      return this.fail("slow-consumer", `${this.#waiting} bytes wait for it and it does not read; it is disconnected`);
    }
    const bytes = encodeRpcFrame(frame);
    if (this.#waiting === 0) this.#movedAt = now;
    this.#waiting += bytes.length;
    this.#sentAt = now;
    return [{ type: "send", bytes }];
  }

  /** Keeps the connection alive, or finds it dead. */
  tick(now: number): LinkEffect[] {
    if (this.#closed || now < this.wakeAt) return [];
    const { silenceMs, stallMs, keepAliveMs } = this.#limits;
    if (now >= this.#heardAt + silenceMs) return this.fail("timed-out", `silent for ${silenceMs} ms; connect again`);
    if (this.#waiting > 0 && now >= this.#movedAt + stallMs) {
      return this.fail("slow-consumer", `has read nothing for ${stallMs} ms; it is disconnected`);
    }
    const isDue = this.#waiting === 0 && now >= this.#sentAt + keepAliveMs;
    return isDue ? this.send({ type: "keepAlive", id: NO_CALL, payload: noPayload }, now) : [];
  }

  /** Breaks the connection off. */
  fail(code: "slow-consumer" | "timed-out", what: string): LinkEffect[] {
    return this.close(new NetworkError(code, { peer: this.peer, message: `${this.peer}: ${what}` }));
  }

  /** Ends the connection: gracefully without an error. */
  close(error: NetworkError | null): LinkEffect[] {
    if (this.#closed) return [];
    this.#closed = true;
    return [{ type: "close", error }];
  }
}
