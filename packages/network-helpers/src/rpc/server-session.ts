import { NetworkError } from "../errors.ts";
import { type CallId, NO_CALL, RPC_HEADER_SIZE, type RpcFrame, violation } from "./frame.ts";
import type { RpcLimits } from "./limits.ts";
import { Link, type LinkEffect } from "./link.ts";
import { decodeMessage, encodeMessage, encodePayload } from "./messages.ts";
import type { RpcErrorCode } from "./rpc-error.ts";
import type { MethodKind, Outcome, ServerEffect, ServerInput } from "./server-events.ts";

interface Call {
  readonly kind: MethodKind;
  readonly deadlineAt: number;
  credit: number;
  /** A stream whose next item may not be asked for yet. */
  idle: boolean;
}

/** The serving side of a connection. Pure: frames, results of handlers and time (milliseconds) in, effects out. */
export class ServerSession {
  readonly #link: Link;
  readonly #limits: RpcLimits;
  readonly #kindOf: (service: string, method: string) => MethodKind | undefined;
  readonly #calls = new Map<CallId, Call>();
  /** Calls that are over for the peer, and whose handler has yet to notice. */
  readonly #leaving = new Set<CallId>();
  #isPeerLeaving = false;
  #drainAt = Number.POSITIVE_INFINITY;

  constructor(options: {
    readonly peer: string;
    readonly limits: RpcLimits;
    readonly kindOf: (service: string, method: string) => MethodKind | undefined;
    readonly now: number;
  }) {
    this.#link = new Link(options);
    this.#limits = options.limits;
    this.#kindOf = options.kindOf;
  }

  /** Calls under way, those included whose handler has yet to notice that they are over. */
  get calls(): number {
    return this.#calls.size + this.#leaving.size;
  }

