import { z } from "zod";
import type { NodeError } from "./errors.ts";
import { type CallSite, notJsonRpc, rpcFault } from "./node-faults.ts";

/** One request of JSON-RPC 1.0, which every node understands. */
export interface RpcRequest {
  readonly jsonrpc: "1.0";
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** What came of one request. */
export type RpcOutcome = { readonly result: unknown } | { readonly error: NodeError };

const reply = z.looseObject({
  id: z.union([z.number(), z.string(), z.null()]).optional(),
  result: z.unknown().optional(),
  error: z.looseObject({ code: z.int(), message: z.string() }).nullish(),
});

/**
 * The outcome of a single request from the parsed body.
 *
 * @throws NodeError `bad-response` when the body is no reply to this request.
 */
export function outcomeOf(body: unknown, id: number, site: CallSite): RpcOutcome {
  const parsed = reply.safeParse(body);
  if (!parsed.success) throw notJsonRpc("did not answer in JSON-RPC", site, parsed.error);
  const { id: answered, result, error } = parsed.data;
  // A node that could not read the request cannot name it.
  if (answered !== id && (error == null || answered != null)) throw notJsonRpc("answered another request", site);
  return error == null ? { result } : { error: rpcFault(error, site) };
}

/**
 * The outcomes of a batch in the order of its ids; a node may answer in any order.
 *
 * @throws NodeError `bad-response` when the body is no reply to this batch; any code when the node refused it whole.
 */
export function outcomesOf(body: unknown, ids: readonly number[], site: CallSite): readonly RpcOutcome[] {
  if (!Array.isArray(body)) return wholeRefusal(body, site);
  const byId = new Map(body.map((entry: unknown) => [(entry as { readonly id?: unknown } | null)?.id, entry]));
  return ids.map((id) => outcomeOf(byId.get(id), id, site));
}

function wholeRefusal(body: unknown, site: CallSite): never {
  const parsed = reply.safeParse(body);
  if (parsed.success && parsed.data.error != null) throw rpcFault(parsed.data.error, site);
  throw notJsonRpc("did not answer a batch with a list", site);
}
