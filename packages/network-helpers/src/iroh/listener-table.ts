import type { Listener } from "../byte-stream.ts";
import { abortError, NetworkError, printable } from "../errors.ts";
import type { Listening } from "./acceptor.ts";
import { IrohListener } from "./listener.ts";
import type { IrohAddress } from "./ticket.ts";

/** What the table needs of its node. */
export interface ListenerTableOptions {
  /** Where the node is reachable now. */
  readonly address: () => IrohAddress;
  readonly endpointId: string;
  /** Called with every ALPN that is listened on, whenever they change. */
  readonly announce: (alpns: readonly string[]) => void;
}

/** The ALPN for one stream and the one for two, if there is one. */
export interface ListenNames {
  readonly alpn: string;
  readonly dualAlpn: string | undefined;
  /** Endpoint ids that may connect, in place of those of the node; absent: those of the node. */
  readonly allowedPeers?: ReadonlySet<string>;
}

/** The listeners of one node by ALPN. They come and go while the node runs. */
export class ListenerTable {
  readonly #options: ListenerTableOptions;
  readonly #listeners = new Map<string, Listening>();

  constructor(options: ListenerTableOptions) {
    this.#options = options;
  }

  /** Every ALPN that is listened on. */
  get alpns(): readonly string[] {
    return [...this.#listeners.keys()];
  }

  /** Who listens on an ALPN, if anybody. */
  of(alpn: string): Listening | undefined {
    return this.#listeners.get(alpn);
  }

  /** Whether a listener with endpoint ids of its own expects this one. */
  expects(peer: string): boolean {
    return [...this.#listeners.values()].some(({ listener }) => listener.allowedPeers?.has(peer));
  }

  /** Starts a listener for all its names, until it or `signal` ends it. Throws NetworkError as `Transport.listen` rejects. */
  listen({ alpn, dualAlpn, allowedPeers }: ListenNames, address: string, signal: AbortSignal): Listener {
    const { endpointId } = this.#options;
    if (signal.aborted) throw abortError(signal, endpointId, "starting to listen");
    if (address !== "") {
      const message = `an Iroh listener takes no address, but got "${printable(address)}"; set the node's bind addresses instead`;
      throw new NetworkError("invalid-config", { peer: endpointId, message });
    }
    const names = dualAlpn === undefined ? [alpn] : [alpn, dualAlpn];
    const taken = names.find((name) => this.#listeners.has(name));
    if (taken !== undefined) {
      const message = `this node already listens on ALPN ${printable(taken)}; stop that listener first or use another ALPN`;
      throw new NetworkError("node-initialisation", { peer: endpointId, message });
    }
    const listener = new IrohListener({
      address: this.#options.address,
      allowedPeers,
      onEnded: () => {
        signal.removeEventListener("abort", stop);
        for (const name of names) this.#listeners.delete(name);
        this.#options.announce(this.alpns);
      },
    });
    const stop = (): void => listener.end();
    signal.addEventListener("abort", stop, { once: true });
    for (const name of names) this.#listeners.set(name, { listener, streams: name === dualAlpn ? 2 : 1 });
    this.#options.announce(this.alpns);
    return listener;
  }

  /** Ends every listener. */
  end(): void {
    for (const { listener } of this.#listeners.values()) listener.end();
  }
}
