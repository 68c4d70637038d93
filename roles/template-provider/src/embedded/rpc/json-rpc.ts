import { z } from "zod";
import type { RpcMethods } from "./rpc-call.ts";
import { RpcError, rpcErrorCodes } from "./rpc-error.ts";

/** What goes back over HTTP; an empty text when nothing was asked. */
export interface RpcReply {
  /** HTTP status, as Bitcoin Core answers: an error of a single call of JSON-RPC 1 has one of its own. */
  readonly status: number;
  readonly text: string;
}

/** One finished call. */
export interface RpcCall {
  /** Undefined when there is no such method. */
  readonly method: string | undefined;
  readonly outcome: "ok" | "error";
}

/** What {@link answerRpc} works with. */
export interface RpcPorts {
  readonly methods: RpcMethods;
  readonly signal: AbortSignal;
  /** Told of each call, for metrics. */
  readonly onCall: (call: RpcCall) => void;
  /** Told of a fault of ours, which the caller only hears to be one. */
  readonly onFault: (error: unknown) => void;
}

/** Calls in one batch. */
const MAX_BATCH = 1000;
/** The answers of a batch beyond this many characters are errors: whoever asked asks again for less. */
const MAX_BATCH_TEXT = 32 * 1024 * 1024;

const request = z.looseObject({
  jsonrpc: z.enum(["1.0", "1.1", "2.0"]).optional(),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string(),
  params: z.array(z.unknown()).nullish(),
});

type Request = z.output<typeof request>;
type Outcome = { readonly result: unknown } | { readonly error: RpcError };

/** Answers the body of one HTTP request: a call or a batch of JSON-RPC 1.0, 1.1 or 2.0. Never rejects. */
export async function answerRpc(body: string, ports: RpcPorts): Promise<RpcReply> {
  const parsed = parse(body);
  if (Array.isArray(parsed)) return await answerBatch(parsed, ports);
  const { reply, outcome, isVersion2 } = await answerOne(parsed, ports);
  if (reply === undefined) return { status: 204, text: "" };
  return { status: isVersion2 ? 200 : statusOf(outcome), text: reply };
}

async function answerBatch(calls: readonly unknown[], ports: RpcPorts): Promise<RpcReply> {
  if (calls.length > MAX_BATCH) {
    const error = new RpcError("invalidRequest", `a batch has at most ${MAX_BATCH} calls; send several`);
    return { status: statusOf({ error }), text: encode({ id: null }, { error }) };
  }
  const replies: string[] = [];
  let size = 0;
  for (const call of calls) {
    const { reply } = size > MAX_BATCH_TEXT ? tooMuch(call) : await answerOne(call, ports);
    if (reply === undefined) continue;
    replies.push(reply);
    size += reply.length;
  }
  const nothing = calls.length > 0 && replies.length === 0;
  return nothing ? { status: 204, text: "" } : { status: 200, text: `[${replies.join(",")}]` };
}

interface Answered {
  /** Undefined for a notification, which JSON-RPC 2.0 does not answer. */
  readonly reply: string | undefined;
  readonly outcome: Outcome;
  readonly isVersion2: boolean;
}

async function answerOne(call: unknown, ports: RpcPorts): Promise<Answered> {
  const parsed = request.safeParse(call);
  if (!parsed.success) return refused(call, faultOf(call, parsed.error));
  const { data } = parsed;
  const isVersion2 = data.jsonrpc === "2.0";
  const outcome = await outcomeOf(data, ports);
  const isNotification = isVersion2 && data.id === undefined;
  return { reply: isNotification ? undefined : encode(data, outcome), outcome, isVersion2 };
}

async function outcomeOf({ method: name, params }: Request, ports: RpcPorts): Promise<Outcome> {
  const method = ports.methods.get(name);
  if (method === undefined) {
    ports.onCall({ method: undefined, outcome: "error" });
    return { error: new RpcError("methodNotFound", "Method not found") };
  }
  try {
    const result = await method({ params: params ?? [], signal: ports.signal });
    ports.onCall({ method: name, outcome: "ok" });
    return { result };
  } catch (error) {
    ports.onCall({ method: name, outcome: "error" });
    if (error instanceof RpcError) return { error };
    ports.onFault(error);
    return { error: new RpcError("internal", "a fault of the template provider; see its log") };
  }
}

function tooMuch(call: unknown): Answered {
  return refused(call, new RpcError("internal", "the answers before are as large as a batch's may be; ask again"));
}

function refused(call: unknown, error: RpcError): Answered {
  const { id, jsonrpc } = asked(call);
  return { reply: encode({ id, jsonrpc }, { error }), outcome: { error }, isVersion2: jsonrpc === "2.0" };
}

function faultOf(call: unknown, { issues: [issue] }: z.ZodError): RpcError {
  if (typeof call !== "object" || call === null) return new RpcError("parse", "expected a call or a list of calls");
  if (issue?.path[0] === "params")
    return new RpcError("invalidRequest", "params: expected a list; names are not known");
  return new RpcError("invalidRequest", `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not as expected"}`);
}

/** What can be said of a call that cannot be read. */
function asked(call: unknown): { readonly id: Request["id"]; readonly jsonrpc: Request["jsonrpc"] } {
  const id = request.pick({ id: true }).safeParse(call).data?.id ?? null;
  return { id, jsonrpc: request.pick({ jsonrpc: true }).safeParse(call).data?.jsonrpc };
}

function encode({ id = null, jsonrpc }: Pick<Request, "id" | "jsonrpc">, outcome: Outcome): string {
  const error = "error" in outcome ? { code: outcome.error.code, message: outcome.error.message } : null;
  const result = "result" in outcome ? outcome.result : null;
  if (jsonrpc !== "2.0") return JSON.stringify({ result, error, id });
  return JSON.stringify({ jsonrpc, ...(error === null ? { result } : { error }), id });
}

/** As Bitcoin Core answers a single call of JSON-RPC 1 (`httprpc.cpp`). */
function statusOf(outcome: Outcome): number {
  if ("result" in outcome) return 200;
  if (outcome.error.code === rpcErrorCodes.invalidRequest) return 400;
  return outcome.error.code === rpcErrorCodes.methodNotFound ? 404 : 500;
}

/** Undefined for what is no JSON, which is no call either. */
function parse(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}
