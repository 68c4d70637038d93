import type { z } from "zod";

/** A method with one answer. */
export interface CallMethod<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly kind: "call";
  readonly input: I;
  readonly output: O;
}

/** A method that answers with items until its caller, or itself, has had enough. */
export interface StreamMethod<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly kind: "stream";
  readonly input: I;
  readonly output: O;
}

/** The methods of a service by the names they have on the wire, in snake_case. */
export type Methods = Readonly<Record<string, CallMethod | StreamMethod>>;

/** A service: what its server and its client are derived from. */
export interface Service<M extends Methods = Methods> {
  readonly name: string;
  readonly methods: M;
}

/** Declares a method with one answer. Schemas are of what JSON can say, without transformations. */
export function call<I extends z.ZodType, O extends z.ZodType>(schemas: {
  readonly input: I;
  readonly output: O;
}): CallMethod<I, O> {
  return { kind: "call", ...schemas };
}

/** Declares a method that answers with items. */
export function stream<I extends z.ZodType, O extends z.ZodType>(schemas: {
  readonly input: I;
  readonly output: O;
}): StreamMethod<I, O> {
  return { kind: "stream", ...schemas };
}

/** Declares a service. */
export function service<const M extends Methods>(declaration: Service<M>): Service<M> {
  return declaration;
}

/** What a handler is told besides its input. */
export interface CallContext {
  /** Aborts when nobody wants the result any more: cancelled, past its deadline, connection lost. */
  readonly signal: AbortSignal;
  /** Who calls, for logs. */
  readonly peer: string;
  /** What carries the call. */
  readonly transport: "tcp" | "iroh" | "memory" | "http";
}

/** The handlers of a service. Each throws RpcError to say why not; anything else that is thrown is "internal". */
export type Handlers<M extends Methods> = {
  readonly [N in keyof M]: M[N] extends CallMethod<infer I, infer O>
    ? (input: z.output<I>, context: CallContext) => z.input<O> | Promise<z.input<O>>
    : M[N] extends StreamMethod<infer I, infer O>
      ? (input: z.output<I>, context: CallContext) => AsyncIterable<z.input<O>>
      : never;
};

/** How a caller waits. */
export interface CallOptions {
  /** Aborting it cancels the call. */
  readonly signal: AbortSignal;
  /** Longest wait for the result, in milliseconds. Without it a call has ten seconds, and a stream no deadline. */
  readonly deadlineMs?: number;
}

/** The client of a service. Every method rejects, or throws while it is iterated, with RpcError. */
export type Client<M extends Methods> = {
  readonly [N in keyof M]: M[N] extends CallMethod<infer I, infer O>
    ? (input: z.input<I>, options: CallOptions) => Promise<z.output<O>>
    : M[N] extends StreamMethod<infer I, infer O>
      ? (input: z.input<I>, options: CallOptions) => AsyncIterable<z.output<O>>
      : never;
};
