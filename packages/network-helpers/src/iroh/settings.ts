import { NetworkError, printable } from "../errors.ts";
import type { Discovery } from "./discovery.ts";
import { parseEndpointId } from "./endpoint-id.ts";
import type { LanDiscovery } from "./lan/lan-discovery.ts";
import { defaultLiveness, type LivenessOptions } from "./liveness.ts";
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from "./socket-address.ts";
import { MAX_ADDRESSES, parseRelayUrl } from "./ticket.ts";

/** One relay server of a custom list. */
export interface IrohRelay {
  /** http or https; an https one needs a publicly trusted certificate. */
  readonly url: string;
  /** UDP port of the relay's QUIC address discovery, which does what STUN did; absent means iroh's default. */
  readonly quicPort?: number | undefined;
  /** Bearer token the relay asks for. Secret. */
  readonly authToken?: string | undefined;
}

/** Settings of an Iroh node (requirement A5). */
export interface IrohOptions {
  /** The node's identity, 32 bytes; wins over every other source. */
  readonly secretKey?: Uint8Array | undefined;
  /** Key file, see `loadOrCreateSecretKey`. With neither a key, a file nor `IROH_SECRET`, the identity is new at each start. */
  readonly secretKeyPath?: string | undefined;
  /** Where `IROH_SECRET` is looked up; the process's environment when absent. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /**
   * "disabled": direct addresses only, nothing is contacted but peers. A list: those relays. "default": the relays and
   * the DNS discovery of n0, which publishes this node's addresses there.
   */
  readonly relay: "default" | "disabled" | readonly IrohRelay[];
  /**
   * UDP addresses to bind, at most one a family; empty is both wildcards. The family left out is bound too, on the same
   * port (loopback unless the other is a wildcard), as iroh would otherwise open it on a random port to everyone.
   */
  readonly bind: readonly string[];
  /** Endpoint ids that may connect; empty lets every id in. */
  readonly allowedPeers: readonly string[];
  /** Connections one endpoint id may hold at once; 8 to 16 is sensible, as dialling cost grows with them. */
  readonly maxConnectionsPerPeer: number;
  /** Addresses to announce on top, IP:PORT, for a host behind one-to-one NAT. */
  readonly externalAddresses?: readonly string[] | undefined;
  /** Deadline of one dial in milliseconds; 10 000 when absent. Iroh's own is 30 s. */
  readonly dialTimeoutMs?: number | undefined;
  /** Deadline for a peer's handshake, and again for its first byte, in milliseconds; 10 000 when absent. */
  readonly acceptTimeoutMs?: number | undefined;
  /** Longest graceful end of one stream in milliseconds; 2 000 when absent. */
  readonly closeTimeoutMs?: number | undefined;
  /** How long a peer may leave a full link unread, in milliseconds; 30 000 when absent. */
  readonly writeStallMs?: number | undefined;
  /** Connections between first packet and first stream; 512 when absent, a quarter of it for one source. */
  readonly maxPending?: number | undefined;
  /** Dead-peer detection; `defaultLiveness` when absent. */
  readonly liveness?: LivenessOptions | undefined;
  /** LAN discovery: the node is announced there while it listens, and dialled peers are looked for; off when absent. */
  readonly lan?: LanPeers | undefined;
  /** Called after each dial that has connected, with what was tried to find the peer. */
  readonly onDiscovery?: ((discovery: Discovery) => void) | undefined;
  /** Called for each connection that a peer has dialled, once it is handed to a listener. */
  readonly onAccepted?: ((endpointId: string) => void) | undefined;
  /** Called for each incoming connection that failed or was turned away, with its reason. Accepting goes on. */
  readonly onAcceptError?: ((error: NetworkError) => void) | undefined;
}

/** What a node uses of LAN discovery. */
export type LanPeers = Pick<LanDiscovery, "announce" | "withdraw" | "find">;

