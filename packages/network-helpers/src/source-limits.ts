import { TokenBucket } from "@adit/token-bucket";
import type { StreamInfo } from "./byte-stream.ts";
import { parseHostPort } from "./host-port.ts";

/** How many connections, and how fast, a listener takes. All but the deadlines are counted over all transports at once. */
export interface ListenLimits {
  /** Connections at once. */
  readonly maxConnections: number;
  /** Connections at once of one source: an IPv4 address, an IPv6 /64, or an Iroh endpoint id. */
  readonly maxPerSource: number;
  /** Connections at once that are not set up yet. */
  readonly maxPending: number;
  /** The same of one source. */
  readonly maxPendingPerSource: number;
  /** New connections a second of one source, on average. */
  readonly newPerSourcePerSec: number;
  /** New connections of one source that may come at once. */
  readonly newPerSourceBurst: number;
  /** Time until a peer's first byte, in milliseconds. */
  readonly firstByteTimeoutMs: number;
  /** Time for the rest of the handshake, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** Time until SetupConnection after the handshake, in milliseconds. */
  readonly setupTimeoutMs: number;
  /** Sources (an address, an IPv6 prefix as `2001:db8:1:2::/64`, an endpoint id) no limit per source applies to. */
  readonly exemptSources: readonly string[];
}

/** Limits that fit a pool on one machine. */
export const defaultListenLimits: ListenLimits = {
  maxConnections: 10_000,
  maxPerSource: 256,
  maxPending: 256,
  maxPendingPerSource: 16,
  newPerSourcePerSec: 10,
  newPerSourceBurst: 50,
  firstByteTimeoutMs: 3000,
  handshakeTimeoutMs: 10_000,
  setupTimeoutMs: 10_000,
  exemptSources: [],
};

/** Which limit a refused connection met. */
export type RefusalReason =
  | "max-connections"
  | "max-pending"
  | "max-per-source"
  | "max-pending-per-source"
  | "new-per-source";

interface Source {
  bucket: TokenBucket;
  open: number;
  pending: number;
}

const SWEEP_MS = 1000;

/** Counts connections by source. Pure: time is an argument, in milliseconds, never going back. */
export class SourceLimits {
  #limits: ListenLimits;
  #exempt: ReadonlySet<string>;
  readonly #sources = new Map<string, Source>();
  #sweptAt = 0;
  #open = 0;
  #pending = 0;

  constructor(limits: ListenLimits) {
    this.#limits = limits;
    this.#exempt = new Set(limits.exemptSources);
  }

  /**
   * Replaces the limits for what comes from now on: nobody who is in has to leave. With another rate of new connections
   * every source starts afresh.
   */
  setLimits(limits: ListenLimits, now: number): void {
    const { newPerSourceBurst, newPerSourcePerSec } = this.#limits;
    const sameRate = limits.newPerSourceBurst === newPerSourceBurst && limits.newPerSourcePerSec === newPerSourcePerSec;
    this.#limits = limits;
    this.#exempt = new Set(limits.exemptSources);
    if (sameRate) return;
    for (const source of this.#sources.values()) source.bucket = this.#newBucket(now);
  }

  /** Connections, pending ones included. */
  get open(): number {
    return this.#open;
  }

  /** Connections that are not set up yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Sources remembered. */
  get sources(): number {
    return this.#sources.size;
  }

  /** Counts a new connection as pending, or says why not. */
  enter(key: string, now: number): RefusalReason | undefined {
    this.#sweep(now);
    if (this.#open >= this.#limits.maxConnections) return "max-connections";
    if (this.#pending >= this.#limits.maxPending) return "max-pending";
    const source = this.#sourceOf(key, now);
    const refusal = this.#exempt.has(key) ? undefined : this.#refusalOf(source, now);
    if (refusal !== undefined) return refusal;
    source.open++;
    source.pending++;
    this.#open++;
    this.#pending++;
    return undefined;
  }

  /** A connection that entered is set up, or will not be. */
  settle(key: string): void {
    this.#pending--;
    const source = this.#sources.get(key);
    if (source !== undefined) source.pending--;
  }

  /** A connection that entered and settled is gone. */
  leave(key: string): void {
    this.#open--;
    const source = this.#sources.get(key);
    if (source !== undefined) source.open--;
  }

  #refusalOf(source: Source, now: number): RefusalReason | undefined {
    if (source.open >= this.#limits.maxPerSource) return "max-per-source";
    if (source.pending >= this.#limits.maxPendingPerSource) return "max-pending-per-source";
    return source.bucket.take(now) ? undefined : "new-per-source";
  }

  #sourceOf(key: string, now: number): Source {
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const source = { bucket: this.#newBucket(now), open: 0, pending: 0 };
    this.#sources.set(key, source);
    return source;
  }

  #newBucket(now: number): TokenBucket {
    const { newPerSourceBurst: burst, newPerSourcePerSec: perSecond } = this.#limits;
    return new TokenBucket({ burst, perSecond }, now);
  }

  /** Forgets sources that are as good as new, so that the map is bounded by what a few seconds can bring. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [key, source] of this.#sources) {
      if (source.open === 0 && source.bucket.isFull(now)) this.#sources.delete(key);
    }
  }
}

/** What the limits per source count a stream under. */
export function sourceKey(info: StreamInfo): string {
  if (info.transport !== "tcp") return info.endpointId ?? info.peer;
  const { host } = parseHostPort(info.peer);
  return host.includes(":") ? prefix64(host) : host;
}

/** The /64 an IPv6 address is in: a household or a host has that many addresses to come from. */
function prefix64(address: string): string {
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  const prefix = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${prefix.join(":")}::/64`;
}
