import { Deadline, NetworkError } from "@adit/network-helpers";
import {
  endpointIdOf,
  type IrohAddress,
  IrohNodeManager,
  type IrohRelay,
  parseIrohAddress,
} from "@adit/network-helpers/iroh";
import { type Caller, httpCaller, RpcConnection } from "@adit/network-helpers/rpc";
import { RPC_ALPN } from "@adit/role-network";
import { clientKey } from "./client-key.ts";

/** Where a role is called: over HTTP, or over Iroh. */
export type Target =
  | { readonly kind: "http"; readonly name: string; readonly url: URL }
  | { readonly kind: "iroh"; readonly name: string; readonly address: IrohAddress; readonly text: string };

/** A role that can be called. */
export interface Connected extends AsyncDisposable {
  readonly caller: Caller;
}

/** How an operator calls. */
export interface OperatorOptions {
  /** File of the operator's key; the default one when undefined. */
  readonly keyPath: string | undefined;
  /** `default`, `disabled`, or a relay's URL; undefined: what the targets need. */
  readonly relay: string | undefined;
  readonly timeoutMs: number;
}

/** Reads a target. Throws NetworkError "invalid-config". */
export function parseTarget(text: string): Target {
  if (/^https?:\/\//i.test(text)) {
    if (!URL.canParse(text)) throw badTarget(`${text} is no URL`);
    const url = new URL(text);
    return { kind: "http", name: url.host, url };
  }
  try {
    const address = parseIrohAddress(text);
    return { kind: "iroh", name: `${address.endpointId.slice(0, 10)}…`, address, text };
  } catch (cause) {
    throw badTarget(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** The relays that reach every target: n0's when one is known by its id alone, else those that the targets name. */
export function relaysFor(targets: readonly Target[]): "default" | "disabled" | readonly IrohRelay[] {
  const addresses = targets.flatMap((target) => (target.kind === "iroh" ? [target.address] : []));
  if (addresses.some((address) => address.relayUrls.length === 0 && address.addresses.length === 0)) return "default";
  const urls = new Set(addresses.flatMap(({ relayUrls }) => relayUrls));
  return urls.size === 0 ? "disabled" : [...urls].map((url) => ({ url }));
}

/** Calls roles with the operator's own key. Disposing it closes its Iroh node, connections of which are to be closed before. */
export class Operator implements AsyncDisposable {
  readonly #options: OperatorOptions;
  readonly #targets: readonly Target[];
  #node: Promise<IrohNodeManager> | undefined;

  constructor(targets: readonly Target[], options: OperatorOptions) {
    this.#targets = targets;
    this.#options = options;
  }

  /** Connects to one of the targets. Over HTTP nothing happens before the first call. */
  async connect(target: Target, signal: AbortSignal): Promise<Connected> {
    if (target.kind === "http") {
      return { caller: httpCaller(target.url), [Symbol.asyncDispose]: async () => undefined };
    }
    const node = await (this.#node ??= this.#start());
    using deadline = new Deadline(signal, this.#options.timeoutMs);
    const connection = new RpcConnection(await node.transport(RPC_ALPN).dial(target.text, { signal: deadline.signal }));
    return { caller: connection, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
  }

  /** What went wrong, for the person at the terminal, with what to do where this side knows more than the error. */
  async explain(error: unknown): Promise<string> {
    const message = error instanceof Error ? error.message : String(error);
    if (!/not-allowed|allowed.peers/.test(message)) return message;
    const id = endpointIdOf(await clientKey(this.#options.keyPath));
    return `${message}; this side is ${id}: it must be among allowed_peers in the [rpc] table of the role's config`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const node = await this.#node?.catch(() => undefined);
    await node?.[Symbol.asyncDispose]();
  }

  async #start(): Promise<IrohNodeManager> {
    const { relay, keyPath, timeoutMs } = this.#options;
    return await IrohNodeManager.start({
      secretKey: await clientKey(keyPath),
      relay:
        relay === undefined
          ? relaysFor(this.#targets)
          : relay === "default" || relay === "disabled"
            ? relay
            : [{ url: relay }],
      bind: [],
      allowedPeers: [],
      maxConnectionsPerPeer: 1,
      dialTimeoutMs: timeoutMs,
      signal: new AbortController().signal,
    });
  }
}

function badTarget(why: string, cause?: unknown): NetworkError {
  const message = `${why}; a target is an endpoint id, a ticket, or the http:// address of a role's monitoring`;
  return new NetworkError("invalid-config", { peer: "", message, cause });
}
