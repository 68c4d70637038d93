import type { Protocol } from "@adit/codec";
import { answerSetup, awaitFirstByte, type Sv2Server } from "./accept-sv2.ts";
import { Backoff, pause } from "./backoff.ts";
import type { ByteStream, Listener, Transport } from "./byte-stream.ts";
import { Deadline, GRACE_MS, within } from "./deadline.ts";
import { NetworkError } from "./errors.ts";
import type { ConnectionInfo } from "./frame-connection.ts";
import { HandshakeGate } from "./handshake-gate.ts";
import { Inbox } from "./inbox.ts";
import { type Opened, respondOver, type ServerSecurity } from "./secure.ts";
import { type ListenLimits, type RefusalReason, SourceLimits, sourceKey } from "./source-limits.ts";
import type { Sv2Connection } from "./sv2-connection.ts";

/** One transport to listen on. */
export interface ListenOn {
  readonly transport: Transport;
  /** In the transport's own form. */
  readonly address: string;
  /** How its connections are secured. Without a gate, `serveSv2` puts one in front of the identity. */
  readonly security: ServerSecurity;
  /** Aborting it ends this listener and leaves the others; its connections live on. */
  readonly signal?: AbortSignal;
}

/** How one listener is doing. */
export interface ListenerStatus {
  readonly transport: Transport["kind"];
  readonly state: "listening" | "failed" | "closed";
  /** Where it is reached; null while it is not. */
  readonly address: string | null;
  /** The Iroh endpoint id; null on other transports. */
  readonly endpointId: string | null;
  /** The Iroh ticket; null on other transports. */
  readonly ticket: string | null;
  /** Why it failed; null while it has not. */
  readonly error: string | null;
}

/** What happened at a listener, for logs and metrics. Text from the network is inside the errors' messages, made printable. */
export type ListenEvent =
  | { readonly type: "listener-up"; readonly transport: Transport["kind"]; readonly address: string }
  | {
      readonly type: "listener-failed";
      readonly transport: Transport["kind"];
      readonly address: string;
      readonly error: Error;
      /** When the next attempt comes, in milliseconds from now. */
      readonly retryInMs: number;
    }
  | { readonly type: "connection-opened"; readonly transport: Transport["kind"]; readonly connection: ConnectionInfo }
  | {
      readonly type: "connection-closed";
      readonly transport: Transport["kind"];
      readonly connection: ConnectionInfo;
      /** What the handler threw; null when it returned. */
      readonly error: Error | null;
    }
  | {
      readonly type: "connection-refused";
      readonly transport: Transport["kind"];
      readonly peer: string;
      readonly reason: RefusalReason;
    }
  | {
      readonly type: "handshake-failed";
      readonly transport: Transport["kind"];
      readonly peer: string;
      readonly error: Error;
    };

/** Totals since the start, and the present. */
export interface ListenCounts {
  /** Connections now, pending ones included. */
  readonly open: number;
  /** Connections now that are not set up yet. */
  readonly pending: number;
  /** Connections that were set up. */
  readonly accepted: number;
  /** Connections whose handshake or set-up failed. */
  readonly failed: number;
  /** Connections refused, by the limit they met. */
  readonly refused: Readonly<Record<RefusalReason, number>>;
}

/** What `serveSv2` is told. */
export interface ServeOptions<P extends Protocol> {
  readonly listeners: readonly ListenOn[];
  readonly server: Sv2Server<P>;
  readonly limits: ListenLimits;
  /** Serves one connection, whatever carries it, and settles when it is over; the connection is closed then. */
  readonly handler: (connection: Sv2Connection<P>) => Promise<void>;
  readonly onEvent: (event: ListenEvent) => void;
  /** Aborting it stops the listeners and breaks off set-ups under way; connections live on until disposal. */
  readonly signal: AbortSignal;
}

/** Listeners on one or more transports (requirement A8). Disposing it stops them and closes every connection gracefully. */
export interface Sv2Listeners extends AsyncDisposable {
  /** One entry a transport, in the order given. */
  status(): readonly ListenerStatus[];
  /** The connections that are set up. */
  connections(): readonly ConnectionInfo[];
  /** For metrics. */
  readonly counts: ListenCounts;
  /** Listens on one more transport, as on the others. Resolves after the first attempt, whatever came of it. */
  listen(on: ListenOn): Promise<void>;
  /** Replaces the limits for connections that come from now on; nobody who is in has to leave. */
  setLimits(limits: ListenLimits): void;
}

