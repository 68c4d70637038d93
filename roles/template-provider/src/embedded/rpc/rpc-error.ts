import type { z } from "zod";

/** Numbers of JSON-RPC's errors and of Bitcoin Core's (`rpc/protocol.h`), by what they mean. */
export const rpcErrorCodes = {
  /** A parameter is of another type. */
  typeError: -3,
  /** No such block or transaction. */
  notFound: -5,
  /** A parameter is out of range, or asks for what is not there. */
  invalidParameter: -8,
  /** The server stops, or the client has gone. */
  stopping: -9,
  /** The bytes are no block. */
  undecodable: -22,
  invalidRequest: -32600,
  methodNotFound: -32601,
  internal: -32603,
  parse: -32700,
} as const;

/** A call that has no result. The message is for whoever called and says what to give instead. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** One of {@link rpcErrorCodes}. */
  readonly code: number;

  constructor(reason: keyof typeof rpcErrorCodes, message: string) {
    super(message);
    this.code = rpcErrorCodes[reason];
  }
}

/**
 * A call's parameters by their schema.
 *
 * @throws RpcError `invalidParameter` that names the first one that does not fit.
 */
export function parameters<Schema extends z.ZodType>(schema: Schema, params: readonly unknown[]): z.output<Schema> {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue?.path[0];
  const which = typeof at === "number" ? `parameter ${at + 1}: ` : "";
  throw new RpcError("invalidParameter", `${which}${issue?.message ?? "not as expected"}`);
}
