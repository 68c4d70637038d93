import { Deadline, within } from "../deadline.ts";
import { abortError, NetworkError } from "../errors.ts";
import { orAbort } from "../or-abort.ts";
import type { PeerConnectorParts } from "./connector-parts.ts";
import type { MessageOutcome, PeerEffect, PeerEvent } from "./effects.ts";
import { LeaseWaiters } from "./lease-waiters.ts";
import { defaultPeerOptions, type PeerOptions } from "./options.ts";
import type { LeaseResult } from "./peer.ts";
import { PeerBook, type PeerBookStats, type PeerInput } from "./peer-book.ts";

interface Pending<M> {
  readonly message: M;
  settle(outcome: MessageOutcome): void;
}

/**
 * Connections to peers that are dialled when needed and closed when not (requirement A16): one a peer, so many in all, with a
 * circuit breaker and a buffer of messages each. What to do when is decided by {@link PeerBook}. Disposing it refuses
 * what waits, breaks off what runs and closes every connection; uses of connections are their owners' to end.
 */
export class PeerConnector<C extends AsyncDisposable, M = never> implements AsyncDisposable {
  readonly #parts: PeerConnectorParts<C, M>;
  readonly #options: PeerOptions;
  readonly #now: () => number;
  readonly #book: PeerBook;
  readonly #connections = new Map<number, C>();
  readonly #messages = new Map<number, Pending<M>>();
  readonly #waiters = new LeaseWaiters<C>();
  readonly #inputs: PeerInput[] = [];
  readonly #tasks = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #lastId = 0;
  #handling = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #disposal: Promise<void> | undefined;

  constructor(parts: PeerConnectorParts<C, M>) {
    this.#parts = parts;
    const options = { ...defaultPeerOptions, ...parts.options };
    this.#options = parts.check === undefined ? { ...options, healthCheckMs: Number.POSITIVE_INFINITY } : options;
    this.#now = parts.now ?? (() => performance.now());
    this.#book = new PeerBook(this.#options, parts.random ?? Math.random);
  }

  /** Where the connections stand, and totals since the start. */
  stats(): PeerBookStats {
    return this.#book.stats();
  }

  /**
   * Delivers a message as soon as the peer can be reached, in the order of the calls. Resolves to what became of it; the
   * sender need not wait for that.
   */
  send(peer: string, message: M): Promise<MessageOutcome> {
    const { messages } = this.#parts;
    if (messages === undefined) {
      const text = `${peer}: this connector takes no messages; give it a way to deliver them`;
      return Promise.reject(new NetworkError("invalid-config", { peer, message: text }));
    }
    const id = ++this.#lastId;
    return new Promise((settle) => {
      this.#messages.set(id, { message, settle });
      this.#tell({ type: "send", peer, message: id, bytes: messages.sizeOf(message) });
    });
  }

  /**
   * Runs `work` on the peer's connection, dialling it first where needed. Others may use the connection meanwhile; it is
   * not closed for being idle. Rejects with what `work` rejects with, and before it with NetworkError `breaker-open`,
   * `refused` when as many connections as allowed are in use, what the dial failed with, or as `abortError` says.
   */
  async use<T>(
    peer: string,
    work: (connection: C, options: { readonly signal: AbortSignal }) => Promise<T>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<T> {
    const lease = ++this.#lastId;
    const connection = await this.#lease(peer, lease, signal);
    let result: LeaseResult = "undecided";
    try {
      const value = await work(connection, { signal });
      result = "worked";
      return value;
    } catch (error) {
      if (!signal.aborted && this.#breaks(error)) result = "broken";
      throw error;
    } finally {
      this.#tell({ type: "lease-ended", peer, lease, result });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#stop();
    return this.#disposal;
  }

  async #stop(): Promise<void> {
    this.#tell({ type: "stop" });
    this.#closing.abort();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    clearTimeout(this.#timer);
  }

  #lease(peer: string, lease: number, signal: AbortSignal): Promise<C> {
    const cancel = (): void => this.#tell({ type: "cancel-lease", peer, lease });
    const waiting = this.#waiters.wait(lease, { peer, signal, cancel });
    if (!signal.aborted) this.#tell({ type: "lease", peer, lease });
    return waiting;
  }

  #breaks(error: unknown): boolean {
    return this.#parts.breaks?.(error) ?? error instanceof NetworkError;
  }

