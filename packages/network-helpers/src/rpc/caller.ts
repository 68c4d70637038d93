import { RpcError } from "./rpc-error.ts";
import type { CallOptions, Client, Methods, Service } from "./service.ts";
import { describe } from "./service-table.ts";

/** A method by its names on the wire. */
export interface MethodName {
  readonly service: string;
  readonly method: string;
}

/** Whatever carries calls to a peer. Rejects, or throws while it is iterated, with RpcError. */
export interface Caller {
  call(name: MethodName, input: unknown, options: CallOptions): Promise<unknown>;
  stream(name: MethodName, input: unknown, options: CallOptions): AsyncIterable<unknown>;
}

/** How long a call waits that sets no deadline, in milliseconds. */
export const DEFAULT_DEADLINE_MS = 10_000;

/** The client of a service, derived from its declaration: what it sends and what it gets is checked. */
export function clientOf<M extends Methods>({ name: service, methods }: Service<M>, caller: Caller): Client<M> {
  const entries = Object.entries(methods).map(([method, { kind, input: inputSchema, output }]) => {
    const name = { service, method };
    const check = (schema: typeof output, value: unknown, code: "invalid-input" | "invalid-answer"): unknown => {
      const result = schema.safeParse(value);
      if (result.success) return result.data;
      throw new RpcError(code, `${service}.${method}: ${describe(result.error)}`, { cause: result.error });
    };
    const once = async (input: unknown, options: CallOptions): Promise<unknown> => {
      check(inputSchema, input, "invalid-input");
      return check(output, await caller.call(name, input, options), "invalid-answer");
    };
    const many = async function* (input: unknown, options: CallOptions): AsyncGenerator<unknown, void, undefined> {
      check(inputSchema, input, "invalid-input");
      for await (const item of caller.stream(name, input, options)) yield check(output, item, "invalid-answer");
    };
    return [method, kind === "call" ? once : many];
  });
  return Object.fromEntries(entries) as Client<M>;
}
