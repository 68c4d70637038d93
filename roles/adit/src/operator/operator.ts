import type { ByteStream } from "@adit/network-helpers";
import { endpointIdOf, IrohNodeManager } from "@adit/network-helpers/iroh";
import { RPC_ALPN } from "@adit/role-network";
import { clientKey } from "./client-key.ts";
import type { Relays } from "./target.ts";

/** How an operator's command calls. */
export interface OperatorOptions {
  /** File of the operator's key; the default one when undefined. */
  readonly keyPath: string | undefined;
  readonly relay: Relays;
  readonly timeoutMs: number;
}

/** Who calls from a command line: an Iroh node with the operator's own key, started when it is needed first. */
export class Operator implements AsyncDisposable {
  readonly #options: OperatorOptions;
  #node: Promise<IrohNodeManager> | undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Opens a stream for calls to a role. Throws NetworkError. */
  async dial(address: string, { signal }: { readonly signal: AbortSignal }): Promise<ByteStream> {
    this.#node ??= this.#start();
    try {
      return await (await this.#node).transport(RPC_ALPN).dial(address, { signal });
    } catch (error) {
      // A node that did not start is started anew by the next dial.
      await this.#node?.catch(() => {
        this.#node = undefined;
      });
      throw error;
    }
  }

  /** What went wrong, for the person at the terminal, with what to do where this side knows more than the error. */
  async explain(error: unknown): Promise<string> {
    const message = error instanceof Error ? error.message : String(error);
    if (!/not-allowed|allowed.peers/.test(message)) return message;
    const id = endpointIdOf(await clientKey(this.#options.keyPath));
    return `${message}; this side is ${id}: it must be among allowed_peers in the [rpc] table of the role's config`;
  }

  /** Closes the node; connections over it are to be closed before. */
  async [Symbol.asyncDispose](): Promise<void> {
    const node = await this.#node?.catch(() => undefined);
    await node?.[Symbol.asyncDispose]();
  }

  async #start(): Promise<IrohNodeManager> {
    const { relay, keyPath, timeoutMs } = this.#options;
    return await IrohNodeManager.start({
      secretKey: await clientKey(keyPath),
      relay,
      bind: [],
      allowedPeers: [],
      maxConnectionsPerPeer: 1,
      dialTimeoutMs: timeoutMs,
      signal: new AbortController().signal,
    });
  }
}
