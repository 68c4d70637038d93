import { type ByteStream, NetworkError, type NetworkErrorCode } from "@adit/network-helpers";
import {
  type Caller,
  clientOf,
  httpCaller,
  RpcConnection,
  RpcError,
  type RpcErrorCode,
} from "@adit/network-helpers/rpc";
import { healthService } from "@adit/role-network";
import type { Target } from "./target.ts";

/** A role that answers calls. */
export interface RoleLink extends AsyncDisposable {
  readonly caller: Caller;
  /** Settles when the connection has ended; never over HTTP, where each call has one of its own. */
  readonly ended: Promise<unknown>;
}

/** Opens a stream for calls to a role over Iroh. */
export type DialIroh = (address: string, options: { readonly signal: AbortSignal }) => Promise<ByteStream>;

/**
 * Connects to a role, and has it answer a first call: that an endpoint takes a stream, or that a socket opens, does not say that this
 * side may call there. Rejects with NetworkError.
 */
export async function openLink(
  target: Target,
  { dialIroh, signal }: { readonly dialIroh: DialIroh; readonly signal: AbortSignal },
): Promise<RoleLink> {
  const link = target.kind === "http" ? overHttp(target.url) : overStream(await dialIroh(target.text, { signal }));
  try {
    await checkLink(link, { signal });
    return link;
  } catch (error) {
    await link[Symbol.asyncDispose]();
    throw asDialFault(error, target);
  }
}

/** Rejects when the role does not answer. What it answers, and whether it serves `health` at all, does not matter. */
export async function checkLink({ caller }: RoleLink, options: { readonly signal: AbortSignal }): Promise<void> {
  try {
    await clientOf(healthService, caller).check({}, options);
  } catch (error) {
    if (isBroken(error)) throw error;
  }
}

/** Whether a call's failure is one of its connection, or of a role that does not answer, and not of the call. */
export function isBroken(error: unknown): boolean {
  return error instanceof NetworkError || (error instanceof RpcError && broken[error.code] !== undefined);
}

/** What a call's fault says of its connection; faults that are not here say nothing of it. */
const broken: Partial<Record<RpcErrorCode, NetworkErrorCode>> = {
  "connection-lost": "connection-failed",
  "going-away": "refused",
  "deadline-exceeded": "timed-out",
};

/** The fault of a first call as one of the dial, with the same words. */
function asDialFault(error: unknown, { name }: Target): unknown {
  const code = error instanceof RpcError ? broken[error.code] : undefined;
  if (code === undefined) return error;
  return new NetworkError(code, { peer: name, message: (error as RpcError).message, cause: error });
}

function overStream(stream: ByteStream): RoleLink {
  const connection = new RpcConnection(stream);
  return {
    caller: connection,
    ended: connection.closed,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

function overHttp(url: URL): RoleLink {
  return {
    caller: httpCaller(url),
    ended: new Promise(() => undefined),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
