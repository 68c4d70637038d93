import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { Answer, Question, SrvAnswer } from "dns-packet";
import { formatSocketAddress } from "../socket-address.ts";
import { instanceName } from "./records.ts";

/** Endpoint ids that are looked for at once, and how long one is after it was asked for last. */
export const MAX_WANTED = 64;
const WANTED_MS = 300_000;
/** Hosts of one endpoint id, addresses of one host, and addresses of one endpoint id that are told. */
const MAX_HOSTS = 4;
const MAX_HOST_ADDRESSES = 8;
const MAX_FOUND = 8;
/** Longest time an answer is believed, whatever it says itself: nodes move. */
const MAX_TTL_SECS = 120;

interface Host {
  readonly name: string;
  readonly port: number;
  expires: number;
  /** Until when each is believed. */
  readonly addresses: Map<string, number>;
}

interface Wanted {
  readonly endpointId: string;
  /** Until when anybody wants it. */
  until: number;
  readonly hosts: Map<string, Host>;
}

/**
 * What the local network says of the endpoint ids that this process looks for, and of no others: whatever else is
 * announced, however much, leaves no trace. Pure: time is an argument, in milliseconds, never going back.
 *
 * Nothing here is proven. Whoever gives a false address for an endpoint id cannot pose as it, since a dial proves the id.
 * He can make dials fail: when another node sits at that address and answers first, the handshake ends with it. So that
 * nobody can aim a dial's packets at the internet, only local addresses and the sender's own are taken.
 */
export class LanCache {
  /** By instance name. */
  readonly #wanted = new Map<string, Wanted>();

  /** Endpoint ids that are looked for. */
  get size(): number {
    return this.#wanted.size;
  }

  /** Looks for an endpoint id from now on. Returns what to ask. The one asked for longest ago makes room. */
  want(endpointId: string, now: number): readonly Question[] {
    const name = instanceName(endpointId);
    const known = this.#wanted.get(name);
    this.#wanted.delete(name);
    this.#wanted.set(name, { endpointId, until: now + WANTED_MS, hosts: known?.hosts ?? new Map() });
    for (const [other, { until }] of this.#wanted) {
      if (until <= now || this.#wanted.size > MAX_WANTED) this.#wanted.delete(other);
    }
    return [{ name, type: "SRV" }];
  }

  /** Addresses of an endpoint id, `IP:PORT` or `[IPv6]:PORT`. */
  found(endpointId: string, now: number): readonly string[] {
    const hosts = this.#wanted.get(instanceName(endpointId))?.hosts.values() ?? [];
    const found = [...hosts].flatMap(({ port, expires, addresses }) =>
      expires <= now ? [] : [...addresses].flatMap(([ip, until]) => (until <= now ? [] : [socketOf(ip, port)])),
    );
    return [...new Set(found)].slice(0, MAX_FOUND);
  }

  /** Takes a response that came from an IP address. Returns what to ask on: new hosts that came without an address. */
  take(records: readonly Answer[], from: string, now: number): readonly Question[] {
    const hosts = records.flatMap((record) => (record.type === "SRV" ? (this.#takeService(record, now) ?? []) : []));
    for (const record of records) {
      if (record.type === "A" || record.type === "AAAA") this.#takeAddress(record, from, now);
    }
    const bare = hosts.filter(({ addresses }) => addresses.size === 0);
    return bare.flatMap(({ name }): Question[] => [
      { name, type: "A" },
      { name, type: "AAAA" },
    ]);
  }

  /** The host, when it is a new one. */
  #takeService(record: SrvAnswer, now: number): Host | undefined {
    const wanted = this.#wanted.get(record.name.toLowerCase());
    const { port, target } = record.data;
    const name = target.toLowerCase();
    if (wanted === undefined || port === 0 || !LOCAL_HOST.test(name)) return undefined;
    const key = `${name}:${port}`;
    const expires = expiry(record.ttl, now);
    for (const [other, host] of wanted.hosts) if (host.expires <= now) wanted.hosts.delete(other);
    const known = wanted.hosts.get(key);
    if (expires <= now) wanted.hosts.delete(key);
    else if (known !== undefined) known.expires = expires;
    else if (wanted.hosts.size < MAX_HOSTS) {
      const host = { name, port, expires, addresses: new Map<string, number>() };
      wanted.hosts.set(key, host);
      return host;
    }
    return undefined;
  }

  #takeAddress(record: { name: string; data: string; ttl?: number | undefined }, from: string, now: number): void {
    if (!isLocal(record.data) && record.data !== from) return;
    const name = record.name.toLowerCase();
    const expires = expiry(record.ttl, now);
    for (const { hosts } of this.#wanted.values()) {
      for (const host of hosts.values())
        if (host.name === name) remember(host.addresses, record.data, { expires, now });
    }
  }
}

function remember(
  addresses: Map<string, number>,
  ip: string,
  { expires, now }: { expires: number; now: number },
): void {
  for (const [other, until] of addresses) if (until <= now) addresses.delete(other);
  if (expires <= now) addresses.delete(ip);
  else if (addresses.has(ip) || addresses.size < MAX_HOST_ADDRESSES) addresses.set(ip, expires);
}

/** A time to live of 0 is a goodbye. */
function expiry(ttlSecs = 0, now: number): number {
  return now + Math.min(ttlSecs, MAX_TTL_SECS) * 1000;
}

/** Printable names in the local domain, as mDNS resolves no others. */
const LOCAL_HOST = /^[!-~]{1,247}\.local$/;

const local = new BlockList();
for (const [net, prefix] of [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const) {
  local.addSubnet(net, prefix, "ipv4");
}
local.addSubnet("fc00::", 7, "ipv6");

/** Whether an address belongs to private networks. Link-local IPv6 does not count: it is of no use without its interface. */
function isLocal(ip: string): boolean {
  if (isIPv4(ip)) return local.check(ip, "ipv4");
  return isIPv6(ip) && local.check(ip, "ipv6");
}

function socketOf(ip: string, port: number): string {
  return formatSocketAddress({ family: isIPv4(ip) ? "ipv4" : "ipv6", host: ip, port });
}