/** `IrohOptions` checked and complete. */
export interface IrohSettings {
  readonly relay: "default" | "disabled" | readonly IrohRelay[];
  /** Addresses the operator asked for. */
  readonly bind: readonly string[];
  /** The address of the family the operator left out; bound when the host has that family. */
  readonly bindOther: readonly string[];
  readonly externalAddresses: readonly string[];
  readonly allowedPeers: readonly string[];
  readonly maxConnectionsPerPeer: number;
  readonly maxPending: number;
  readonly maxPendingPerSource: number;
  readonly dialTimeoutMs: number;
  readonly acceptTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly writeStallMs: number;
  readonly liveness: LivenessOptions;
  readonly lan: LanPeers | undefined;
  readonly onDiscovery: (discovery: Discovery) => void;
  readonly onAccepted: (endpointId: string) => void;
  readonly onAcceptError: (error: NetworkError) => void;
}

/** Checks the options and fills in what is absent. Throws NetworkError "invalid-config" naming the setting. */
export function irohSettings(options: IrohOptions): IrohSettings {
  const maxPending = positive("maxPending", options.maxPending ?? 512);
  return {
    relay: typeof options.relay === "string" ? options.relay : checkRelays(options.relay),
    ...bindAddresses(options.bind),
    externalAddresses: (options.externalAddresses ?? []).map((text) =>
      formatSocketAddress(ipAddress("externalAddresses", text)),
    ),
    allowedPeers: options.allowedPeers.map(parseEndpointId),
    maxConnectionsPerPeer: positive("maxConnectionsPerPeer", options.maxConnectionsPerPeer),
    maxPending,
    maxPendingPerSource: Math.ceil(maxPending / 4),
    dialTimeoutMs: positive("dialTimeoutMs", options.dialTimeoutMs ?? 10_000),
    acceptTimeoutMs: positive("acceptTimeoutMs", options.acceptTimeoutMs ?? 10_000),
    closeTimeoutMs: positive("closeTimeoutMs", options.closeTimeoutMs ?? 2_000),
    writeStallMs: positive("writeStallMs", options.writeStallMs ?? 30_000),
    liveness: options.liveness ?? defaultLiveness,
    lan: options.lan,
    onDiscovery: options.onDiscovery ?? (() => undefined),
    onAccepted: options.onAccepted ?? (() => undefined),
    onAcceptError: options.onAcceptError ?? (() => undefined),
  };
}

/** Native code aborts the process on a second address of one family, so the check is here. */
function bindAddresses(bind: readonly string[]): Pick<IrohSettings, "bind" | "bindOther"> {
  const asked = (bind.length === 0 ? ["0.0.0.0:0", "[::]:0"] : bind).map((text) => ipAddress("bind", text));
  const [first, second, ...rest] = asked;
  if (first === undefined || rest.length > 0 || first.family === second?.family) {
    throw invalid("bind", "holds two addresses of one family; give at most one IPv4 and one IPv6 address");
  }
  const other = second === undefined ? [formatSocketAddress(counterpart(first))] : [];
  return { bind: asked.map(formatSocketAddress), bindOther: other };
}

function counterpart({ family, host, port }: SocketAddress): SocketAddress {
  if (family === "ipv4") return { family: "ipv6", host: host === "0.0.0.0" ? "::" : "::1", port };
  return { family: "ipv4", host: host === "::" ? "0.0.0.0" : "127.0.0.1", port };
}

function ipAddress(setting: string, text: string): SocketAddress {
  const address = parseSocketAddress(text);
  if (address === undefined || address.family === "name") {
    throw invalid(setting, `"${printable(text)}" is not IP:PORT or [IPv6]:PORT`);
  }
  return address;
}

function checkRelays(relays: readonly IrohRelay[]): readonly IrohRelay[] {
  if (relays.length === 0 || relays.length > MAX_ADDRESSES) {
    throw invalid("relay", `needs 1 to ${MAX_ADDRESSES} servers; say "disabled" for none`);
  }
  return relays.map((relay) => {
    const url = parseRelayUrl(relay.url);
    if (url === undefined) throw invalid("relay", `"${printable(relay.url)}" is no http or https URL`);
    return { ...relay, url };
  });
}

function positive(setting: string, value: number): number {
  if (!Number.isSafeInteger(value) || value <= 0) throw invalid(setting, "must be a whole number above zero");
  return value;
}

function invalid(setting: string, problem: string): NetworkError {
  return new NetworkError("invalid-config", { peer: "", message: `Iroh setting ${setting}: ${problem}` });
}
