import type { ByteStream, Listener, StreamInfo } from "../byte-stream.ts";
import { NetworkError } from "../errors.ts";
import { nextConnectionId } from "../frame-connection.ts";
import type { CallId } from "./frame.ts";
import { defaultRpcLimits, type RpcLimits } from "./limits.ts";
import type { LinkEffect } from "./link.ts";
import { RpcError } from "./rpc-error.ts";
import type { Outcome, ServerEffect, ServerInput } from "./server-events.ts";
import { ServerSession } from "./server-session.ts";
import type { CallContext } from "./service.ts";
import type { ServedMethod, ServiceTable } from "./service-table.ts";
import { SessionPump } from "./session-pump.ts";

/** What happened at an RPC server, for logs. */
export type RpcServerEvent =
  | { readonly type: "connected"; readonly info: StreamInfo }
  | { readonly type: "disconnected"; readonly info: StreamInfo; readonly error: Error | null }
  | { readonly type: "refused"; readonly info: StreamInfo; readonly reason: "not-allowed" | "max-connections" };

/** What an RPC server is made of. */
export interface RpcServerOptions {
  readonly services: ServiceTable;
  readonly limits?: RpcLimits;
  /** Connections at once. */
  readonly maxConnections: number;
  /** Whether a peer may connect at all. */
  readonly admits: (info: StreamInfo) => boolean;
  readonly onEvent: (event: RpcServerEvent) => void;
}

/** The serving side of RPC connections. Disposing it says goodbye to every peer and closes when their calls are done. */
export class RpcServer implements AsyncDisposable {
  readonly #options: RpcServerOptions;
  readonly #connections = new Map<ServerConnection, Promise<void>>();
  #isStopping = false;

  constructor(options: RpcServerOptions) {
    this.#options = options;
  }

  /** How many connections there are now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The connections of now. */
  list(): readonly RpcConnectionInfo[] {
    return [...this.#connections.keys()].map((connection) => connection.info());
  }

  /**
   * Says goodbye to the connection with this id: its streams end, its calls are answered yet. Null when there is none,
   * else its peer.
   */
  disconnect(id: number): string | null {
    const connection = [...this.#connections.keys()].find((one) => one.id === id);
    connection?.goodbye("disconnected by the operator");
    return connection?.info().peer ?? null;
  }

  /** Serves what a listener accepts, until it ends. */
  async accept(listener: Listener): Promise<void> {
    for await (const stream of listener.streams) this.serve(stream);
  }

  /** Serves one stream, or refuses it. */
  serve(stream: ByteStream): void {
    const { admits, maxConnections, onEvent, services, limits = defaultRpcLimits } = this.#options;
    const info = stream.info();
    const isFull = this.#isStopping || this.#connections.size >= maxConnections;
    const reason = admits(info) ? (isFull ? "max-connections" : undefined) : "not-allowed";
    if (reason !== undefined) {
      const message = `${stream.peer}: refused, ${reason}; see the [rpc] table of this role's config`;
      stream.abort(new NetworkError("refused", { peer: stream.peer, message }));
      return onEvent({ type: "refused", info, reason });
    }
    const connection = new ServerConnection(stream, { services, limits });
    onEvent({ type: "connected", info });
    const run = async (): Promise<void> => {
      const error = await connection.run();
      this.#connections.delete(connection);
      onEvent({ type: "disconnected", info: stream.info(), error });
    };
    this.#connections.set(connection, run());
  }

  /** Says goodbye to peers that it would no longer admit. */
  dismissStrangers(): void {
    for (const connection of this.#connections.keys()) {
      if (!this.#options.admits(connection.info())) connection.goodbye("no longer among the allowed peers");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    for (const connection of this.#connections.keys()) connection.goodbye("the role stops");
    await Promise.all(this.#connections.values());
  }
}

/** A connection of an {@link RpcServer}, as of now. */
export interface RpcConnectionInfo extends StreamInfo {
  /** Unlike that of any other connection of this process. */
  readonly id: number;
}

type Effect = Exclude<ServerEffect, LinkEffect>;

interface Running {
  readonly controller: AbortController;
  readonly items: AsyncIterator<unknown> | undefined;
}

/** One connection: runs the handlers that its session starts. */
class ServerConnection {
  readonly id: number = nextConnectionId();
  readonly #stream: ByteStream;
  readonly #services: ServiceTable;
  readonly #pump: SessionPump<ServerInput, Effect>;
  readonly #running = new Map<CallId, Running>();

  constructor(stream: ByteStream, options: { readonly services: ServiceTable; readonly limits: RpcLimits }) {
    const { services, limits } = options;
    const kindOf = (service: string, method: string): ServedMethod["kind"] | undefined =>
      services.find(service, method)?.kind;
    this.#stream = stream;
    this.#services = services;
    this.#pump = new SessionPump<ServerInput, Effect>(stream, {
      session: new ServerSession({ peer: stream.peer, limits, kindOf, now: performance.now() }),
      maxPayload: limits.maxPayload,
      perform: (effect) => this.#perform(effect),
    });
  }

  async run(): Promise<Error | null> {
    return await this.#pump.run();
  }

  info(): RpcConnectionInfo {
    return { ...this.#stream.info(), id: this.id };
  }

  goodbye(reason: string): void {
    this.#pump.input({ type: "goodbye", reason });
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "start":
        return this.#start(effect);
      case "pull":
        return void this.#pull(effect.id);
      case "abort":
        return this.#abort(effect);
      default:
        effect satisfies never;
    }
  }

  #start({ id, service, method, input }: Extract<Effect, { type: "start" }>): void {
    const served = this.#services.find(service, method);
    if (served === undefined) return;
    const controller = new AbortController();
    const { peer, transport } = this.#stream.info();
    const context: CallContext = { signal: controller.signal, peer, transport };
    if (served.kind === "stream") {
      const items = served.run(input, context)[Symbol.asyncIterator]();
      this.#running.set(id, { controller, items });
      return;
    }
    this.#running.set(id, { controller, items: undefined });
    served.run(input, context).then(
      (output) => this.#settle(id, { output }),
      (error: unknown) => this.#settle(id, failure(error)),
    );
  }

  async #pull(id: CallId): Promise<void> {
    try {
      const next = await this.#running.get(id)?.items?.next();
      if (next?.done === true) this.#settle(id, { output: null });
      else if (next !== undefined) this.#pump.input({ type: "item", id, value: next.value });
    } catch (error) {
      this.#settle(id, failure(error));
    }
  }

  /** A stream's handler is ended by its iterator once it has noticed; a call's when it settles. */
  #abort({ id, code }: Extract<Effect, { type: "abort" }>): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    const error = new RpcError(code, "nobody waits for the result any more");
    running.controller.abort(error);
    if (running.items === undefined) return;
    const settle = (): void => this.#settle(id, failure(error));
    const ending = running.items.return?.() ?? Promise.resolve();
    ending.then(settle, settle);
  }

  #settle(id: CallId, outcome: Outcome): void {
    if (this.#running.delete(id)) this.#pump.input({ type: "settled", id, outcome });
  }
}

function failure(error: unknown): Outcome {
  if (error instanceof RpcError) return { error: { code: error.code, message: error.message } };
  return { error: { code: "internal", message: "the method failed; the log of the side that ran it says why" } };
}
