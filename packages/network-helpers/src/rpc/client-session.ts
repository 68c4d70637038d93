import { NetworkError } from "../errors.ts";
import type { CallRequest, ClientEffect, ClientInput } from "./client-events.ts";
import { type CallId, NO_CALL, RPC_HEADER_SIZE, type RpcFrame, violation } from "./frame.ts";
import type { RpcLimits } from "./limits.ts";
import { Link } from "./link.ts";
import { decodeMessage, decodePayload, encodeMessage, noPayload } from "./messages.ts";
import { RpcError, type RpcErrorCode, receivedError } from "./rpc-error.ts";

interface Call {
  readonly kind: "call" | "stream";
  readonly deadlineAt: number;
  /** Bytes of stream data that the peer may still send. */
  credit: number;
  /** Bytes read since the last credit. */
  consumed: number;
}

/** The calling side of a connection. Pure: calls, frames and time (milliseconds) in, effects out. */
export class ClientSession {
  readonly #link: Link;
  readonly #limits: RpcLimits;
  readonly #calls = new Map<CallId, Call>();
  /** Calls that are over here and whose last frame has yet to come: their credit, and until when it may take. */
  readonly #leaving = new Map<CallId, { readonly kind: Call["kind"]; credit: number; readonly until: number }>();
  #goodbye: string | undefined;
  #drainAt = Number.POSITIVE_INFINITY;

  constructor(options: { readonly peer: string; readonly limits: RpcLimits; readonly now: number }) {
    this.#link = new Link(options);
    this.#limits = options.limits;
  }

  /** Calls under way, those included whose last frame has yet to come. */
  get calls(): number {
    return this.#calls.size + this.#leaving.size;
  }

