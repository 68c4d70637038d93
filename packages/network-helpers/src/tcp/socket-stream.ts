import type { Socket } from "node:net";
import type { ByteStream, StreamInfo } from "../byte-stream.ts";
import { GRACE_MS, within } from "../deadline.ts";
import { NetworkError } from "../errors.ts";
import { iterateOnce } from "../once.ts";
import { tcpFault } from "./fault.ts";

/** A connected socket as a ByteStream. Takes the socket over. */
export class SocketStream implements ByteStream {
  readonly peer: string;
  readonly source: AsyncIterable<Uint8Array>;
  readonly #socket: Socket;
  readonly #since = Date.now();
  #bytesIn = 0;
  #bytesOut = 0;
  #reason: Error | undefined;
  #closing: Promise<void> | undefined;
  #discarding = false;
  #wakeReader: () => void = () => undefined;
  #writers: (() => void)[] = [];

  constructor(socket: Socket, peer: string) {
    this.peer = peer;
    this.#socket = socket;
    this.source = iterateOnce("a stream's source", {
      next: () => this.#pull(),
      return: async () => ({ done: true, value: undefined }),
    });
    socket.on("error", (error) => {
      this.#reason ??= tcpFault(error, peer, "closed");
    });
    socket.on("readable", () => (this.#discarding ? this.#discard() : this.#wakeReader()));
    socket.on("end", () => this.#wakeReader());
    socket.on("drain", () => this.#wakeWriters());
    socket.on("close", () => {
      this.#wakeReader();
      this.#wakeWriters();
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    if (this.#closing !== undefined) throw this.#closed("this side has closed the stream");
    this.#bytesOut += bytes.length;
    if (bytes.length === 0 || this.#socket.write(bytes)) return;
    await new Promise<void>((resolve) => this.#writers.push(resolve));
    this.#check();
  }

  abort(reason: Error): void {
    if (this.#reason !== undefined || this.#socket.destroyed) return;
    this.#reason = reason;
    this.#socket.resetAndDestroy();
  }

  info(): StreamInfo {
    return {
      transport: "tcp",
      peer: this.peer,
      endpointId: null,
      path: null,
      rttMs: null,
      since: this.#since,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Throws when the connection is broken. */
  #check(): void {
    if (this.#reason !== undefined) throw this.#reason;
    if (this.#socket.destroyed) throw this.#closed("the connection is closed");
  }

  async #pull(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      if (this.#reason !== undefined) throw this.#reason;
      const chunk: Buffer | null = this.#discarding ? null : this.#socket.read();
      if (chunk !== null) {
        this.#bytesIn += chunk.length;
        return { done: false, value: new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length) };
      }
      if (this.#discarding || this.#socket.readableEnded) return { done: true, value: undefined };
      if (this.#socket.destroyed) throw this.#closed("the connection is closed");
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  /** Sends the end, and reads on until the peer's: closing a socket with unread bytes would reset the connection. */
  async #close(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    this.#discarding = true;
    this.#wakeReader();
    this.#socket.end();
    this.#discard();
    if (!(await within(GRACE_MS, closed))) this.abort(this.#closed("the peer did not finish in time"));
  }

  #discard(): void {
    while (this.#socket.read() !== null);
  }

  #wakeWriters(): void {
    for (const wake of this.#writers.splice(0)) wake();
  }

  #closed(why: string): NetworkError {
    return new NetworkError("closed", { peer: this.peer, message: `${this.peer}: ${why}` });
  }
}