  /** When a `tick` has something to do next. */
  get wakeAt(): number {
    if (this.#link.isClosed) return Number.POSITIVE_INFINITY;
    const deadlines = [...this.#calls.values()].map(({ deadlineAt }) => deadlineAt);
    return Math.min(this.#link.wakeAt, this.#drainAt, ...deadlines);
  }

  /** One input. Inputs after a `close` do nothing. */
  handle(input: ServerInput, now: number): ServerEffect[] {
    if (this.#link.isClosed) return this.#afterEnd(input);
    const effects = this.#take(input, now);
    if (this.#isOver()) effects.push(...this.#link.close(null));
    if (this.#link.isClosed) effects.push(...this.#abortAll("connection-lost"));
    return effects;
  }

  #take(input: ServerInput, now: number): ServerEffect[] {
    switch (input.type) {
      case "frame":
        return this.#receive(input.frame, now);
      case "item":
        return this.#item(input, now);
      case "settled":
        return this.#settled(input, now);
      case "written":
        this.#link.written(input.bytes, now);
        return this.#pullIdle();
      case "goodbye":
        return this.#goodbye(input.reason, now);
      case "lost":
        return this.#link.close(input.error);
      case "tick":
        return [...this.#endOverdue(now), ...this.#link.tick(now)];
      default:
        return input satisfies never;
    }
  }

  #afterEnd(input: ServerInput): ServerEffect[] {
    if (input.type === "settled") this.#leaving.delete(input.id);
    return [];
  }

  #receive(frame: RpcFrame, now: number): ServerEffect[] {
    this.#link.heard(now);
    try {
      return this.#dispatch(frame, now);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return this.#link.close(error);
    }
  }

  /** Cancel and credit may cross the last frame of their call on the way: then there is nothing left to do. */
  #dispatch(frame: RpcFrame, now: number): ServerEffect[] {
    switch (frame.type) {
      case "request":
        return this.#request(frame, now);
      case "cancel":
        if (!this.#calls.has(frame.id)) return [];
        return this.#end(frame.id, { code: "cancelled", message: "the caller cancelled the call" }, now);
      case "credit":
        return this.#credit(frame);
      case "keepAlive":
        return [];
      case "goodbye":
        this.#isPeerLeaving = true;
        return [];
      case "response":
      case "data":
      case "error":
        throw violation(this.#link.peer, `sent a ${frame.type} frame, which only the serving side does`);
      default:
        return frame.type satisfies never;
    }
  }

  #request(frame: RpcFrame, now: number): ServerEffect[] {
    const { id } = frame;
    const { peer } = this.#link;
    if (this.#calls.has(id) || this.#leaving.has(id)) throw violation(peer, `used the request id ${id} twice at once`);
    if (this.#isPeerLeaving) throw violation(peer, "made a call after its goodbye");
    const request = decodeMessage("request", frame, peer);
    const { service, method, input } = request;
    if (this.#drainAt !== Number.POSITIVE_INFINITY) return this.#refuse(id, "going-away", now);
    if (this.calls >= this.#limits.maxCalls) return this.#refuse(id, "too-many-calls", now);
    const kind = this.#kindOf(service, method);
    if (kind === undefined) return this.#refuse(id, "not-found", now);
    const { maxDeadlineMs } = this.#limits;
    const unlimited = kind === "stream" && request.deadline_ms === null;
    const deadlineAt = unlimited
      ? Number.POSITIVE_INFINITY
      : now + Math.min(request.deadline_ms ?? maxDeadlineMs, maxDeadlineMs);
    const call: Call = { kind, deadlineAt, credit: request.window, idle: kind === "stream" };
    this.#calls.set(id, call);
    return [{ type: "start", id, service, method, input }, ...this.#pull(id, call)];
  }

  #refuse(id: CallId, code: keyof typeof refusals, now: number): ServerEffect[] {
    return this.#sendError(id, { code, message: refusals[code] }, now);
  }

  #credit(frame: RpcFrame): ServerEffect[] {
    const { bytes } = decodeMessage("credit", frame, this.#link.peer);
    const call = this.#calls.get(frame.id);
    if (call === undefined) return [];
    call.credit += bytes;
    return this.#pull(frame.id, call);
  }

  #item({ id, value }: { readonly id: CallId; readonly value: unknown }, now: number): ServerEffect[] {
    const call = this.#calls.get(id);
    if (call === undefined) return [];
    const payload = encodePayload(value);
    if (payload.length > this.#limits.maxPayload) return this.#end(id, tooLarge(payload, this.#limits), now);
    call.credit -= RPC_HEADER_SIZE + payload.length;
    call.idle = true;
    const sent = this.#link.send({ type: "data", id, payload }, now);
    return [...sent, ...this.#pull(id, call)];
  }

  #settled({ id, outcome }: { readonly id: CallId; readonly outcome: Outcome }, now: number): ServerEffect[] {
    this.#leaving.delete(id);
    if (!this.#calls.delete(id)) return [];
    if ("error" in outcome) return this.#sendError(id, outcome.error, now);
    const payload = encodePayload(outcome.output);
    if (payload.length > this.#limits.maxPayload) return this.#sendError(id, tooLarge(payload, this.#limits), now);
    return this.#link.send({ type: "response", id, payload }, now);
  }

  #goodbye(reason: string, now: number): ServerEffect[] {
    if (this.#drainAt !== Number.POSITIVE_INFINITY) return [];
    this.#drainAt = now + this.#limits.drainMs;
    const payload = encodeMessage("goodbye", { reason });
    const streams = [...this.#calls].filter(([, { kind }]) => kind === "stream");
    return [
      ...this.#link.send({ type: "goodbye", id: NO_CALL, payload }, now),
      ...streams.flatMap(([id]) => this.#end(id, { code: "going-away", message: reason }, now)),
    ];
  }

  #endOverdue(now: number): ServerEffect[] {
    const isDrained = now >= this.#drainAt;
    const overdue = [...this.#calls].filter(([, { deadlineAt }]) => isDrained || now >= deadlineAt);
    return overdue.flatMap(([id]) =>
      isDrained
        ? this.#end(id, { code: "going-away", message: "this side stops before the call is done" }, now)
        : this.#end(id, { code: "deadline-exceeded", message: "the call took longer than its deadline" }, now),
    );
  }

  /** Ends a call before its handler does. */
  #end(id: CallId, error: { readonly code: RpcErrorCode; readonly message: string }, now: number): ServerEffect[] {
    this.#calls.delete(id);
    this.#leaving.add(id);
    return [{ type: "abort", id, code: error.code }, ...this.#sendError(id, error, now)];
  }

  #sendError(id: CallId, error: { readonly code: RpcErrorCode; readonly message: string }, now: number): LinkEffect[] {
    return this.#link.send({ type: "error", id, payload: encodeMessage("error", error) }, now);
  }

  #abortAll(code: RpcErrorCode): ServerEffect[] {
    const ids = [...this.#calls.keys()];
    this.#calls.clear();
    for (const id of ids) this.#leaving.add(id);
    return ids.map((id) => ({ type: "abort", id, code }));
  }

  /** Half of what may wait is left to answers, so that a stream does not get its own connection cut off. */
  #pull(id: CallId, call: Call): ServerEffect[] {
    if (!call.idle || call.credit <= 0 || this.#link.isClosed) return [];
    if (this.#link.waiting > this.#limits.maxWaiting / 2) return [];
    call.idle = false;
    return [{ type: "pull", id }];
  }

  #pullIdle(): ServerEffect[] {
    return [...this.#calls].flatMap(([id, call]) => this.#pull(id, call));
  }

  #isOver(): boolean {
    if (this.#link.isClosed || this.#calls.size > 0) return false;
    return this.#isPeerLeaving || this.#drainAt !== Number.POSITIVE_INFINITY;
  }
}

const refusals = {
  "going-away": "this side stops and takes no new calls; connect again later",
  "too-many-calls": "as many calls are under way on this connection as it may have; wait for one to end",
  "not-found": "no such method is served here; compare the versions of both sides and the services in its [rpc]",
} as const;

function tooLarge(
  payload: Uint8Array,
  { maxPayload }: RpcLimits,
): { readonly code: RpcErrorCode; readonly message: string } {
  const message = `the answer has ${payload.length} bytes, a payload at most ${maxPayload}; ask for less at once`;
  return { code: "payload-too-large", message };
}