  /** When a `tick` has something to do next. */
  get wakeAt(): number {
    if (this.#link.isClosed) return Number.POSITIVE_INFINITY;
    const deadlines = [...this.#calls.values()].map(({ deadlineAt }) => deadlineAt);
    const lastFrames = [...this.#leaving.values()].map(({ until }) => until);
    return Math.min(this.#link.wakeAt, this.#drainAt, ...deadlines, ...lastFrames);
  }

  /** The first frame: a stream over Iroh does not exist for the peer before it. */
  open(now: number): ClientEffect[] {
    return this.#link.send({ type: "keepAlive", id: NO_CALL, payload: noPayload }, now);
  }

  /** One input. After a `close`, a `call` ends at once and everything else does nothing. */
  handle(input: ClientInput, now: number): ClientEffect[] {
    if (this.#link.isClosed) return input.type === "call" ? [ended(input.request.id, lost(this.#link.peer, null))] : [];
    const effects = this.#take(input, now);
    if (this.#isOver()) effects.push(...this.#link.close(null));
    if (this.#link.isClosed) effects.push(...this.#endAll(effects));
    return effects;
  }

  #take(input: ClientInput, now: number): ClientEffect[] {
    switch (input.type) {
      case "call":
        return this.#call(input.request, now);
      case "cancel":
        return this.#give(input.id, new RpcError("cancelled", "cancelled by this side"), now);
      case "consumed":
        return this.#consumed(input, now);
      case "frame":
        return this.#receive(input.frame, now);
      case "written":
        this.#link.written(input.bytes, now);
        return [];
      case "goodbye":
        return this.#sayGoodbye(input.reason, now);
      case "lost":
        return this.#link.close(input.error);
      case "tick":
        return this.#tick(now);
      default:
        return input satisfies never;
    }
  }

  #call(request: CallRequest, now: number): ClientEffect[] {
    const { id, service, method, kind, input } = request;
    if (this.#goodbye !== undefined) return [ended(id, new RpcError("going-away", this.#goodbye))];
    if (this.calls >= this.#limits.maxCalls) return [ended(id, tooManyCalls(this.#limits))];
    const { window, maxDeadlineMs, maxPayload } = this.#limits;
    const unlimited = kind === "stream" && request.deadlineMs === null;
    const deadline_ms = unlimited ? null : Math.min(request.deadlineMs ?? maxDeadlineMs, maxDeadlineMs);
    const credit = kind === "stream" ? window : 0;
    const payload = encodeMessage("request", { service, method, deadline_ms, window: credit, input });
    if (payload.length > maxPayload) {
      const message = `the request has ${payload.length} bytes, a payload at most ${maxPayload}`;
      return [ended(id, new RpcError("payload-too-large", message))];
    }
    const deadlineAt = deadline_ms === null ? Number.POSITIVE_INFINITY : now + deadline_ms;
    this.#calls.set(id, { kind, deadlineAt, credit, consumed: 0 });
    return this.#link.send({ type: "request", id, payload }, now);
  }

  /** Ends a call here and tells the peer; the id stays taken until the peer's last frame for it. */
  #give(id: CallId, error: RpcError, now: number): ClientEffect[] {
    const call = this.#calls.get(id);
    if (call === undefined) return [];
    this.#calls.delete(id);
    this.#leaving.set(id, { kind: call.kind, credit: call.credit, until: now + this.#limits.stallMs });
    return [ended(id, error), ...this.#link.send({ type: "cancel", id, payload: noPayload }, now)];
  }

  /** Credit is given back by halves of the window, so that it does not cost a frame an item. */
  #consumed({ id, bytes }: { readonly id: CallId; readonly bytes: number }, now: number): ClientEffect[] {
    const call = this.#calls.get(id);
    if (call === undefined) return [];
    call.consumed += bytes;
    if (call.consumed < this.#limits.window / 2) return [];
    const given = call.consumed;
    call.credit += given;
    call.consumed = 0;
    return this.#link.send({ type: "credit", id, payload: encodeMessage("credit", { bytes: given }) }, now);
  }

  #receive(frame: RpcFrame, now: number): ClientEffect[] {
    this.#link.heard(now);
    try {
      return this.#dispatch(frame, now);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return this.#link.close(error);
    }
  }

  #dispatch(frame: RpcFrame, now: number): ClientEffect[] {
    const { peer } = this.#link;
    switch (frame.type) {
      case "response":
        return this.#last(frame, () => ({ output: decodePayload(frame, peer) }));
      case "error":
        return this.#last(frame, () => {
          const { code, message } = decodeMessage("error", frame, peer);
          return receivedError(code, message);
        });
      case "data":
        return this.#data(frame);
      case "keepAlive":
        return [];
      case "goodbye":
        this.#goodbye ??= decodeMessage("goodbye", frame, peer).reason;
        this.#drainAt = Math.min(this.#drainAt, now + this.#limits.stallMs);
        return [];
      case "request":
      case "cancel":
      case "credit":
        throw violation(peer, `sent a ${frame.type} frame, which only the calling side does`);
      default:
        return frame.type satisfies never;
    }
  }

  #last(frame: RpcFrame, outcome: () => { readonly output: unknown } | RpcError): ClientEffect[] {
    const { id, type } = frame;
    if (this.#leaving.delete(id)) return [];
    if (!this.#calls.has(id)) throw violation(this.#link.peer, `sent a ${type} frame for ${id}, which is no call`);
    const result = outcome();
    this.#calls.delete(id);
    return [ended(id, result)];
  }

  #data(frame: RpcFrame): ClientEffect[] {
    const { id, payload } = frame;
    const { peer } = this.#link;
    const call = this.#calls.get(id) ?? this.#leaving.get(id);
    if (call?.kind !== "stream") throw violation(peer, `sent stream data for ${id}, which is no stream`);
    if (call.credit <= 0) throw violation(peer, `sent more stream data for ${id} than it had credit for`);
    const bytes = RPC_HEADER_SIZE + payload.length;
    call.credit -= bytes;
    return this.#calls.has(id) ? [{ type: "item", id, value: decodePayload(frame, peer), bytes }] : [];
  }

  #sayGoodbye(reason: string, now: number): ClientEffect[] {
    if (this.#goodbye !== undefined) return [];
    this.#goodbye = reason;
    this.#drainAt = now + this.#limits.drainMs;
    const streams = [...this.#calls].filter(([, { kind }]) => kind === "stream");
    return [
      ...streams.flatMap(([id]) => this.#give(id, new RpcError("cancelled", reason), now)),
      ...this.#link.send({ type: "goodbye", id: NO_CALL, payload: encodeMessage("goodbye", { reason }) }, now),
    ];
  }

  #tick(now: number): ClientEffect[] {
    if (now >= this.#drainAt) return this.#link.close(null);
    for (const [id, { until }] of this.#leaving) {
      if (now >= until)
        return this.#link.fail("timed-out", `never ended the call ${id}, though told to; connect again`);
    }
    const overdue = [...this.#calls].filter(([, { deadlineAt }]) => now >= deadlineAt);
    const error = new RpcError("deadline-exceeded", `${this.#link.peer}: no answer within the call's deadline`);
    return [...overdue.flatMap(([id]) => this.#give(id, error, now)), ...this.#link.tick(now)];
  }

  #endAll(effects: readonly ClientEffect[]): ClientEffect[] {
    const close = effects.find((effect) => effect.type === "close");
    const error = lost(this.#link.peer, close?.error ?? null, this.#goodbye === undefined ? undefined : "going-away");
    const ids = [...this.#calls.keys()];
    this.#calls.clear();
    this.#leaving.clear();
    return ids.map((id) => ended(id, error));
  }

  #isOver(): boolean {
    return !this.#link.isClosed && this.#goodbye !== undefined && this.calls === 0;
  }
}

function ended(id: CallId, outcome: { readonly output: unknown } | RpcError): ClientEffect {
  return { type: "ended", id, outcome };
}

function lost(peer: string, cause: NetworkError | null, code: RpcErrorCode = "connection-lost"): RpcError {
  const why = cause === null ? `${peer}: the connection is closed` : cause.message;
  return new RpcError(code, why, cause === null ? undefined : { cause });
}

function tooManyCalls({ maxCalls }: RpcLimits): RpcError {
  return new RpcError("too-many-calls", `${maxCalls} calls are under way on this connection; wait for one to end`);
}
