import type { ByteStream } from "../byte-stream.ts";
import { GRACE_MS, within } from "../deadline.ts";
import { NetworkError } from "../errors.ts";
import { plainCipher } from "../frame-cipher.ts";
import { CoalescingWriter } from "../frame-writer.ts";
import type { RpcFrame } from "./frame.ts";
import { rpcFrames } from "./frame-reader.ts";
import type { LinkEffect } from "./link.ts";

/** What both sessions are told by their stream. */
export type StreamInput =
  | { readonly type: "frame"; readonly frame: RpcFrame }
  | { readonly type: "written"; readonly bytes: number }
  | { readonly type: "lost"; readonly error: NetworkError | null }
  | { readonly type: "tick" };

interface Session<I, E> {
  readonly wakeAt: number;
  handle(input: I | StreamInput, now: number): readonly (E | LinkEffect)[];
}

/** Runs a session over a stream: frames in, effects out in order, a tick when one is due. Takes the stream over. */
export class SessionPump<I, E> {
  readonly #stream: ByteStream;
  readonly #session: Session<I, E>;
  readonly #perform: (effect: E) => void;
  readonly #writer: CoalescingWriter;
  readonly #maxPayload: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #closing: Promise<void> | undefined;
  #error: Error | null = null;
  readonly #effects: (E | LinkEffect)[] = [];
  #isPerforming = false;

  /** `perform` gets the effects that are not the stream's. It must not throw. */
  constructor(
    stream: ByteStream,
    options: { readonly session: Session<I, E>; readonly maxPayload: number; readonly perform: (effect: E) => void },
  ) {
    this.#stream = stream;
    this.#session = options.session;
    this.#perform = options.perform;
    this.#maxPayload = options.maxPayload;
    this.#writer = new CoalescingWriter(stream, plainCipher);
  }

  /** Gives the session an input, and performs what it says. */
  input(input: I | StreamInput): void {
    this.perform(this.#session.handle(input, performance.now()));
  }

  /** Performs effects in order, also when one of them leads to the next input at once. */
  perform(effects: readonly (E | LinkEffect)[]): void {
    this.#effects.push(...effects);
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    for (let next = this.#effects.shift(); next !== undefined; next = this.#effects.shift()) {
      if (isLinkEffect(next)) this.#performOnStream(next);
      else this.#perform(next);
    }
    this.#isPerforming = false;
    this.#schedule();
  }

  /** Resolves when the stream has ended: to why it broke, or null. */
  async run(): Promise<Error | null> {
    let error: NetworkError | null = null;
    this.#schedule();
    try {
      const frames = rpcFrames(this.#stream, { maxPayload: this.#maxPayload });
      for await (const frame of frames) this.input({ type: "frame", frame });
    } catch (cause) {
      error = asNetworkError(cause, this.#stream.peer);
    }
    this.input({ type: "lost", error });
    await this.#closing;
    clearTimeout(this.#timer);
    return this.#error;
  }

  #performOnStream(effect: LinkEffect): void {
    if (effect.type === "send") {
      const { length } = effect.bytes;
      this.#writer.write(effect.bytes).then(
        () => this.input({ type: "written", bytes: length }),
        (cause: unknown) => this.input({ type: "lost", error: asNetworkError(cause, this.#stream.peer) }),
      );
      return;
    }
    this.#error = effect.error;
    if (effect.error !== null) this.#stream.abort(effect.error);
    this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await within(GRACE_MS, this.#writer.end()).catch(() => false);
    await this.#stream[Symbol.asyncDispose]();
  }

  #schedule(): void {
    const { wakeAt } = this.#session;
    if (wakeAt === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = wakeAt;
    if (wakeAt === Number.POSITIVE_INFINITY) return;
    const wake = (): void => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.input({ type: "tick" });
    };
    this.#timer = setTimeout(wake, Math.min(Math.max(0, Math.ceil(wakeAt - performance.now())), MAX_TIMER_MS));
  }
}

/** `setTimeout` takes no longer time; a tick too early does nothing. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function isLinkEffect(effect: unknown): effect is LinkEffect {
  const { type } = effect as { readonly type: string };
  return type === "send" || type === "close";
}

function asNetworkError(cause: unknown, peer: string): NetworkError {
  if (cause instanceof NetworkError) return cause;
  const message = `${peer}: the connection broke; ${cause instanceof Error ? cause.message : String(cause)}`;
  return new NetworkError("closed", { peer, message, cause });
}
