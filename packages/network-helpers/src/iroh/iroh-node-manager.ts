import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import type { Listener, Transport } from "../byte-stream.ts";
import { within } from "../deadline.ts";
import { abortError, NetworkError } from "../errors.ts";
import { orAbort } from "../or-abort.ts";
import { type AcceptCounts, Acceptor, type ConnectionParts } from "./acceptor.ts";
import { type Iroh, loadIroh, type NativeEndpoint } from "./binding.ts";
import { dialIroh } from "./dial.ts";
import { bindEndpoint } from "./endpoint.ts";
import { endpointIdOf, KEY_SIZE, parseEndpointId } from "./endpoint-id.ts";
import { lanAddresses } from "./lan/interfaces.ts";
import type { LanService } from "./lan/records.ts";
import { ListenerTable, type ListenNames } from "./listener-table.ts";
import { loadOrCreateSecretKey, secretKeyFromEnvironment } from "./secret-key.ts";
import { type IrohOptions, type IrohSettings, irohSettings } from "./settings.ts";
import { IrohStream } from "./stream.ts";
import { StreamRegistry } from "./stream-registry.ts";
import { encodeTicket, type IrohAddress } from "./ticket.ts";

/** Longest wait for the endpoint to tell its peers goodbye. */
const ENDPOINT_CLOSE_MS = 5_000;

/** Every node of this process: an endpoint the garbage collector gets drops its connections without a word to the peers. */
const running = new Map<string, IrohNodeManager | "starting">();

/** What an Iroh node is doing. */
export interface IrohStats {
  /** Open streams, dialled and accepted. */
  readonly streams: number;
  /** Those of them that peers have dialled. */
  readonly acceptedStreams: number;
  /** Incoming connections between first packet and first stream. */
  readonly pending: number;
  /** ALPNs being listened on. */
  readonly alpns: readonly string[];
  /** Totals of incoming connections since the start. */
  readonly incoming: AcceptCounts;
}

/** The protocol name under which connections have two streams, beside the one under which they have one. */
export interface DualStreamsOptions {
  readonly alpn: string;
  /** Whether to dial with two streams where the peer knows them. Listeners take both kinds in any case. */
  readonly dial: boolean;
  /** Called when a peer that was dialled knows one stream only, which is then used. */
  readonly onFallback: (address: string) => void;
}

/**
 * One Iroh endpoint: an identity, its UDP sockets, its connections and its listeners by ALPN. Make one a process and
 * identity and keep it for as long as the process needs Iroh; listeners come and go on it.
 */
export class IrohNodeManager implements AsyncDisposable {
  /** This node's endpoint id, 64 hex digits. */
  readonly endpointId: string;
  readonly #iroh: Iroh;
  readonly #settings: IrohSettings;
  readonly #endpoint: NativeEndpoint;
  readonly #registry: StreamRegistry;
  readonly #acceptor: Acceptor;
  readonly #listeners: ListenerTable;
  /** Streams that a listener's own endpoint ids have let in. */
  readonly #admittedApart = new WeakSet<IrohStream>();
  readonly #unreached = new Set<string>();
  readonly #closing = new AbortController();
  #onClosed: () => void = () => undefined;
  /** Resolves when the node is closed: by whoever has it, or because its endpoint broke. It is of no use then. */
  readonly closed: Promise<void> = new Promise((resolve) => {
    this.#onClosed = resolve;
  });
  #online: Promise<void> | undefined;
  #disposal: Promise<void> | undefined;

