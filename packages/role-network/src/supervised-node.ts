import {
  abortError,
  Backoff,
  type ByteStream,
  type Listener,
  NetworkError,
  type Transport,
} from "@adit/network-helpers";
import type { DualStreamsOptions, IrohNodeManager } from "@adit/network-helpers/iroh";
import type { RoleContext } from "@adit/role-kit";
import { tell } from "./events.ts";
import type { IdentityNode } from "./iroh-identity.ts";

/** What a {@link SupervisedNode} works with. */
export interface SupervisedNodeOptions {
  readonly endpointId: string;
  /** Starts the node. Rejects with NetworkError. */
  readonly start: () => Promise<IrohNodeManager>;
  readonly log: RoleContext["log"];
  /** Called when the node has come up, and when it could not be started. */
  readonly onStart: (result: "ok" | "failed") => void;
}

const RETRY = { minMs: 1000, maxMs: 30_000, random: Math.random };

/**
 * An Iroh node that is started again whenever it does not start or breaks (requirement A8), until it is ended. Meanwhile its
 * transports refuse, with the reason, so that whoever listens or dials tries again as with any other transport.
 */
export class SupervisedNode implements IdentityNode {
  readonly endpointId: string;
  readonly #options: SupervisedNodeOptions;
  readonly #ending = new AbortController();
  readonly #backoff = new Backoff(RETRY);
  #node: IrohNodeManager | undefined;
  #trouble: Error | undefined;
  #retry: NodeJS.Timeout | undefined;

  private constructor(options: SupervisedNodeOptions) {
    this.#options = options;
    this.endpointId = options.endpointId;
  }

  /** Starts a node. `required`: rejects when it does not start; else that is tried again and again. */
  static async start(options: SupervisedNodeOptions & { readonly required: boolean }): Promise<SupervisedNode> {
    const supervised = new SupervisedNode(options);
    const error = await supervised.#start();
    if (error !== undefined && options.required) {
      await supervised.end(error);
      throw error;
    }
    return supervised;
  }

  /** The node while it is up. */
  get node(): IrohNodeManager | undefined {
    return this.#node;
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  transport(alpn: string, dual?: DualStreamsOptions): Transport {
    return this.#follow((node) => node.transport(alpn, dual));
  }

  transportFor(alpn: string, allowedPeers: ReadonlySet<string>): Transport {
    return this.#follow((node) => node.transportFor(alpn, allowedPeers));
  }

  /** Ends the node for good. */
  async end(reason: Error): Promise<void> {
    this.#ending.abort(reason);
    clearTimeout(this.#retry);
    await this.#node?.[Symbol.asyncDispose]();
  }

  #follow(transportOf: (node: IrohNodeManager) => Transport): Transport {
    const now = (): Transport => transportOf(this.#running());
    return {
      kind: "iroh",
      dial: async (address, options): Promise<ByteStream> => await now().dial(address, options),
      listen: async (address, options): Promise<Listener> => await now().listen(address, options),
    };
  }

  #running(): IrohNodeManager {
    if (this.#node !== undefined) return this.#node;
    const { endpointId: peer } = this;
    if (this.#ending.signal.aborted) throw abortError(this.#ending.signal, peer, "using the Iroh node");
    const message = `the Iroh node ${peer} is not running; it is started again: ${this.#trouble?.message ?? ""}`;
    throw new NetworkError("node-initialisation", { peer, message, cause: this.#trouble });
  }

  async #start(): Promise<Error | undefined> {
    const { start, log, onStart } = this.#options;
    try {
      const node = await start();
      if (this.#ending.signal.aborted) {
        await node[Symbol.asyncDispose]();
        return undefined;
      }
      this.#node = node;
      onStart("ok");
      void node.closed.then(() => this.#onClosed());
      return undefined;
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      if (this.#ending.signal.aborted) return error;
      this.#trouble = error;
      onStart("failed");
      const retryInMs = this.#again();
      tell(log, "iroh node not started", { error, retryInMs });
      return error;
    }
  }

  #onClosed(): void {
    this.#node = undefined;
    if (this.#ending.signal.aborted) return;
    this.#backoff.reset();
    this.#trouble = new Error("it has stopped by itself");
    const retryInMs = this.#again();
    tell(this.#options.log, "iroh node stopped by itself", { endpointId: this.endpointId, retryInMs });
  }

  #again(): number {
    const retryInMs = this.#backoff.next();
    this.#retry = setTimeout(() => void this.#start(), retryInMs);
    return retryInMs;
  }
}
