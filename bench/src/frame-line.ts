import { setTimeout as sleep } from "node:timers/promises";
import { HEADER_SIZE } from "@adit/codec";
import type { FrameConnection } from "@adit/network-helpers";
import { bytes } from "./samples.ts";
import { encodeFrame, MAX_FRAME_PAYLOAD, messageTypes } from "./transport-links.ts";

/** Bytes of a small frame, on the wire without encryption. */
export const SMALL = 100;
/** The same of a large one. */
export const BULK = 64 * 1024;
/** Frames that one call hands to the writer, as a pool's queue does when it has fallen behind. */
export const BATCH = 64;

/** The server's end of a {@link FrameLine}: echoes what asks for it, swallows the rest, and ends when the client does. */
export async function answer(connection: FrameConnection): Promise<void> {
  await using open = connection;
  const { reader, writer } = open;
  reader.setMaxPayload(MAX_FRAME_PAYLOAD);
  for await (const { messageType, payload } of reader.frames) {
    if (messageType === messageTypes.echo) await writer.write(encodeFrame(messageTypes.echo, payload));
  }
}

/** The client's end of one open connection, with what can be measured over it. Owns the connection. */
export class FrameLine implements AsyncDisposable {
  readonly #connection: FrameConnection;
  readonly #incoming: AsyncIterator<unknown>;

  constructor(connection: FrameConnection) {
    this.#connection = connection;
    this.#incoming = connection.reader.frames[Symbol.asyncIterator]();
  }

  /** Nanoseconds of each of so many echoes, one after the other, with a pause before each. */
  async roundTrips({ count, pauseMs }: { readonly count: number; readonly pauseMs: number }): Promise<number[]> {
    const frame = encodeFrame(messageTypes.echo, bytes(SMALL - HEADER_SIZE, 1));
    const times: number[] = [];
    for (let done = 0; done < count; done++) {
      if (pauseMs > 0) await sleep(pauseMs);
      times.push(await this.#echo(frame));
    }
    return times;
  }

  /** Nanoseconds of each of so many echoes that are asked for at a steady pace, whether the one before is back or not. */
  async pacedRoundTrips({ count, everyMs }: { readonly count: number; readonly everyMs: number }): Promise<number[]> {
    const frame = encodeFrame(messageTypes.echo, bytes(SMALL - HEADER_SIZE, 1));
    const sentAt: number[] = [];
    const sending = (async () => {
      for (let sent = 0; sent < count; sent++) {
        sentAt.push(performance.now());
        await this.#connection.writer.write(frame);
        await sleep(everyMs);
      }
    })();
    const times: number[] = [];
    for (let heard = 0; heard < count; heard++) {
      await this.#hear();
      times.push((performance.now() - (sentAt[heard] ?? Number.NaN)) * 1e6);
    }
    await sending;
    return times;
  }

  /** Small frames a second, sent as fast as the writer takes them, until the last has arrived. */
  async framesPerSecond(count: number): Promise<number> {
    const frame = encodeFrame(messageTypes.sink, bytes(SMALL - HEADER_SIZE, 1));
    const batch = Array.from({ length: BATCH }, () => frame);
    return count / (await this.#send(batch, count / BATCH));
  }

  /** Millions of bytes a second in large frames, until `size` bytes have arrived. */
  async megabytesPerSecond(size: number): Promise<number> {
    const frame = encodeFrame(messageTypes.sink, bytes(BULK - HEADER_SIZE, 1));
    return size / 1e6 / (await this.#send([frame], size / BULK));
  }

  /** Ends the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  /** The echo behind the last frame tells that all have arrived: a connection keeps its order. */
  async #send(batch: readonly Uint8Array[], times: number): Promise<number> {
    const started = performance.now();
    for (let sent = 0; sent < times; sent++) await this.#connection.writer.writeAll(batch);
    await this.#echo(encodeFrame(messageTypes.echo, new Uint8Array(1)));
    return (performance.now() - started) / 1000;
  }

  async #echo(frame: Uint8Array): Promise<number> {
    const started = performance.now();
    await this.#connection.writer.write(frame);
    await this.#hear();
    return (performance.now() - started) * 1e6;
  }

  async #hear(): Promise<void> {
    const { done } = await this.#incoming.next();
    if (done === true) throw new Error("the server has gone");
  }
}
