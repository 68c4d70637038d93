const TIMEOUT_MS = 60_000;

/** Calls a method of a node over JSON-RPC. Rejects with {@link RpcError} when the node answers so. */
export type NodeRpc = <T>(method: string, params?: readonly unknown[]) => Promise<T>;

/** Where and as whom to call. */
export interface RpcAccess {
  /** http://host:port */
  readonly rpcUrl: string;
  readonly user: string;
  readonly password: string;
}

/** An error that a node answered a call with. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** The node's number for it. */
  readonly code: number;

  constructor(method: string, { code, message }: { readonly code: number; readonly message: string }) {
    super(`${method}: ${message} (${code})`);
    this.code = code;
  }
}

interface RpcAnswer {
  readonly result: unknown;
  readonly error: { readonly code: number; readonly message: string } | null;
}

/** JSON-RPC of the tests' own, so that what they see of a node does not depend on the code under test. */
export function nodeRpc({ rpcUrl, user, password }: RpcAccess): NodeRpc {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  return async <T>(method: string, params: readonly unknown[] = []): Promise<T> => {
    const response = await fetch(rpcUrl, {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "1.0", id: method, method, params }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    if (!/^\s*\{/.test(text)) throw new Error(`${method}: ${rpcUrl} answers ${response.status} ${text.slice(0, 200)}`);
    const { result, error } = JSON.parse(text) as RpcAnswer;
    if (error != null) throw new RpcError(method, error);
    return result as T;
  };
}
