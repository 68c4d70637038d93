import type { z } from "zod";
import { RpcError, type RpcErrorCode } from "./rpc-error.ts";
import type { CallContext, CallMethod, Handlers, Methods, Service, StreamMethod } from "./service.ts";

/** A method that is served: its input and its output are checked against the declaration. */
export type ServedMethod =
  | { readonly kind: "call"; run(input: unknown, context: CallContext): Promise<unknown> }
  | { readonly kind: "stream"; run(input: unknown, context: CallContext): AsyncIterable<unknown> };

/** A call that is over, for logs and metrics. */
export interface CallReport {
  readonly service: string;
  readonly method: string;
  readonly transport: CallContext["transport"];
  readonly peer: string;
  readonly result: "ok" | RpcErrorCode;
  /** Milliseconds from the call's arrival. */
  readonly tookMs: number;
  /** What an `internal` failure came from, and null otherwise. */
  readonly cause: unknown;
}

/** A service with its handlers. */
export interface ServedService {
  readonly name: string;
  readonly methods: Methods;
  readonly handlers: Readonly<Record<string, ErasedHandler>>;
}

type ErasedHandler = (input: unknown, context: CallContext) => unknown;

/** Joins a declaration with handlers of its types. */
export function implement<M extends Methods>(service: Service<M>, handlers: Handlers<M>): ServedService {
  return { ...service, handlers };
}

/** The services that one door serves, whatever carries the calls. */
export class ServiceTable {
  readonly #methods = new Map<string, ServedMethod>();

  /** `onCall` is told of every call when it is over. */
  constructor(services: readonly ServedService[], onCall: (report: CallReport) => void) {
    for (const { name, methods, handlers } of services) {
      for (const [methodName, method] of Object.entries(methods)) {
        const handler = handlers[methodName];
        if (handler === undefined) throw new RangeError(`${name}.${methodName} has no handler`);
        const served = { service: name, method: methodName, handler, onCall };
        this.#methods.set(key(name, methodName), serve(method, served));
      }
    }
  }

  /** The method, if it is served. */
  find(service: string, method: string): ServedMethod | undefined {
    return this.#methods.get(key(service, method));
  }
}

const key = (service: string, method: string): string => `${service}/${method}`;

interface Served {
  readonly service: string;
  readonly method: string;
  readonly handler: ErasedHandler;
  readonly onCall: (report: CallReport) => void;
}

function serve(method: CallMethod | StreamMethod, served: Served): ServedMethod {
  if (method.kind === "call")
    return { kind: "call", run: (input, context) => answer(method, served, [input, context]) };
  return { kind: "stream", run: (input, context) => items(method, served, [input, context]) };
}

type Arguments = readonly [input: unknown, context: CallContext];

async function answer(method: CallMethod, served: Served, [input, context]: Arguments): Promise<unknown> {
  const report = reporter(served, context);
  try {
    const output = await served.handler(checked(method.input, input, "invalid-input"), context);
    const result = checked(method.output, output, "internal");
    report(null);
    return result;
  } catch (error) {
    throw report(asRpcError(error, context));
  }
}

async function* items(
  method: StreamMethod,
  served: Served,
  [input, context]: Arguments,
): AsyncGenerator<unknown, void, undefined> {
  const report = reporter(served, context);
  let failure: RpcError | null = null;
  try {
    const output = served.handler(checked(method.input, input, "invalid-input"), context) as AsyncIterable<unknown>;
    for await (const item of output) yield checked(method.output, item, "internal");
  } catch (error) {
    failure = asRpcError(error, context);
    throw failure;
  } finally {
    report(failure ?? (context.signal.aborted ? asRpcError(context.signal.reason, context) : null));
  }
}

function reporter(
  { service, method, onCall }: Served,
  { transport, peer }: CallContext,
): <E extends RpcError | null>(error: E) => E {
  const since = performance.now();
  return (error) => {
    const cause = error?.code === "internal" ? (error.cause ?? error) : null;
    const tookMs = performance.now() - since;
    onCall({ service, method, transport, peer, result: error?.code ?? "ok", tookMs, cause });
    return error;
  };
}

/** What the handler has thrown, or why nobody wanted its result any more. */
function asRpcError(error: unknown, { signal }: CallContext): RpcError {
  if (error instanceof RpcError) return error;
  if (signal.aborted && signal.reason instanceof RpcError) return signal.reason;
  return new RpcError("internal", "the method failed; the log of the side that ran it says why", { cause: error });
}

function checked(schema: z.ZodType, value: unknown, code: "invalid-input" | "internal"): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new RpcError(code, describe(result.error), { cause: result.error });
}

/** What is wrong with a value, in one line: `interval_secs: Too small: expected number to be >=0.1`. */
export function describe({ issues }: z.ZodError): string {
  return issues
    .slice(0, 4)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`))
    .join("; ");
}
