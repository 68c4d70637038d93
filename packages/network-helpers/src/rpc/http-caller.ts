import { Deadline } from "../deadline.ts";
import { type Caller, DEFAULT_DEADLINE_MS, type MethodName } from "./caller.ts";
import { defaultRpcLimits } from "./limits.ts";
import { RpcError, receivedError } from "./rpc-error.ts";
import type { CallOptions } from "./service.ts";

/** Where a method is reached over HTTP, beneath the server's address. */
export const HTTP_PATH = "/rpc/v1";

/**
 * Calls over HTTP to a role's monitoring server: `POST <base>/rpc/v1/<service>/<method>`. An answer is one JSON document
 * and a stream one line of JSON an item, `{"item":…}`, and a last one, `{"end":true}` or `{"error":{code,message}}`.
 */
export function httpCaller(base: URL): Caller {
  return {
    call: async (name, input, options) => {
      using deadline = new Deadline(options.signal, options.deadlineMs ?? DEFAULT_DEADLINE_MS);
      return await failing(deadline.signal, async () => {
        const response = await post(base, name, { input, signal: deadline.signal });
        return parse(await wholeText(response));
      });
    },
    stream: async function* (name, input, options) {
      using deadline = options.deadlineMs === undefined ? undefined : new Deadline(options.signal, options.deadlineMs);
      const signal = deadline?.signal ?? options.signal;
      const response = await failing(signal, () => post(base, name, { input, signal }));
      const lines = textLines(response)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { done, value } = await failing(signal, () => lines.next());
          if (done === true) throw new RpcError("connection-lost", `${base.host}: the stream broke off`);
          const line = parse(value) as { item?: unknown; end?: boolean; error?: { code: string; message: string } };
          if (line.error !== undefined) throw receivedError(line.error.code, line.error.message);
          if (line.end === true) return;
          yield line.item;
        }
      } finally {
        await lines.return?.(undefined);
      }
    },
  };
}

async function post(
  base: URL,
  { service, method }: MethodName,
  { input, signal }: { readonly input: unknown; readonly signal: CallOptions["signal"] },
): Promise<Response> {
  const response = await fetch(new URL(`${HTTP_PATH}/${service}/${method}`, base), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
    signal,
  });
  if (response.ok) return response;
  const { error } = parse(await wholeText(response)) as { error?: { code?: string; message?: string } };
  throw receivedError(error?.code ?? `HTTP ${response.status}`, error?.message ?? `${base.host} serves no RPC there`);
}

async function wholeText(response: Response): Promise<string> {
  let text = "";
  for await (const piece of textPieces(response)) {
    text += piece;
    if (text.length > defaultRpcLimits.maxPayload) throw tooLarge();
  }
  return text;
}

async function* textLines(response: Response): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const piece of textPieces(response)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > defaultRpcLimits.maxPayload) throw tooLarge();
  }
}

async function* textPieces({ body }: Response): AsyncGenerator<string, void, undefined> {
  if (body === null) return;
  const decoder = new TextDecoder();
  for await (const bytes of body) yield decoder.decode(bytes as Uint8Array, { stream: true });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RpcError("invalid-answer", "the answer is no JSON; is this the monitoring address of a role?", { cause });
  }
}

function tooLarge(): RpcError {
  return new RpcError("payload-too-large", "the answer is longer than a payload may be; ask for less at once");
}

/** Runs one step; what breaks it becomes an RpcError. */
async function failing<T>(signal: AbortSignal, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (cause instanceof RpcError) throw cause;
    const isLate = signal.aborted && signal.reason instanceof Error && signal.reason.name === "TimeoutError";
    if (isLate) throw new RpcError("deadline-exceeded", "no answer within the call's deadline", { cause });
    if (signal.aborted) throw new RpcError("cancelled", "cancelled by this side", { cause });
    const { message, cause: inner } = cause as Error;
    const why = inner instanceof Error && inner.message !== "" ? inner.message : message;
    throw new RpcError("connection-lost", `the server cannot be reached: ${why}`, { cause });
  }
}
