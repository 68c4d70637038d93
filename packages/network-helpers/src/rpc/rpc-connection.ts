import type { ByteStream, StreamInfo } from "../byte-stream.ts";
import { type Caller, DEFAULT_DEADLINE_MS, type MethodName } from "./caller.ts";
import type { ClientEffect, ClientInput } from "./client-events.ts";
import { ClientSession } from "./client-session.ts";
import { type CallId, callId } from "./frame.ts";
import { defaultRpcLimits, type RpcLimits } from "./limits.ts";
import type { LinkEffect } from "./link.ts";
import { RpcError } from "./rpc-error.ts";
import type { CallOptions } from "./service.ts";
import { SessionPump } from "./session-pump.ts";

type Result = { readonly output: unknown } | RpcError;
type Effect = Exclude<ClientEffect, LinkEffect>;

/** What is to be done with what comes for a call. */
interface Receiver {
  item(value: unknown, bytes: number): void;
  ended(result: Result): void;
}

/**
 * The calling side of an RPC connection: any number of calls at once over one stream, which it takes over. Disposing it
 * says goodbye, gives calls under way a short time, and closes.
 */
export class RpcConnection implements Caller, AsyncDisposable {
  /** Resolves when the connection has ended: to why it broke, or null. */
  readonly closed: Promise<Error | null>;
  readonly #stream: ByteStream;
  readonly #receivers = new Map<CallId, Receiver>();
  readonly #pump: SessionPump<ClientInput, Effect>;

  constructor(stream: ByteStream, limits: RpcLimits = defaultRpcLimits) {
    const session = new ClientSession({ peer: stream.peer, limits, now: performance.now() });
    this.#stream = stream;
    this.#pump = new SessionPump<ClientInput, Effect>(stream, {
      session,
      maxPayload: limits.maxPayload,
      perform: (effect) => this.#perform(effect),
    });
    this.#pump.perform(session.open(performance.now()));
    this.closed = this.#pump.run();
  }

  /** Metadata of the stream beneath. */
  info(): StreamInfo {
    return this.#stream.info();
  }

  call(name: MethodName, input: unknown, options: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = (result: Result): void => (result instanceof RpcError ? reject(result) : resolve(result.output));
      const start = { ...name, kind: "call", input, deadlineMs: options.deadlineMs ?? DEFAULT_DEADLINE_MS } as const;
      this.#start(start, options, { item: () => undefined, ended });
    });
  }

  async *stream(name: MethodName, input: unknown, options: CallOptions): AsyncGenerator<unknown, void, undefined> {
    const queue = new ItemQueue();
    const start = { ...name, kind: "stream", input, deadlineMs: options.deadlineMs ?? null } as const;
    const id = this.#start(start, options, queue);
    try {
      for (let next = await queue.next(); next !== undefined; next = await queue.next()) {
        this.#pump.input({ type: "consumed", id, bytes: next.bytes });
        yield next.value;
      }
    } finally {
      this.#pump.input({ type: "cancel", id });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pump.input({ type: "goodbye", reason: "the caller is done" });
    await this.closed;
  }

  #start(
    request: {
      readonly service: string;
      readonly method: string;
      readonly kind: "call" | "stream";
      readonly input: unknown;
      readonly deadlineMs: number | null;
    },
    { signal }: CallOptions,
    receiver: Receiver,
  ): CallId {
    const id = callId(crypto.getRandomValues(new Uint8Array(16)));
    const cancel = (): void => this.#pump.input({ type: "cancel", id });
    this.#receivers.set(id, {
      item: (value, bytes) => receiver.item(value, bytes),
      ended: (result) => {
        signal.removeEventListener("abort", cancel);
        this.#receivers.delete(id);
        receiver.ended(result);
      },
    });
    signal.addEventListener("abort", cancel, { once: true });
    this.#pump.input({ type: "call", request: { id, ...request } });
    if (signal.aborted) cancel();
    return id;
  }

  #perform(effect: Effect): void {
    const receiver = this.#receivers.get(effect.id);
    if (effect.type === "item") receiver?.item(effect.value, effect.bytes);
    else receiver?.ended(effect.outcome);
  }
}

interface Item {
  readonly value: unknown;
  readonly bytes: number;
}

/** Items of a stream on their way to its reader; the session's credit bounds them. */
class ItemQueue implements Receiver {
  readonly #items: Item[] = [];
  #result: Result | undefined;
  #wake: (() => void) | undefined;

  item(value: unknown, bytes: number): void {
    this.#items.push({ value, bytes });
    this.#wake?.();
  }

  ended(result: Result): void {
    this.#result = result;
    this.#wake?.();
  }

  /** The next item, undefined after the last. Throws what the stream ended with, after what came before it. */
  async next(): Promise<Item | undefined> {
    while (this.#items.length === 0 && this.#result === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const item = this.#items.shift();
    if (item === undefined && this.#result instanceof RpcError) throw this.#result;
    return item;
  }
}
