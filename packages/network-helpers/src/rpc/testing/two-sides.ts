import type { CallRequest, ClientEffect, ClientInput } from "../client-events.ts";
import { ClientSession } from "../client-session.ts";
import { type CallId, callId } from "../frame.ts";
import type { RpcLimits } from "../limits.ts";
import type { RpcError } from "../rpc-error.ts";
import type { ServerEffect, ServerInput } from "../server-events.ts";
import { ServerSession } from "../server-session.ts";
import { decodeFrame } from "./frames.ts";

type Result = { readonly output: unknown } | RpcError;

/** A call as the test sees it. */
export interface Watched {
  readonly kind: "call" | "stream";
  readonly items: unknown[];
  readonly results: Result[];
  /** Bytes that came and were not read. */
  unread: number[];
}

interface Handler {
  readonly kind: "call" | "stream";
  pulls: number;
  sent: number;
  aborted: boolean;
}

/** Both sides of a connection under a clock that stands still unless told, with every frame held until it is delivered. */
export class TwoSides {
  readonly calls = new Map<CallId, Watched>();
  readonly handlers = new Map<CallId, Handler>();
  readonly closes: { readonly side: "client" | "server"; readonly code: string | null }[] = [];
  readonly client: ClientSession;
  readonly server: ServerSession;
  now = 0;
  readonly #toServer: Uint8Array[] = [];
  readonly #toClient: Uint8Array[] = [];
  #ids = 0;

  constructor(limits: RpcLimits) {
    this.client = new ClientSession({ peer: "server", limits, now: 0 });
    this.server = new ServerSession({
      peer: "client",
      limits,
      kindOf: (_service, method) => (method === "stream" ? "stream" : "call"),
      now: 0,
    });
    this.#byClient(this.client.open(0));
  }

  call(kind: "call" | "stream", deadlineMs: number | null): void {
    this.#ids += 1;
    const bytes = new Uint8Array(16);
    bytes.set([this.#ids >> 8, this.#ids & 255], 14);
    const id = callId(bytes);
    const request: CallRequest = { id, service: "s", method: kind, kind, input: null, deadlineMs };
    this.calls.set(id, { kind, items: [], results: [], unread: [] });
    this.tell({ type: "call", request });
  }

  /** Gives the calling side an input. */
  tell(input: ClientInput): void {
    this.#byClient(this.client.handle(input, this.now));
  }

  /** Gives the serving side an input. */
  tellServer(input: ServerInput): void {
    this.#byServer(this.server.handle(input, this.now));
  }

  /** Reads the oldest unread item of a call. */
  read(id: CallId): void {
    const bytes = this.calls.get(id)?.unread.shift();
    if (bytes !== undefined) this.tell({ type: "consumed", id, bytes });
  }

  /** Has a stream's handler give the item that was asked for. */
  give(id: CallId): void {
    const handler = this.handlers.get(id);
    if (handler === undefined || handler.pulls === 0) return;
    handler.pulls -= 1;
    this.tellServer({ type: "item", id, value: handler.sent++ });
  }

  /** Ends a handler. */
  settle(id: CallId, isGood: boolean): void {
    if (!this.handlers.delete(id)) return;
    const error = { code: "internal", message: "failed" } as const;
    this.tellServer({ type: "settled", id, outcome: isGood ? { output: id } : { error } });
  }

  /** Delivers the oldest frame on its way, which the transport has taken by then, or the end behind the last. False when there is none. */
  deliver(to: "server" | "client"): boolean {
    const queue = to === "server" ? this.#toServer : this.#toClient;
    const bytes = queue.shift();
    if (bytes === undefined) return this.#deliverEnd(to);
    const written = { type: "written", bytes: bytes.length } as const;
    const arrived = { type: "frame", frame: decodeFrame(bytes) } as const;
    if (to === "server") {
      this.tell(written);
      this.tellServer(arrived);
    } else {
      this.tellServer(written);
      this.tell(arrived);
    }
    return true;
  }

  #deliverEnd(to: "server" | "client"): boolean {
    const hasClosed = (side: "server" | "client"): boolean => this.closes.some((close) => close.side === side);
    if (hasClosed(to) || !hasClosed(to === "server" ? "client" : "server")) return false;
    if (to === "server") this.tellServer({ type: "lost", error: null });
    else this.tell({ type: "lost", error: null });
    return true;
  }

  pass(ms: number): void {
    this.now += ms;
    this.tell({ type: "tick" });
    this.tellServer({ type: "tick" });
  }

  /** Lets everything that can happen by itself happen, without time passing. */
  settleDown(): void {
    for (let busy = true; busy; ) {
      busy = this.deliver("server") || this.deliver("client");
      for (const [id, { aborted }] of this.handlers) if (aborted) this.settle(id, false);
    }
  }

  #byClient(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") this.#toServer.push(effect.bytes);
      else if (effect.type === "close") this.closes.push({ side: "client", code: effect.error?.code ?? null });
      else if (effect.type === "ended") this.calls.get(effect.id)?.results.push(effect.outcome);
      else {
        const call = this.calls.get(effect.id);
        call?.items.push(effect.value);
        call?.unread.push(effect.bytes);
      }
    }
  }

  #byServer(effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") this.#toClient.push(effect.bytes);
      else if (effect.type === "close") this.closes.push({ side: "server", code: effect.error?.code ?? null });
      else if (effect.type === "start") {
        const kind = effect.method === "stream" ? "stream" : "call";
        this.handlers.set(effect.id, { kind, pulls: 0, sent: 0, aborted: false });
      } else if (effect.type === "pull") this.#handler(effect.id).pulls += 1;
      else this.#handler(effect.id).aborted = true;
    }
  }

  #handler(id: CallId): Handler {
    const handler = this.handlers.get(id);
    if (handler === undefined) throw new Error(`an effect for ${id}, which does not run`);
    return handler;
  }
}
