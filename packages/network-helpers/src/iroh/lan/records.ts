import { base32nopad, hex } from "@scure/base";
import type { Answer } from "dns-packet";
import { parseSocketAddress } from "../socket-address.ts";

/** The DNS-SD service type of an SV2 role that listens over Iroh, in the local domain (RFC 6763). */
export const SERVICE = "_sv2-iroh._udp.local";
/** Where DNS-SD browsers ask which service types there are (RFC 6763, 9). */
export const SERVICE_TYPES = "_services._dns-sd._udp.local";

/** Time to live of records that name a host, and of all others, in seconds (RFC 6762, 10). */
const HOST_TTL = 120;
const OTHER_TTL = 4500;
/** Longest TXT string, in bytes. */
const MAX_TXT = 255;
/** Most addresses of one announcement: with them a packet still fits an Ethernet frame. */
const MAX_ANNOUNCED = 8;
/** A node has at most one socket a family. */
const MAX_PORTS = 2;

/** A node as it is announced. */
export interface LanService {
  /** 64 lowercase hex digits. */
  readonly endpointId: string;
  /** What it listens on. For people who browse: a dial offers its own ALPN whatever is written here. */
  readonly alpns: readonly string[];
  /** Its UDP addresses, `IP:PORT` or `[IPv6]:PORT`. */
  readonly addresses: readonly string[];
}

/** The records of one service, by the question they answer. */
export interface ServiceRecords {
  readonly types: readonly Answer[];
  readonly pointer: readonly Answer[];
  /** SRV and TXT of the instance. */
  readonly instance: readonly Answer[];
  /** A and AAAA of the hosts that SRV names. */
  readonly hosts: readonly Answer[];
}

/**
 * The instance of an endpoint id: the id is longer than a label may be in hex, so it is written in base32 without padding.
 * Whoever knows an id asks for its instance and for no other.
 */
export function instanceName(endpointId: string): string {
  return `${labelOf(endpointId)}.${SERVICE}`;
}

/** What a service is announced with: one SRV a port, since a node's IPv4 and IPv6 sockets may have different ones. */
export function recordsOf(service: LanService): ServiceRecords {
  const instance = instanceName(service.endpointId);
  const hosts: Answer[] = [];
  const ports = new Map<number, string>();
  for (const text of service.addresses.slice(0, MAX_ANNOUNCED)) {
    const socket = parseSocketAddress(text);
    if (socket === undefined || socket.family === "name") continue;
    if (!ports.has(socket.port) && ports.size === MAX_PORTS) continue;
    const name = ports.get(socket.port) ?? `${labelOf(service.endpointId)}-${ports.size}.local`;
    ports.set(socket.port, name);
    const type = socket.family === "ipv4" ? "A" : "AAAA";
    hosts.push({ name, type, ttl: HOST_TTL, flush: true, data: socket.host });
  }
  const services = [...ports].map(
    ([port, target]): Answer => ({
      name: instance,
      type: "SRV",
      ttl: HOST_TTL,
      flush: true,
      data: { priority: 0, weight: 0, port, target },
    }),
  );
  return {
    types: [{ name: SERVICE_TYPES, type: "PTR", ttl: OTHER_TTL, data: SERVICE }],
    pointer: [{ name: SERVICE, type: "PTR", ttl: OTHER_TTL, data: instance }],
    instance: [...services, { name: instance, type: "TXT", ttl: OTHER_TTL, flush: true, data: textOf(service) }],
    hosts,
  };
}

/** Which of a service's records answer a question, if any. Names compare without regard to case. */
export function asksFor(records: ServiceRecords, question: { readonly name: string; readonly type: string }) {
  const name = question.name.toLowerCase();
  const kinds = ["types", "pointer", "instance", "hosts"] as const;
  return kinds.find((kind) => records[kind].some((record) => record.name === name && isAsked(question.type, record)));
}

function isAsked(type: string, record: Answer): boolean {
  return type === "ANY" || type === record.type;
}

/** Version first, as RFC 6763 6.7 wants it; what does not fit is left out. */
function textOf({ endpointId, alpns }: LanService): string[] {
  const strings = ["txtvers=1", `id=${endpointId}`, `alpn=${alpns.join(",")}`];
  return strings.filter((text) => Buffer.byteLength(text) <= MAX_TXT);
}

function labelOf(endpointId: string): string {
  return base32nopad.encode(hex.decode(endpointId)).toLowerCase();
}
