import { z } from "zod";
import { logLevels } from "../log.ts";
import { splitAddress } from "../monitoring.ts";
import { endpointId, type RpcSettings, rpcSettings } from "./rpc-settings.ts";

/** `host:port`, checked when the file is read. */
export const address: z.ZodType<string, string> = z.string().refine(
  (text) => {
    try {
      splitAddress(text);
      return true;
    } catch {
      return false;
    }
  },
  { message: "expected host:port" },
);

const processShape = {
  monitoringAddress: z
    .exactOptional(address)
    .describe(
      "host:port of the monitoring server (metrics, health, readiness, status); off when absent; port 0 takes a free one",
    ),
  logLevel: z.enum(logLevels).default("info").describe("least severe level that is logged"),
  logFile: z.exactOptional(z.string()).describe("file to append log lines to; standard output when absent"),
  shutdown: z
    .enum(["graceful", "immediate"])
    .default("graceful")
    .describe(
      "what the first SIGINT or SIGTERM does: `graceful` tells peers, finishes what is under way and exits; `immediate` exits",
    ),
  shutdownTimeoutSecs: z
    .number()
    .positive()
    .max(600)
    .default(10)
    .describe("longest drain after the first SIGINT or SIGTERM, in seconds"),
  rpc: rpcSettings.prefault({}),
} as const;

/** Keys that every role has: monitoring, logging, shutdown, calls of its operator. Spread into a role's shape. */
export const processSettings: typeof processShape = processShape;

/** What {@link processSettings} parses to. */
export interface ProcessSettings {
  readonly monitoringAddress?: string;
  readonly logLevel: (typeof logLevels)[number];
  readonly logFile?: string;
  readonly shutdown: "graceful" | "immediate";
  readonly shutdownTimeoutSecs: number;
  readonly rpc: RpcSettings;
}

/** What is kept of the stop timeout for the goodbye: messages on their way are sent, and connections closed. */
const GOODBYE_MS = 4000;

/**
 * How long a role that stops may wait for its upstreams' answers to its last shares, in milliseconds from when it was told
 * to stop: pools answer in batches, seconds apart.
 */
export function lastAnswersMs({ shutdownTimeoutSecs }: Pick<ProcessSettings, "shutdownTimeoutSecs">): number {
  const timeoutMs = shutdownTimeoutSecs * 1000;
  return Math.max(timeoutMs - GOODBYE_MS, timeoutMs / 2);
}

const relayServer = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe("relay URL, e.g. https://relay.example.org/"),
  quicPort: z
    .exactOptional(z.int().min(1).max(65_535))
    .describe("UDP port of the relay's QUIC address discovery (takes the place of STUN)"),
  authToken: z.exactOptional(z.string().min(1)).describe("bearer token the relay asks for"),
});

const stunServers = z
  .exactOptional(
    z.unknown().refine(() => false, {
      message:
        "Iroh 1.x finds its public address over QUIC through its relays; remove stun_servers and give relay = [{ url, quic_port }]",
    }),
  )
  .describe("not used by Iroh 1.x; see relay");

/** The `[iroh]` table of every role: this process's Iroh node. */
export const irohSettings = z
  .strictObject({
    secretKeyPath: z
      .string()
      .default("iroh.key")
      .describe(
        "file that keeps the node's secret key (32 bytes, raw or hex, mode 0600); made at first start; the variable IROH_SECRET wins; `adit keys rotate` replaces it",
      ),
    relay: z
      .union([z.literal("default"), z.literal("disabled"), z.array(relayServer).min(1)])
      .default("disabled")
      .describe(
        "`default`: n0's public relays and DNS (publishes this node's addresses there); `disabled`: direct addresses only; or a list of relays",
      ),
    bind: z
      .array(address)
      .max(2)
      .default(["0.0.0.0:0", "[::]:0"])
      .describe("UDP addresses to bind, one a family; port 0 takes a free one"),
    rotationBind: z
      .exactOptional(z.array(address).min(1).max(2))
      .describe(
        "UDP addresses of the new key's endpoint while the former one keeps `bind`, after `adit keys rotate`; absent: those of bind with a free port",
      ),
    alpn: z
      .exactOptional(z.string().min(1).max(250))
      .describe("protocol name on the wire; absent: sv2-m, sv2-tp, … (Noise inside) or the same with /plain"),
    streams: z
      .enum(["single", "dual"])
      .default("single")
      .describe(
        "QUIC streams of a dialled connection: `dual` asks for control and mining data apart, and uses one where the other side knows one only; listeners take both",
      ),
    allowedPeers: z
      .array(endpointId)
      .max(100_000)
      .default([])
      .describe("endpoint ids that may connect; empty lets everyone"),
    maxConnectionsPerPeer: z
      .int()
      .min(1)
      .default(8)
      .describe("connections one endpoint id may hold; a crashed peer holds its own until it is noticed"),
    dialTimeoutSecs: z.number().positive().max(600).default(10).describe("longest dial, in seconds"),
    acceptTimeoutSecs: z
      .number()
      .positive()
      .max(600)
      .default(10)
      .describe("longest wait for a connecting peer's handshake, and again for its first byte, in seconds"),
    lanDiscovery: z
      .boolean()
      .default(false)
      .describe(
        "find peers on the local network by their endpoint id (mDNS), and be found there while listening; for networks whose hosts may know of each other",
      ),
    lanInterfaces: z
      .array(z.ipv4("expected the IPv4 address of an interface of this machine"))
      .max(16)
      .default([])
      .describe("IPv4 addresses of the interfaces that lan_discovery uses; empty: every one but loopback"),
    externalAddresses: z
      .array(address)
      .max(8)
      .default([])
      .describe("public addresses to publish in the ticket, for a 1:1 NAT"),
    stunServers,
  })
  .describe("the Iroh node of this process");