/**
 * Listens on every transport given, with one handler, one status and one set of limits. A listener that fails is tried
 * again with a growing wait while the others go on. Resolves when each has had its first attempt; rejects with the first
 * error when none came up.
 */
export async function serveSv2<P extends Protocol>(options: ServeOptions<P>): Promise<Sv2Listeners> {
  const service = new Sv2Service(options);
  const failures = await service.start();
  const [first] = failures;
  if (first !== undefined && failures.length === options.listeners.length) {
    await service[Symbol.asyncDispose]();
    throw first;
  }
  return service;
}

const RETRY = { minMs: 1000, maxMs: 30_000, random: Math.random };
const GATE = { perTurn: 1, maxQueue: 256 };

class Sv2Service<P extends Protocol> implements Sv2Listeners {
  readonly #options: ServeOptions<P>;
  readonly #limits: SourceLimits;
  #deadlines: ListenLimits;
  #places: readonly Place[];
  readonly #stopping = new AbortController();
  readonly #stop = (): void => this.#stopping.abort(this.#options.signal.reason);
  readonly #live = new Map<Sv2Connection<P>, Transport["kind"]>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #refused: Record<RefusalReason, number> = {
    "max-connections": 0,
    "max-pending": 0,
    "max-per-source": 0,
    "max-pending-per-source": 0,
    "new-per-source": 0,
  };
  #accepted = 0;
  #failed = 0;
  #closing: Promise<void> | undefined;

  constructor(options: ServeOptions<P>) {
    this.#options = options;
    this.#limits = new SourceLimits(options.limits);
    this.#deadlines = options.limits;
    this.#places = withGates(options.listeners).map((on) => new Place(on, this.#stopping.signal));
    if (options.signal.aborted) this.#stop();
    else options.signal.addEventListener("abort", this.#stop, { once: true });
  }

  get counts(): ListenCounts {
    return {
      open: this.#limits.open,
      pending: this.#limits.pending,
      accepted: this.#accepted,
      failed: this.#failed,
      refused: { ...this.#refused },
    };
  }

  async listen(on: ListenOn): Promise<void> {
    const added = withGates([on]).map((one) => new Place(one, this.#stopping.signal));
    this.#places = [...this.#places, ...added];
    await Promise.all(
      added.map((place) => new Promise<unknown>((resolve) => this.#run(this.#keepListening(place, resolve)))),
    );
  }

  setLimits(limits: ListenLimits): void {
    this.#limits.setLimits(limits, performance.now());
    this.#deadlines = limits;
  }

  /** Resolves after every listener's first attempt, to the errors of those that failed. */
  async start(): Promise<readonly Error[]> {
    const attempts = this.#places.map(
      (place) => new Promise<Error | undefined>((resolve) => this.#run(this.#keepListening(place, resolve))),
    );
    return (await Promise.all(attempts)).filter((error) => error !== undefined);
  }

  status(): readonly ListenerStatus[] {
    return this.#places.map((place) => place.status());
  }

  connections(): readonly ConnectionInfo[] {
    return [...this.#live.keys()].map((connection) => connection.info());
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#stop);
    this.#stopping.abort(new Error("the service stops"));
    await Promise.all([...this.#live.keys()].map((connection) => connection[Symbol.asyncDispose]()));
    await within(GRACE_MS, Promise.all(this.#tasks));
  }

  /** Keeps track of a task that handles its own failures. */
  #run(task: Promise<void>): void {
    const tracked = task.finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  async #keepListening(place: Place, firstAttempt: (error: Error | undefined) => void): Promise<void> {
    const { signal } = place;
    const { transport, address } = place.on;
    const backoff = new Backoff(RETRY);
    while (!signal.aborted) {
      try {
        await using listener = await transport.listen(address, { signal });
        place.up(listener);
        backoff.reset();
        this.#options.onEvent({ type: "listener-up", transport: transport.kind, address: listener.address });
        firstAttempt(undefined);
        for await (const stream of listener.streams) this.#take(stream, place);
        const message = `${address}: the listener stopped by itself; it is started again`;
        if (!signal.aborted) throw new NetworkError("closed", { peer: address, message });
      } catch (cause) {
        const error = asError(cause);
        firstAttempt(error);
        if (signal.aborted) break;
        place.failed(error);
        const retryInMs = backoff.next();
        this.#options.onEvent({ type: "listener-failed", transport: transport.kind, address, error, retryInMs });
        await pause(retryInMs, signal);
      }
    }
    firstAttempt(undefined);
    place.closed();
    if (!this.#stopping.signal.aborted) this.#places = this.#places.filter((other) => other !== place);
  }

  #take(stream: ByteStream, place: Place): void {
    const info = stream.info();
    const source = sourceKey(info);
    const reason = this.#limits.enter(source, performance.now());
    if (reason === undefined) {
      this.#run(this.#serve(stream, place.on, source));
      return;
    }
    this.#refused[reason]++;
    const message = `${stream.peer}: refused, ${reason}; raise the limit if it is a peer of yours`;
    const code = reason === "new-per-source" ? "rate-limited" : "refused";
    stream.abort(new NetworkError(code, { peer: stream.peer, message }));
    this.#options.onEvent({ type: "connection-refused", transport: info.transport, peer: stream.peer, reason });
  }

  async #serve(stream: ByteStream, { transport, security }: ListenOn, source: string): Promise<void> {
    try {
      const connection = await this.#setUp(stream, security).finally(() => this.#limits.settle(source));
      await this.#handle(connection, transport.kind);
    } catch (cause) {
      this.#failed++;
      const error = asError(cause);
      this.#options.onEvent({ type: "handshake-failed", transport: transport.kind, peer: stream.peer, error });
    } finally {
      this.#limits.leave(source);
    }
  }

  async #setUp(stream: ByteStream, security: ServerSecurity): Promise<Sv2Connection<P>> {
    const { server } = this.#options;
    const limits = this.#deadlines;
    const opened: Opened = { stream, inbox: new Inbox(stream.source) };
    await this.#phase(limits.firstByteTimeoutMs, (phase) => awaitFirstByte(opened, phase));
    const frames = await this.#phase(limits.handshakeTimeoutMs, (phase) => respondOver(opened, security, phase));
    return this.#phase(limits.setupTimeoutMs, (phase) => answerSetup(frames, server, phase));
  }

  async #phase<T>(ms: number, work: (phase: { readonly signal: AbortSignal }) => Promise<T>): Promise<T> {
    using deadline = new Deadline(this.#stopping.signal, ms);
    return await work({ signal: deadline.signal });
  }

  /** Never rejects: what the handler throws is an event. */
  async #handle(connection: Sv2Connection<P>, transport: Transport["kind"]): Promise<void> {
    this.#accepted++;
    this.#live.set(connection, transport);
    this.#options.onEvent({ type: "connection-opened", transport, connection: connection.info() });
    let error: Error | null = null;
    try {
      await this.#options.handler(connection);
    } catch (cause) {
      error = asError(cause);
      connection.abort(error);
    }
    await connection[Symbol.asyncDispose]();
    this.#live.delete(connection);
    this.#options.onEvent({ type: "connection-closed", transport, connection: connection.info(), error });
  }
}

/** One transport to listen on, and how it is doing. */
class Place {
  readonly on: ListenOn;
  /** Aborts when it is listened on no more. */
  readonly signal: AbortSignal;
  #listener: Listener | undefined;
  #error: Error | undefined;
  #closed = false;

  constructor(on: ListenOn, stopping: AbortSignal) {
    this.on = on;
    this.signal = on.signal === undefined ? stopping : AbortSignal.any([stopping, on.signal]);
  }

  up(listener: Listener): void {
    this.#listener = listener;
    this.#error = undefined;
  }

  failed(error: Error): void {
    this.#listener = undefined;
    this.#error = error;
  }

  closed(): void {
    this.#listener = undefined;
    this.#closed = true;
  }

  status(): ListenerStatus {
    return {
      transport: this.on.transport.kind,
      state: this.#listener !== undefined ? "listening" : this.#closed ? "closed" : "failed",
      address: this.#listener?.address ?? null,
      endpointId: this.#listener?.endpointId ?? null,
      ticket: this.#listener?.ticket ?? null,
      error: this.#error?.message ?? null,
    };
  }
}

/** Gives every identity without a gate one of its own, shared by all listeners that use it. */
function withGates(listeners: readonly ListenOn[]): readonly ListenOn[] {
  const gates = new Map<object, HandshakeGate>();
  return listeners.map((on) => {
    if (on.security === "plain" || on.security.noise.gate !== undefined) return on;
    const { identity } = on.security.noise;
    const gate = gates.get(identity) ?? new HandshakeGate({ ...GATE, prepare: () => identity.prepare(1) });
    gates.set(identity, gate);
    return { ...on, security: { noise: { ...on.security.noise, gate } } };
  });
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