  private constructor(iroh: Iroh, endpoint: NativeEndpoint, node: { endpointId: string; settings: IrohSettings }) {
    this.endpointId = node.endpointId;
    this.#iroh = iroh;
    this.#settings = node.settings;
    this.#endpoint = endpoint;
    this.#registry = new StreamRegistry(node.settings.liveness.checkIntervalMs);
    this.#listeners = new ListenerTable({
      address: () => this.address(),
      endpointId: node.endpointId,
      announce: (alpns) => this.#announceAlpns(alpns),
    });
    this.#acceptor = new Acceptor({
      iroh,
      endpoint,
      settings: node.settings,
      signal: this.#closing.signal,
      listenerOf: (alpn) => this.#listeners.of(alpn),
      isExpected: (peer) => this.#listeners.expects(peer),
      makeStream: (parts, { allowedPeers }, onClosed) => {
        const stream = this.#makeStream(parts, onClosed);
        if (allowedPeers !== undefined) this.#admittedApart.add(stream);
        return stream;
      },
    });
  }

  /**
   * Starts a node. `signal` covers the start only: whoever started the node disposes of it, once its connections have
   * been drained. Rejects with NetworkError: "iroh-unavailable" without the optional package, "invalid-config" for bad
   * settings, "node-initialisation" when a socket cannot be bound or this process already runs a node of the identity.
   */
  static async start(options: IrohOptions & { readonly signal: AbortSignal }): Promise<IrohNodeManager> {
    const settings = irohSettings(options);
    const iroh = await loadIroh();
    const secretKey = await identity(options);
    const endpointId = endpointIdOf(secretKey);
    if (options.signal.aborted) throw abortError(options.signal, endpointId, "starting the Iroh node");
    if (running.has(endpointId)) {
      const message = `this process already runs an Iroh node with endpoint id ${endpointId}; share that one`;
      throw new NetworkError("node-initialisation", { peer: endpointId, message });
    }
    running.set(endpointId, "starting");
    try {
      const endpoint = await bindEndpoint(iroh, settings, secretKey);
      if (options.signal.aborted) {
        await endpoint.close();
        throw abortError(options.signal, endpointId, "starting the Iroh node");
      }
      const node = new IrohNodeManager(iroh, endpoint, { endpointId, settings });
      running.set(endpointId, node);
      node.#run();
      return node;
    } catch (error) {
      running.delete(endpointId);
      throw error;
    }
  }

  /** Where this node can be reached, as far as it knows by now. */
  address(): IrohAddress {
    const address = this.#endpoint.addr();
    const relayUrl = address.relayUrl();
    return {
      endpointId: this.endpointId,
      relayUrls: relayUrl === null ? [] : [relayUrl],
      // The endpoint takes external ones over with a delay.
      addresses: [...new Set([...address.directAddresses(), ...this.#settings.externalAddresses])],
    };
  }

  /** The same as one word to hand to a dialler. */
  ticket(): string {
    return encodeTicket(this.address());
  }

  /** Local UDP addresses, `IP:PORT` and `[IPv6]:PORT`. */
  boundAddresses(): readonly string[] {
    return this.#endpoint.boundSockets();
  }

  /** Resolves once a relay is connected, which without a reachable one is never: give the signal a time limit. */
  async online({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#online ??= this.#endpoint.online();
    try {
      await orAbort(this.#online, signal, () => undefined);
    } catch (error) {
      throw signal.aborted ? abortError(signal, this.endpointId, "waiting for a relay") : error;
    }
  }

  /**
   * Replaces the endpoint ids that may connect (empty: all), and breaks the accepted connections of all others. Listeners
   * with endpoint ids of their own keep theirs.
   */
  setAllowedPeers(peers: readonly string[]): void {
    const ids = peers.map(parseEndpointId);
    this.#acceptor.admission.setAllowedPeers(ids);
    for (const stream of this.#registry.all()) {
      if (!stream.accepted || this.#admittedApart.has(stream)) continue;
      if (this.#acceptor.admission.allows(stream.peer)) continue;
      const message = `${stream.peer}: no longer among the allowed peers; list it in allowed_peers again if it should be`;
      stream.abort(new NetworkError("refused", { peer: stream.peer, message }));
    }
  }

  /**
   * Streams of one ALPN over this node. Dial addresses are those of `parseIrohAddress`; the listen address is "" and each
   * ALPN can be listened on once at a time. The peer sees a dialled stream when its first byte arrives. With `dual`,
   * connections may have two streams.
   */
  transport(alpn: string, dual?: DualStreamsOptions): Transport {
    const names = { alpn, dualAlpn: dual?.alpn };
    for (const name of [alpn, dual?.alpn ?? alpn]) {
      const length = new TextEncoder().encode(name).length;
      if (length > 0 && length <= 255) continue;
      throw new NetworkError("invalid-config", { peer: "", message: "an ALPN is 1 to 255 bytes long" });
    }
    return {
      kind: "iroh",
      dial: (address, { signal }) =>
        dual?.dial === true
          ? this.#dialDual(alpn, dual, { address, signal })
          : this.#dial(alpn, 1, { address, signal }),
      listen: (address, { signal }) => this.#listen(names, address, signal),
    };
  }

  /**
   * As {@link transport}, for an ALPN with endpoint ids of its own: in lower-case hex those that may connect to what
   * listens on it, in place of those of the node. None when empty; looked at anew for each connection.
   */
  transportFor(alpn: string, allowedPeers: ReadonlySet<string>): Transport {
    const shared = this.transport(alpn);
    return {
      ...shared,
      listen: (address, { signal }) => this.#listen({ alpn, dualAlpn: undefined, allowedPeers }, address, signal),
    };
  }

  /** Counters as of now. */
  stats(): IrohStats {
    return {
      streams: this.#registry.size,
      acceptedStreams: this.#registry.all().filter(({ accepted }) => accepted).length,
      pending: this.#acceptor.admission.pending,
      alpns: this.#listeners.alpns,
      incoming: this.#acceptor.counts(),
    };
  }

  /** Stops accepting, ends every stream gracefully and tells the peers. The UDP port is free after the next garbage collection. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#close();
    return this.#disposal;
  }

  /** The loop ends when the endpoint closes. Should the endpoint break by itself, the node is of no use any more. */
  #run(): void {
    const close = (): void => void this[Symbol.asyncDispose]();
    this.#acceptor.run().then(close, close);
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#listeners.end();
    await Promise.all(this.#registry.all().map((stream) => stream[Symbol.asyncDispose]()));
    this.#registry.stop();
    await within(ENDPOINT_CLOSE_MS, this.#endpoint.close()).catch(() => false);
    running.delete(this.endpointId);
    this.#onClosed();
  }

  /** With two streams; with one when the peer does not know the ALPN for two. */
  async #dialDual(alpn: string, dual: DualStreamsOptions, to: DialTarget): Promise<IrohStream> {
    try {
      return await this.#dial(dual.alpn, 2, to);
    } catch (error) {
      if (!(error instanceof NetworkError) || error.code !== "alpn-mismatch") throw error;
      dual.onFallback(to.address);
      return await this.#dial(alpn, 1, to);
    }
  }

  async #dial(alpn: string, streams: 1 | 2, { address, signal }: DialTarget): Promise<IrohStream> {
    if (this.#closing.signal.aborted) throw this.#closed();
    const parts = await dialIroh(
      { iroh: this.#iroh, endpoint: this.#endpoint, settings: this.#settings, unreached: this.#unreached },
      { alpn, address, signal },
    );
    // Closed meanwhile: nothing would end the stream any more.
    if (this.#closing.signal.aborted) throw this.#closed();
    return this.#makeStream({ ...parts, streams }, undefined);
  }

  async #listen(names: ListenNames, address: string, signal: AbortSignal): Promise<Listener> {
    if (this.#closing.signal.aborted) throw this.#closed();
    return this.#listeners.listen(names, address, signal);
  }

  /** Neighbours are told of a node that listens. */
  #announceAlpns(alpns: readonly string[]): void {
    const { lan } = this.#settings;
    if (alpns.length > 0) lan?.announce(this.endpointId, () => this.#lanService());
    else lan?.withdraw(this.endpointId);
    this.#endpoint.setAlpns(alpns.map((alpn) => this.#iroh.nativeText(alpn)));
  }

  #lanService(): LanService {
    const addresses = lanAddresses(networkInterfaces(), this.boundAddresses());
    return { endpointId: this.endpointId, alpns: this.#listeners.alpns, addresses };
  }

  #makeStream({ streams, ...parts }: ConnectionParts, onAcceptedClosed: (() => void) | undefined): IrohStream {
    const stream = new IrohStream({
      iroh: this.#iroh,
      parts: { ...parts, endpoint: this.#endpoint },
      accepted: onAcceptedClosed !== undefined,
      streams,
      settings: this.#settings,
      onClosed: (closed) => {
        if (this.#registry.remove(closed)) onAcceptedClosed?.();
      },
    });
    this.#registry.add(stream);
    return stream;
  }

  #closed(): NetworkError {
    const message = `the Iroh node ${this.endpointId} is closed; start a new one`;
    return new NetworkError("closed", { peer: this.endpointId, message });
  }
}

interface DialTarget {
  readonly address: string;
  readonly signal: AbortSignal;
}

/** The options' key, else the environment's, else the key file's, else a new one. */
async function identity(options: IrohOptions): Promise<Uint8Array> {
  const { secretKey } = options;
  if (secretKey !== undefined) {
    if (secretKey.length === KEY_SIZE) return secretKey;
    const message = `Iroh setting secretKey: needs ${KEY_SIZE} bytes, got ${secretKey.length}`;
    throw new NetworkError("invalid-config", { peer: "", message });
  }
  const env = options.env ?? process.env;
  if (options.secretKeyPath !== undefined) return loadOrCreateSecretKey(options.secretKeyPath, env);
  return secretKeyFromEnvironment(env) ?? new Uint8Array(randomBytes(KEY_SIZE));
}