  /** One input at a time, also when an effect leads to the next. Events are told last: their hearer may do anything. */
  #tell(input: PeerInput): void {
    this.#inputs.push(input);
    if (this.#handling) return;
    const events: PeerEvent[] = [];
    this.#handling = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      for (const effect of this.#book.handle(next, this.#now())) {
        if (effect.type === "report") events.push(effect.event);
        else this.#perform(effect);
      }
    }
    this.#handling = false;
    this.#arm();
    for (const event of events) this.#parts.onEvent?.(event);
  }

  #perform(effect: Exclude<PeerEffect, { readonly type: "report" }>): void {
    switch (effect.type) {
      case "dial":
        return this.#run(this.#dial(effect));
      case "deliver":
        return this.#run(this.#deliver(effect));
      case "check":
        return this.#run(this.#check(effect));
      case "close":
        return this.#run(this.#close(effect));
      case "settle":
        this.#messages.get(effect.message)?.settle(effect.outcome);
        this.#messages.delete(effect.message);
        return;
      case "grant":
        return this.#grant(effect);
      case "refuse":
        return this.#waiters.refuse(effect.lease, effect);
      default:
        effect satisfies never;
    }
  }

  #grant({ peer, lease, connection }: Extract<PeerEffect, { readonly type: "grant" }>): void {
    const open = this.#connections.get(connection);
    const taken = open !== undefined && this.#waiters.grant(lease, open);
    if (!taken) this.#tell({ type: "lease-ended", peer, lease, result: "undecided" });
  }

  async #dial({ peer, connection }: Work): Promise<void> {
    try {
      const open = await this.#within(peer, this.#options.dialTimeoutMs, {
        doing: "dialling",
        work: (signal) => this.#parts.dial(peer, { signal }),
        discard: (late) => void dispose(late).catch(() => undefined),
      });
      this.#connections.set(connection, open);
      const ended = (): void => this.#tell({ type: "ended", peer, connection });
      this.#tell({ type: "dialled", peer, connection });
      this.#parts.ended?.(open).then(ended, ended);
    } catch (cause) {
      this.#tell({ type: "dial-failed", peer, connection, error: asError(cause) });
    }
  }

  async #deliver({ peer, connection, message }: Extract<PeerEffect, { type: "deliver" }>): Promise<void> {
    const pending = this.#messages.get(message);
    const open = this.#connections.get(connection);
    const { messages } = this.#parts;
    try {
      if (pending === undefined || open === undefined || messages === undefined) throw new Error("no such message");
      await this.#within(peer, this.#options.deliverTimeoutMs, {
        doing: "delivering a message",
        work: (signal) => messages.deliver(open, pending.message, { signal }),
      });
      this.#tell({ type: "delivered", peer, connection });
    } catch (cause) {
      this.#tell({ type: "delivery-failed", peer, connection, error: asError(cause) });
    }
  }

  async #check({ peer, connection }: Work): Promise<void> {
    const open = this.#connections.get(connection);
    try {
      await this.#within(peer, this.#options.healthTimeoutMs, {
        doing: "checking its health",
        work: async (signal) => open && this.#parts.check?.(open, { signal }),
      });
      this.#tell({ type: "checked", peer, connection, healthy: true });
    } catch {
      this.#tell({ type: "checked", peer, connection, healthy: false });
    }
  }

  async #close({ peer, connection }: Work): Promise<void> {
    const open = this.#connections.get(connection);
    this.#connections.delete(connection);
    if (open !== undefined) {
      // A connection that does not close well is closed all the same.
      await within(this.#options.closeTimeoutMs, dispose(open)).catch(() => false);
    }
    this.#tell({ type: "closed", peer, connection });
  }

  /** Work under a deadline, and no longer: work that does not heed its signal is left behind. */
  async #within<T>(peer: string, ms: number, { doing, work, discard }: TimedWork<T>): Promise<T> {
    using deadline = new Deadline(this.#closing.signal, ms);
    const { signal } = deadline;
    try {
      return await orAbort(work(signal), signal, discard ?? (() => undefined));
    } catch (cause) {
      throw signal.aborted ? abortError(signal, peer, doing) : cause;
    }
  }

  #run(work: Promise<void>): void {
    this.#tasks.add(work);
    void work.finally(() => this.#tasks.delete(work));
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const wait = this.#book.dueAt - this.#now();
    if (!Number.isFinite(wait) || this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => this.#tell({ type: "tick" }), Math.min(Math.max(wait, 0), MAX_TIMER_MS));
  }
}

/** The longest a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Work {
  readonly peer: string;
  readonly connection: number;
}

interface TimedWork<T> {
  /** Completes the sentence "… while ". */
  readonly doing: string;
  readonly work: (signal: AbortSignal) => Promise<T>;
  /** Takes what comes too late. */
  readonly discard?: (late: T) => void;
}

async function dispose(connection: AsyncDisposable): Promise<void> {
  await connection[Symbol.asyncDispose]();
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
