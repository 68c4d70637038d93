import type { ShareHashing } from "@adit/bitcoin";
import type { Protocol } from "@adit/codec";
import { loadCrypto } from "@adit/fast-crypto";
import {
  type ClientSecurity,
  type ConnectionInfo,
  dialSv2,
  dialUpstream,
  HandshakeGate,
  type ListenEvent,
  type ListenerStatus,
  type ListenOn,
  NetworkError,
  type ServerSecurity,
  type Sv2Connection,
  type Sv2Listeners,
  type Sv2Server,
  serveSv2,
  systemEntropy,
  type Transport,
} from "@adit/network-helpers";
import { alpns, type DualStreamsOptions, dualAlpn } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { decodeAuthorityPublicKey, type NoiseCrypto, ResponderIdentity } from "@adit/noise";
import {
  type IrohSettings,
  isLoopback,
  peerText,
  type RoleContext,
  type RpcSettings,
  splitAddress,
  type UpstreamSettings,
  version,
} from "@adit/role-kit";
import { loadAuthority } from "./authority.ts";
import { dialEvents, listenEvents, tell } from "./events.ts";
import { type IdentityNode, IrohIdentity, type IrohRoleSettings } from "./iroh-identity.ts";
import { type NetworkMetrics, networkMetrics } from "./metrics.ts";
import { PathWatch } from "./path-watch.ts";
import { ReconnectMeter, upstreamKey } from "./reconnect-meter.ts";
import { rpcNeedsIroh, type ServedRpc, serveRpc } from "./rpc/serve-rpc.ts";
import { type ListenLimitSettings, type ServerSettings, toListenLimits } from "./settings.ts";
import { connectionStatus, listenerStatus, type NetworkStatus, rpcConnectionStatus } from "./status.ts";
import { TrackedConnection } from "./tracked-connection.ts";

/** What a client role says of itself when it dials. */
export interface ClientHello<P extends Protocol> {
  readonly protocol: P;
  /** Flags of SetupConnection. */
  readonly flags: number;
  /** Extensions to ask for (extension 0x0001). */
  readonly requestExtensions: readonly number[];
  /** Extensions without which the connection is of no use. */
  readonly requiredExtensions: readonly number[];
}

/** An upstream's entry, and which of its transports to dial. */
export interface DialledUpstream extends UpstreamSettings {
  readonly transport: "tcp" | "iroh";
}

