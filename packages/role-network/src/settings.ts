import { defaultListenLimits, type ListenLimits } from "@adit/network-helpers";
import {
  type AuthoritySettings,
  address,
  authoritySettings,
  boundedKeys,
  checkAuthority,
  encryptionKind,
  type IrohSettings,
  irohSettings,
  snakeKey,
  transportKind,
} from "@adit/role-kit";
import { z } from "zod";

/** How a server role listens, as its config says. */
export interface ServerSettings extends AuthoritySettings {
  readonly transport: "tcp" | "iroh" | "dual";
  readonly listenAddress?: string;
  readonly encryption: "noise" | "plain";
  readonly iroh: IrohSettings;
}

/** Keys of every server role's config. Spread into its shape; check it with {@link checkServer}. */
export const serverSettings = {
  transport: transportKind
    .default("tcp")
    .describe("`tcp`, `iroh`, or `dual`: both at once, each going on when the other fails"),
  listenAddress: z
    .exactOptional(address)
    .describe("host:port to accept TCP connections on; needed unless transport is iroh"),
  encryption: encryptionKind
    .default("noise")
    .describe("`noise`, or `plain` for none inside the transport (over TCP only on a trusted network)"),
  ...authoritySettings,
  iroh: irohSettings.prefault({}),
} as const;

/** Adds a problem for what the chosen transport and encryption need and the config lacks. */
export function checkServer(settings: ServerSettings, context: z.core.$RefinementCtx): void {
  if (settings.transport !== "iroh" && settings.listenAddress === undefined) {
    const message = `expected host:port: transport = "${settings.transport}" listens on TCP`;
    context.addIssue({ code: "custom", path: ["listenAddress"], message, input: settings });
  }
  checkAuthority(settings, context);
}

const { count, seconds } = boundedKeys({ count: 1_000_000, seconds: 600 });
const defaults = defaultListenLimits;

/** Keys of a server role's `[limits]` that bound its connections. */
export const listenLimits = {
  maxConnections: count(defaults.maxConnections, "connections at once"),
  maxConnectionsPerSource: count(
    defaults.maxPerSource,
    "connections at once from one IPv4 address, IPv6 /64 or endpoint id; a farm sits behind one address",
  ),
  maxPendingConnections: count(defaults.maxPending, "connections at once that have not finished their set-up"),
  maxPendingConnectionsPerSource: count(defaults.maxPendingPerSource, "the same from one source"),
  newConnectionsPerSecond: count(defaults.newPerSourcePerSec, "new connections a second from one source, on average"),
  newConnectionsBurst: count(defaults.newPerSourceBurst, "new connections at once from one source"),
  exemptSources: z
    .array(z.string().min(1))
    .max(1000)
    .default([...defaults.exemptSources])
    .describe(
      "sources that no limit per source applies to: addresses, IPv6 prefixes as 2001:db8:1:2::/64, endpoint ids",
    ),
  firstByteTimeoutSecs: seconds(defaults.firstByteTimeoutMs, "longest wait for a connection's first byte"),
  handshakeTimeoutSecs: seconds(defaults.handshakeTimeoutMs, "longest Noise handshake"),
  setupTimeoutSecs: seconds(defaults.setupTimeoutMs, "longest wait for SetupConnection"),
} as const;

/** What {@link listenLimits} parses to. */
export interface ListenLimitSettings {
  readonly maxConnections: number;
  readonly maxConnectionsPerSource: number;
  readonly maxPendingConnections: number;
  readonly maxPendingConnectionsPerSource: number;
  readonly newConnectionsPerSecond: number;
  readonly newConnectionsBurst: number;
  readonly exemptSources: readonly string[];
  readonly firstByteTimeoutSecs: number;
  readonly handshakeTimeoutSecs: number;
  readonly setupTimeoutSecs: number;
}

/** The keys of {@link listenLimits} in a config that has them in the table `at`, in the file's spelling: `limits.max_connections`. */
export function listenLimitKeys(at: string): readonly string[] {
  return Object.keys(listenLimits).map((key) => `${at}.${snakeKey(key)}`);
}

/** The limits as network-helpers takes them. */
export function toListenLimits(settings: ListenLimitSettings): ListenLimits {
  return {
    maxConnections: settings.maxConnections,
    maxPerSource: settings.maxConnectionsPerSource,
    maxPending: settings.maxPendingConnections,
    maxPendingPerSource: settings.maxPendingConnectionsPerSource,
    newPerSourcePerSec: settings.newConnectionsPerSecond,
    newPerSourceBurst: settings.newConnectionsBurst,
    exemptSources: settings.exemptSources,
    firstByteTimeoutMs: settings.firstByteTimeoutSecs * 1000,
    handshakeTimeoutMs: settings.handshakeTimeoutSecs * 1000,
    setupTimeoutMs: settings.setupTimeoutSecs * 1000,
  };
}
