import { decodeHeader } from "@adit/codec";
import type { ByteStream } from "../byte-stream.ts";
import type { FrameCipher } from "../frame-cipher.ts";
import { CoalescingWriter, type FrameWriter } from "../frame-writer.ts";
import type { StreamName } from "./message-order.ts";
import { helloFrame, isOrderFrame, orderFrame } from "./order-frames.ts";
import { SendOrder } from "./send-order.ts";

/** A stream to write to, with its cipher. */
interface Target {
  readonly stream: ByteStream;
  readonly cipher: FrameCipher;
}

/**
 * Puts every frame on its stream. The two are written independently, so a stream that takes nothing holds up only those who
 * await frames of that stream; what waits for each has the limits of {@link CoalescingWriter}.
 */
export class DualWriter implements FrameWriter {
  readonly #order = new SendOrder();
  readonly #writers: Readonly<Record<StreamName, CoalescingWriter>>;

  constructor({ control, data }: Readonly<Record<StreamName, Target>>) {
    this.#writers = {
      control: new CoalescingWriter(control.stream, control.cipher),
      data: new CoalescingWriter(data.stream, data.cipher),
    };
  }

  /** Frames given to the writers, the order's own not counted. */
  get framesOut(): number {
    return this.#order.sent;
  }

  /** Writes the first frame of the data stream. */
  hello(): Promise<void> {
    return this.#writers.data.write(helloFrame);
  }

  write(frame: Uint8Array): Promise<void> {
    return this.writeAll([frame]);
  }

  /** Places all frames before anything is awaited, so the calls' order is the order of the frames on both streams. */
  async writeAll(frames: readonly Uint8Array[]): Promise<void> {
    const batches: Record<StreamName, Uint8Array[]> = { control: [], data: [] };
    for (const frame of frames) {
      const header = decodeHeader(frame);
      if (isOrderFrame(header)) throw new RangeError("a frame of the order itself cannot be sent as a message");
      const { stream, after } = this.#order.place(header);
      if (after !== null) batches[stream].push(orderFrame(after));
      batches[stream].push(frame);
    }
    const { control, data } = this.#writers;
    if (batches.control.length === 0) return data.writeAll(batches.data);
    if (batches.data.length === 0) return control.writeAll(batches.control);
    await Promise.all([control.writeAll(batches.control), data.writeAll(batches.data)]);
  }

  async end(): Promise<void> {
    await Promise.all([this.#writers.control.end(), this.#writers.data.end()]);
  }
}