/** How a role serves: its config, what it is, and who handles a connection. */
export interface ServeOptions<P extends Protocol> {
  readonly settings: ServerSettings;
  readonly limits: ListenLimitSettings;
  readonly server: Sv2Server<P>;
  /** Owns the connection until it resolves; a rejection closes that connection and nothing else. */
  readonly handler: (connection: Sv2Connection<P>) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Running listeners. */
export interface Served extends AsyncDisposable {
  /** Base58check; null without Noise. */
  readonly authorityPublicKey: string | null;
  /** Snapshot of each listener. */
  listeners(): readonly ListenerStatus[];
  /** Replaces the limits for connections that come from now on; nobody who is in has to leave. */
  setLimits(limits: ListenLimitSettings): void;
}

/** The network of one role process: its crypto, its Iroh node, its listeners and its dialled connections. */
export interface Network extends AsyncDisposable {
  readonly crypto: NoiseCrypto;
  readonly hashing: ShareHashing;
  /** This process's Iroh endpoint id; null when its config uses no Iroh. */
  readonly endpointId: string | null;
  /**
   * Dials an upstream over one transport, secures it and sets it up, all under one deadline. Choosing among transports is
   * the caller's: see `transportsTo` and `UpstreamChoice`.
   *
   * @throws NetworkError
   */
  dial<P extends Protocol>(
    upstream: DialledUpstream,
    hello: ClientHello<P>,
    options: { readonly signal: AbortSignal },
  ): Promise<Sv2Connection<P>>;
  /** Streams of a protocol name that is no Stratum's, over this process's Iroh node; undefined when it has none. */
  irohTransport(alpn: string): Transport | undefined;
  /** Listens on the transports the config names; one failing leaves the other up. */
  serve<P extends Protocol>(options: ServeOptions<P>): Promise<Served>;
  /** Listeners and connections, for the role's status document. */
  status(): NetworkStatus;
  /**
   * Lets the role's operator break off connections that are not of this network: `disconnect` is asked for ids it does not
   * have, and returns the peer, or null for an id that it does not have either.
   */
  onDisconnect(disconnect: (id: number) => string | null): void;
}

const DIAL_TIMEOUT_MS = 10_000;
const SETUP_TIMEOUT_MS = 10_000;
/** How often the paths of Iroh connections are looked at. */
const PATH_LOOK_MS = 5_000;

/**
 * Loads the fastest crypto there is, starts the process's Iroh node when the config uses Iroh, and serves the operator's
 * calls when the role runs in a process of its own.
 */
export async function openNetwork(
  settings: { readonly iroh: IrohSettings; readonly needsIroh: IrohNeed; readonly rpc?: RpcSettings },
  context: RoleContext<IrohRoleSettings>,
): Promise<Network> {
  const crypto = await loadCrypto();
  context.log.info({ crypto: crypto.report }, "crypto loaded");
  const { rpc, needsIroh } = settings;
  const required = needsIroh === "required";
  const iroh =
    required || needsIroh === "wanted"
      ? await IrohIdentity.start(settings.iroh, context, { required })
      : await irohForCalls(settings, context);
  const network = new RoleNetwork({ context, crypto, iroh, names: settings.iroh });
  const { operations } = context;
  if (rpc === undefined || operations === undefined) return network;
  try {
    const disconnect = (id: number): string | null => network.disconnect(id);
    network.serveOperator(await serveRpc({ settings: rpc, context, operations, iroh, disconnect }));
    return network;
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

/** How much a role needs an Iroh node: not at all, beside TCP, or as its only way. */
export type IrohNeed = "no" | "wanted" | "required";

type TransportKind = ServerSettings["transport"];

/** What the transports of a role's config come to: of what it cannot do without, and of what it can. */
export function irohNeed(all: readonly TransportKind[], others: readonly TransportKind[] = []): IrohNeed {
  if (all.includes("iroh")) return "required";
  return [...all, ...others].some((transport) => transport !== "tcp") ? "wanted" : "no";
}

/** What upstreams of which one is enough come to: `iroh` or `tcp` when there is no other way to any. */
export function transportOfAll(upstreams: readonly { readonly transport: TransportKind }[]): TransportKind {
  const [transport = "dual", ...others] = new Set(upstreams.map((one) => one.transport));
  return others.length === 0 ? transport : "dual";
}

/** A node for the operator's calls alone. When it does not start, the role does its work without them meanwhile. */
async function irohForCalls(
  { rpc, iroh }: { readonly rpc?: RpcSettings; readonly iroh: IrohSettings },
  context: RoleContext<IrohRoleSettings>,
): Promise<IrohIdentity | undefined> {
  if (rpc === undefined || context.operations === undefined || !rpcNeedsIroh(rpc)) return undefined;
  return await IrohIdentity.start(iroh, context, { required: false });
}

interface Parts {
  readonly context: RoleContext;
  readonly crypto: { readonly noise: NoiseCrypto; readonly hashing: ShareHashing };
  readonly iroh: IrohIdentity | undefined;
  readonly names: Pick<IrohSettings, "alpn" | "streams">;
}

type LiveConnection = Pick<Sv2Connection<Protocol>, "id" | "peer" | "abort">;

class RoleNetwork implements Network {
  readonly crypto: NoiseCrypto;
  readonly hashing: ShareHashing;
  readonly #context: RoleContext;
  readonly #iroh: IrohIdentity | undefined;
  readonly #names: Pick<IrohSettings, "alpn" | "streams">;
  readonly #tcp: Transport = tcp();
  readonly #metrics: NetworkMetrics;
  readonly #reconnects: ReconnectMeter;
  readonly #paths: PathWatch;
  readonly #dialled = new Set<LiveConnection & Pick<Sv2Connection<Protocol>, "info" | typeof Symbol.asyncDispose>>();
  readonly #accepted = new Set<LiveConnection>();
  readonly #listening = new Set<Sv2Listeners>();
  readonly #others: ((id: number) => string | null)[] = [];
  #rpc: ServedRpc | undefined;
  #watching: NodeJS.Timeout | undefined;

  constructor({ context, crypto, iroh, names }: Parts) {
    this.crypto = crypto.noise;
    this.hashing = crypto.hashing;
    this.#context = context;
    this.#iroh = iroh;
    this.#names = names;
    this.#metrics = networkMetrics(context.metrics, () => this.#live());
    this.#reconnects = new ReconnectMeter(context.metrics);
    this.#paths = new PathWatch(context.metrics, context.log);
    if (iroh !== undefined) {
      this.#watching = setInterval(() => this.#lookAtPaths(), PATH_LOOK_MS).unref();
    }
  }

  get endpointId(): string | null {
    return this.#iroh?.endpointId ?? null;
  }

  irohTransport(alpn: string): Transport | undefined {
    return this.#iroh?.current.transport(alpn);
  }

  async dial<P extends Protocol>(
    upstream: DialledUpstream,
    hello: ClientHello<P>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Sv2Connection<P>> {
    const transport = upstream.transport;
    try {
      const connection = await this.#setUp(upstream, hello, signal);
      this.#metrics.dialled(transport, null);
      return connection;
    } catch (error) {
      // Told to stop is no fault of anybody's.
      if (!signal.aborted) this.#metrics.dialled(transport, error);
      throw error;
    }
  }

  async #setUp<P extends Protocol>(
    upstream: DialledUpstream,
    hello: ClientHello<P>,
    signal: AbortSignal,
  ): Promise<Sv2Connection<P>> {
    const { log } = this.#context;
    const key = upstreamKey(hello.protocol, upstream);
    const iroh = this.#sv2OverIroh(hello.protocol, upstream.encryption);
    const stream = await dialUpstream(
      upstream,
      { tcp: this.#tcp, iroh },
      {
        signal,
        dialTimeoutMs: DIAL_TIMEOUT_MS,
        onEvent: ({ type, ...fields }) => tell(log, dialEvents[type], fields),
      },
    );
    const security = this.#clientSecurity(upstream, stream.info().transport);
    const connection = await dialSv2(stream, this.#client(upstream, hello), {
      security,
      signal,
      deadlineMs: SETUP_TIMEOUT_MS,
    });
    if (connection.info().streams === 2) tell(log, "upstream speaks two streams", { peer: connection.peer });
    const tracked: TrackedConnection<P> = new TrackedConnection(connection, this.#metrics.messages, () => {
      if (!this.#dialled.delete(tracked)) return;
      this.#metrics.ended(tracked.info());
      this.#reconnects.ended(key);
    });
    this.#dialled.add(tracked);
    this.#reconnects.connected(key, upstream.transport);
    this.#paths.lookAt(tracked.info());
    return tracked;
  }

  async serve<P extends Protocol>({ settings, limits, server, handler, signal }: ServeOptions<P>): Promise<Served> {
    const authority = settings.encryption === "noise" ? await loadAuthority(settings) : null;
    const security = this.#serverSecurity(authority?.secretKey, settings.certValiditySec);
    this.#warnPlain(settings);
    const listeners = await serveSv2({
      listeners: this.#listenOn(settings, server.protocol).map((listener) => ({ ...listener, security })),
      server,
      limits: toListenLimits(limits),
      handler: async (connection) => {
        this.#accepted.add(connection);
        this.#paths.lookAt(connection.info());
        try {
          await handler(new TrackedConnection(connection, this.#metrics.messages, () => undefined));
        } finally {
          this.#accepted.delete(connection);
        }
      },
      onEvent: (event) => this.#onListenEvent(event),
      signal,
    });
    this.#listening.add(listeners);
    const detach = await this.#attach(listeners, { settings, protocol: server.protocol, security });
    return {
      authorityPublicKey: authority?.publicKey ?? null,
      listeners: () => listeners.status(),
      setLimits: (changed) => listeners.setLimits(toListenLimits(changed)),
      [Symbol.asyncDispose]: async () => {
        detach();
        this.#listening.delete(listeners);
        await listeners[Symbol.asyncDispose]();
      },
    };
  }

  status(): NetworkStatus {
    return {
      listeners: [...this.#listening].flatMap((listeners) =>
        listeners.status().map((one) => this.#listenerStatus(one)),
      ),
      connections: this.#live().map(({ info, direction }) => connectionStatus(info, direction)),
      rpc_connections: (this.#rpc?.connections() ?? []).map(rpcConnectionStatus),
    };
  }

  onDisconnect(disconnect: (id: number) => string | null): void {
    this.#others.push(disconnect);
  }

  /** Breaks the connection with this id in the status off. Null when there is none, else its peer. */
  disconnect(id: number): string | null {
    const connection = [...this.#dialled, ...this.#accepted].find((one) => one.id === id);
    if (connection === undefined) return this.#disconnectOther(id);
    const { peer } = connection;
    connection.abort(new NetworkError("closed", { peer, message: `${peer}: disconnected by the operator` }));
    return peer;
  }

  /** Takes over the operator's services, which end after everything else. */
  serveOperator(rpc: ServedRpc): void {
    this.#rpc = rpc;
    this.onDisconnect((id) => rpc.disconnect(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watching);
    await Promise.allSettled([...this.#listening].map((listeners) => listeners[Symbol.asyncDispose]()));
    await Promise.allSettled([...this.#dialled].map((connection) => connection[Symbol.asyncDispose]()));
    await this.#rpc?.[Symbol.asyncDispose]();
    await this.#iroh?.[Symbol.asyncDispose]();
  }

  /** With which of its two identities a process that has rotated its key listens there; null for other transports. */
  #listenerStatus(listener: ListenerStatus): Readonly<Record<string, unknown>> {
    const { endpointId } = listener;
    const identity = endpointId === null ? null : endpointId === this.endpointId ? "current" : "former";
    return { ...listenerStatus(listener), identity };
  }

  #disconnectOther(id: number): string | null {
    for (const disconnect of this.#others) {
      const peer = disconnect(id);
      if (peer !== null) return peer;
    }
    return null;
  }

  #live(): readonly { readonly info: ConnectionInfo; readonly direction: "upstream" | "downstream" }[] {
    const downstream = [...this.#listening].flatMap((listeners) => listeners.connections());
    return [
      ...[...this.#dialled].map((connection) => ({ info: connection.info(), direction: "upstream" as const })),
      ...downstream.map((info) => ({ info, direction: "downstream" as const })),
    ];
  }

  #lookAtPaths(): void {
    this.#paths.look(this.#live().map(({ info }) => info));
  }

  #sv2OverIroh(protocol: Protocol, encryption: "noise" | "plain"): Transport | undefined {
    return this.#iroh?.current.transport(...this.#namesOf(protocol, encryption));
  }

  /** Listeners take connections with two streams in any case; whether to dial with two is for the config to say. */
  #namesOf(protocol: Protocol, encryption: "noise" | "plain"): ProtocolNames {
    const alpn = this.#names.alpn ?? alpns[protocol][encryption];
    const dual = dualAlpn(protocol, alpn);
    if (dual === undefined) return [alpn];
    const onFallback = (address: string): void =>
      tell(this.#context.log, "the upstream knows one stream only, which is used", { address });
    return [alpn, { alpn: dual, dial: this.#names.streams === "dual", onFallback }];
  }

  /** Listens on the other nodes of this process, too: a former key's, and the new one's when a key is rotated. */
  async #attach(
    listeners: Sv2Listeners,
    { settings, protocol, security }: { settings: ServerSettings; protocol: Protocol; security: ServerSecurity },
  ): Promise<() => void> {
    if (this.#iroh === undefined || settings.transport === "tcp") return () => {};
    const names = this.#namesOf(protocol, settings.encryption);
    return await this.#iroh.attach((node) => listeners.listen({ ...listenAt(node, names), security }));
  }

  #listenOn(settings: ServerSettings, protocol: Protocol): readonly Omit<ListenOn, "security">[] {
    const listeners: Omit<ListenOn, "security">[] = [];
    if (settings.transport !== "iroh" && settings.listenAddress !== undefined) {
      listeners.push({ transport: this.#tcp, address: settings.listenAddress });
    }
    if (this.#iroh === undefined || settings.transport === "tcp") return listeners;
    return [...listeners, listenAt(this.#iroh.current, this.#namesOf(protocol, settings.encryption))];
  }

  #clientSecurity(upstream: UpstreamSettings, transport: string): ClientSecurity {
    if (upstream.encryption === "plain") {
      if (transport === "tcp")
        this.#context.log.warn(
          { address: upstream.address },
          "plain TCP upstream: anyone on the path can read and change it",
        );
      return "plain";
    }
    const { authorityPubkey } = upstream;
    if (authorityPubkey === undefined)
      this.#context.log.warn("no authority_pubkey: the upstream's certificate is not checked");
    return {
      noise: {
        crypto: this.crypto,
        authority: authorityPubkey === undefined ? null : decodeAuthorityPublicKey(authorityPubkey),
      },
    };
  }

  #serverSecurity(authoritySecretKey: Uint8Array | undefined, certValiditySec: number): ServerSecurity {
    if (authoritySecretKey === undefined) return "plain";
    const identity = new ResponderIdentity({
      crypto: this.crypto,
      entropy: systemEntropy,
      authoritySecretKey,
      certValiditySec,
    });
    return {
      noise: {
        crypto: this.crypto,
        identity,
        gate: new HandshakeGate({ perTurn: HANDSHAKES_PER_TURN, maxQueue: MAX_HANDSHAKE_QUEUE }),
      },
    };
  }

  #warnPlain(settings: ServerSettings): void {
    if (settings.encryption === "noise" || settings.listenAddress === undefined) return;
    const { host } = splitAddress(settings.listenAddress);
    const where = isLoopback(host) ? "this machine" : "the network";
    this.#context.log.warn(
      { address: settings.listenAddress },
      `plain TCP listener: anyone on ${where} can read and change the traffic`,
    );
  }

  #client<P extends Protocol>(upstream: UpstreamSettings, hello: ClientHello<P>): Parameters<typeof dialSv2<P>>[1] {
    return {
      ...hello,
      endpointHost: upstream.address ?? upstream.endpointId ?? "",
      endpointPort: upstream.port ?? 0,
      vendor: "Adit",
      hardwareVersion: `Node.js ${process.version}`,
      firmware: version,
      deviceId: "",
    };
  }

  #onListenEvent(event: ListenEvent): void {
    this.#metrics.count(event);
    const { type, ...fields } = event;
    const peer = peerText("peer" in event ? event.peer : "");
    tell(this.#context.log, listenEvents[type], { ...fields, peer });
  }
}

/** The ALPN of a protocol, and the one for two streams where there is one. */
type ProtocolNames = readonly [alpn: string, dual?: DualStreamsOptions];

/** The listener of one protocol at a node, for as long as the node is. */
function listenAt(node: IdentityNode, names: ProtocolNames): Omit<ListenOn, "security"> {
  return { transport: node.transport(...names), address: "", signal: node.signal };
}

const HANDSHAKES_PER_TURN = 4;
const MAX_HANDSHAKE_QUEUE = 256;