/** What {@link irohSettings} parses to. */
export type IrohSettings = z.output<typeof irohSettings>;

/** How a role's server listens or its client dials. */
export const transportKind = z.enum(["tcp", "iroh", "dual"]);

/** Which encryption is inside the transport. */
export const encryptionKind = z.enum(["noise", "plain"]);

const upstreamFields = {
  transport: transportKind
    .default("tcp")
    .describe("`tcp`, `iroh`, or `dual`: the preferred one first, the other when it fails"),
  prefer: z.enum(["iroh", "tcp"]).default("iroh").describe("which transport `dual` tries first"),
  address: z.exactOptional(z.string().min(1)).describe("host name or IP address, for TCP"),
  port: z.exactOptional(z.int().min(1).max(65_535)).describe("TCP port"),
  endpointId: z.exactOptional(endpointId).describe("the peer's Iroh endpoint id"),
  ticket: z
    .exactOptional(z.string().regex(/^endpoint[a-z2-7]+$/, "expected an Iroh endpoint ticket"))
    .describe("the peer's Iroh ticket, in place of endpoint_id"),
  relayUrl: z.exactOptional(z.url({ protocol: /^https?$/ })).describe("relay the peer is reachable through"),
  directAddresses: z
    .array(address)
    .max(16)
    .default([])
    .describe("UDP addresses of the peer (IP or host name and port), tried before a relay"),
  encryption: encryptionKind
    .default("noise")
    .describe("`noise`, or `plain` for none inside the transport (over TCP only on a trusted network)"),
  authorityPubkey: z
    .exactOptional(z.string().min(1))
    .describe("the authority key the peer's certificate must be signed with; without it the peer is not authenticated"),
} as const;

/** One entry of where a client role dials. Spread into a role's entry; check it with {@link checkUpstream}. */
export const upstreamSettings: typeof upstreamFields = upstreamFields;

/** What {@link upstreamSettings} parses to. */
export interface UpstreamSettings {
  readonly transport: "tcp" | "iroh" | "dual";
  readonly prefer: "iroh" | "tcp";
  readonly address?: string;
  readonly port?: number;
  readonly endpointId?: string;
  readonly ticket?: string;
  readonly relayUrl?: string;
  readonly directAddresses: readonly string[];
  readonly encryption: "noise" | "plain";
  readonly authorityPubkey?: string;
}

/** Adds a problem for every address that the chosen transport needs and the entry lacks. */
export function checkUpstream(upstream: UpstreamSettings, context: z.core.$RefinementCtx): void {
  const problem = (path: string, message: string): void => {
    context.addIssue({ code: "custom", path: [path], message, input: upstream });
  };
  if (upstream.transport !== "iroh") {
    if (upstream.address === undefined)
      problem("address", `expected a host: transport = "${upstream.transport}" dials TCP`);
    if (upstream.port === undefined) problem("port", `expected a port: transport = "${upstream.transport}" dials TCP`);
  }
  if (upstream.transport === "tcp") return;
  if (upstream.endpointId === undefined && upstream.ticket === undefined) {
    problem("endpointId", `expected endpoint_id or ticket: transport = "${upstream.transport}" dials Iroh`);
  }
  if (upstream.endpointId !== undefined && upstream.ticket !== undefined) {
    problem("ticket", "expected either endpoint_id or ticket, not both");
  }
}

const authorityFields = {
  authorityKeyPath: z
    .exactOptional(z.string().min(1))
    .describe(
      "file that keeps the authority secret key (base58check, mode 0600); made at first start; in place of the two keys below",
    ),
  authorityPublicKey: z
    .exactOptional(z.string().min(1))
    .describe("authority public key (base58check), as the reference implementation's files carry it"),
  authoritySecretKey: z
    .exactOptional(z.string().min(1))
    .describe("authority secret key (base58check); prefer authority_key_path"),
  certValiditySec: z
    .int()
    .min(60)
    .max(31_536_000)
    .default(3600)
    .describe("lifetime of the certificate, in seconds; it is renewed at half of it"),
} as const;

/** Keys of the Noise authority of a server role. Spread into a role's shape; check with {@link checkAuthority}. */
export const authoritySettings: typeof authorityFields = authorityFields;

/** What {@link authoritySettings} parses to. */
export interface AuthoritySettings {
  readonly authorityKeyPath?: string;
  readonly authorityPublicKey?: string;
  readonly authoritySecretKey?: string;
  readonly certValiditySec: number;
}

/** Adds a problem when the authority is given both ways, or by halves, or (for Noise) not at all. */
export function checkAuthority(
  settings: AuthoritySettings & { encryption: "noise" | "plain" },
  context: z.core.$RefinementCtx,
): void {
  const problem = (path: string, message: string): void => {
    context.addIssue({ code: "custom", path: [path], message, input: settings });
  };
  const inline = settings.authorityPublicKey !== undefined || settings.authoritySecretKey !== undefined;
  if (settings.authorityKeyPath !== undefined && inline) {
    problem("authorityKeyPath", "expected either authority_key_path or the two keys, not both");
  } else if (inline && settings.authoritySecretKey === undefined) {
    problem("authoritySecretKey", "expected the secret key that goes with authority_public_key");
  } else if (!inline && settings.authorityKeyPath === undefined && settings.encryption === "noise") {
    problem("authorityKeyPath", "expected a path to keep the authority key at (it is made at first start)");
  }
}
