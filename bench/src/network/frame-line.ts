import { setTimeout as sleep } from "node:timers/promises";
import type { Frame } from "@adit/codec";
import { type FrameConnection, NetworkError } from "@adit/network-helpers";
import { frameOf, frameTypes, type LoadName, pourFrame, SMALL } from "./frames.ts";

/** Frames that go out at a steady pace, whether the answer to the one before is back or not. */
export interface Pace {
  readonly count: number;
  readonly everyMs: number;
}

/** How a load is poured, and what is sent beside it. */
export interface PourOptions {
  /** How long. */
  readonly forMs: number;
  /** Control frames beside it; none when absent. Answers are waited for as long as it lasts. */
  readonly controls?: Pace;
  /** Whether it ends once all of them are answered. */
  readonly untilAnswered?: boolean;
}

/** What came through meanwhile. */
export interface Poured {
  /** A second, of the load, in the second half of the time: in the first the sender finds out what the path takes. */
  readonly frames: number;
  /** The same, with what Noise adds. */
  readonly bytes: number;
  /** Nanoseconds of each control frame's round trip, at most as long as the answer to the last one was waited for. */
  readonly controls: readonly number[];
}

const none: Pace = { count: 0, everyMs: 0 };

/** The client's end of one open connection, with what can be measured over it. Owns the connection. */
export class FrameLine implements AsyncDisposable {
  readonly #connection: FrameConnection;
  readonly #incoming: AsyncIterator<Frame, undefined>;

  constructor(connection: FrameConnection) {
    this.#connection = connection;
    this.#incoming = connection.reader.frames[Symbol.asyncIterator]();
  }

  /** Nanoseconds of each of so many echoes, one after the other. */
  async roundTrips(count: number): Promise<number[]> {
    const frame = frameOf(frameTypes.data, SMALL);
    const times: number[] = [];
    for (let done = 0; done < count; done++) {
      const started = performance.now();
      await this.#connection.writer.write(frame);
      await this.#hear();
      times.push(nanosecondsSince(started));
    }
    return times;
  }

  /** The same at a steady pace. */
  async pacedRoundTrips(pace: Pace): Promise<number[]> {
    const sentAt: number[] = [];
    const sending = this.#send(frameTypes.data, pace, sentAt);
    const times: number[] = [];
    for (let heard = 0; heard < pace.count; heard++) {
      await this.#hear();
      times.push(nanosecondsSince(sentAt[heard]));
    }
    await sending;
    return times;
  }

  /**
   * Lets the server pour. Breaks the connection in the end, as what is on the way of a full stream would take its time.
   */
  async poured(load: LoadName, options: PourOptions): Promise<Poured> {
    await this.#connection.writer.write(pourFrame(load));
    await this.#hear();
    const { forMs, controls = none, untilAnswered = false } = options;
    const sentAt: number[] = [];
    const sending = this.#send(frameTypes.control, controls, sentAt);
    const until = untilAnswered ? controls.count : Infinity;
    const { times, ...rates } = await this.#take(forMs, { sentAt, until });
    await sending;
    const longest = (forMs - controls.count * controls.everyMs) * 1e6;
    return { ...rates, controls: sentAt.map((_, at) => Math.min(times[at] ?? Infinity, longest)) };
  }

  /** Ends the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #send(type: number, { count, everyMs }: Pace, sentAt: number[]): Promise<void> {
    const frame = frameOf(type, SMALL);
    const started = performance.now();
    try {
      for (let sent = 1; sent <= count; sent++) {
        sentAt.push(performance.now());
        await this.#connection.writer.write(frame);
        // By the clock: on a busy machine each sleep is too long, and together they would outlast the measurement.
        await sleep(Math.max(0, started + sent * everyMs - performance.now()));
      }
    } catch (error) {
      if (!isOver(error)) throw error;
    }
  }

  /** Takes what comes for so long, or until so many control frames are back; breaks the connection then. */
  async #take(forMs: number, controls: { readonly sentAt: readonly number[]; readonly until: number }) {
    const [counts, times] = [{ frames: 0 }, [] as number[]];
    const reached = (): Reached => ({ ...counts, bytes: this.#connection.info().bytesIn, at: performance.now() });
    let from = reached();
    const half = setTimeout(() => (from = reached()), forMs / 2);
    const end = setTimeout(() => this.#connection.abort(over), forMs);
    try {
      while (times.length < controls.until) {
        const { messageType } = await this.#hear();
        if (messageType === frameTypes.control) times.push(nanosecondsSince(controls.sentAt[times.length]));
        else counts.frames += 1;
      }
    } catch (error) {
      if (!isOver(error)) throw error;
    }
    clearTimeout(half);
    clearTimeout(end);
    this.#connection.abort(over);
    return { ...ratesBetween(from, reached()), times };
  }

  async #hear(): Promise<Frame> {
    const next = await this.#incoming.next();
    if (next.done === true) throw new Error("the server has gone");
    return next.value;
  }
}

const over = new NetworkError("closed", { peer: "", message: "enough was measured" });

function isOver(error: unknown): boolean {
  return error === over;
}

/** How far a load has come. */
interface Reached {
  readonly frames: number;
  readonly bytes: number;
  /** On `performance.now()`. */
  readonly at: number;
}

function ratesBetween(from: Reached, to: Reached): { readonly frames: number; readonly bytes: number } {
  const seconds = (to.at - from.at) / 1000;
  return { frames: (to.frames - from.frames) / seconds, bytes: (to.bytes - from.bytes) / seconds };
}

function nanosecondsSince(started: number | undefined): number {
  return (performance.now() - (started ?? Number.NaN)) * 1e6;
}
