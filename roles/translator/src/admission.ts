import { parseHostPort } from "@adit/network-helpers";

/** How many miners' connections, and how fast, the listener takes. */
export interface AdmissionLimits {
  readonly maxMiners: number;
  /** At once, of one IPv4 address or IPv6 /64. */
  readonly maxMinersPerSource: number;
  /** A second, of one source, on average. */
  readonly newMinersPerSecond: number;
  /** At once, of one source. */
  readonly newMinersBurst: number;
}

/** Which limit a refused connection met. */
export type AdmissionRefusal = "max-miners" | "max-miners-per-source" | "new-miners";

interface Source {
  open: number;
  tokens: number;
  at: number;
}

const SWEEP_MS = 1000;

/** Counts connections by source. Pure: time is an argument, in milliseconds, never going back. */
export class Admission {
  #limits: AdmissionLimits;
  readonly #sources = new Map<string, Source>();
  #open = 0;
  #sweptAt = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Replaces the limits for what comes from now on; nobody who is in has to leave. */
  setLimits(limits: AdmissionLimits): void {
    this.#limits = limits;
  }

  /** Counts a new connection, or says why not. `peer` as TCP streams spell it. */
  enter(peer: string, now: number): AdmissionRefusal | undefined {
    this.#sweep(now);
    if (this.#open >= this.#limits.maxMiners) return "max-miners";
    const key = sourceOf(peer);
    const source = this.#sources.get(key) ?? { open: 0, tokens: this.#limits.newMinersBurst, at: now };
    this.#sources.set(key, source);
    this.#refill(source, now);
    if (source.open >= this.#limits.maxMinersPerSource) return "max-miners-per-source";
    if (source.tokens < 1) return "new-miners";
    source.tokens -= 1;
    source.open += 1;
    this.#open += 1;
    return undefined;
  }

  /** A connection that entered is gone. */
  leave(peer: string): void {
    const source = this.#sources.get(sourceOf(peer));
    if (source === undefined) return;
    source.open -= 1;
    this.#open -= 1;
  }

  #refill(source: Source, now: number): void {
    const { newMinersBurst, newMinersPerSecond } = this.#limits;
    source.tokens = Math.min(newMinersBurst, source.tokens + ((now - source.at) * newMinersPerSecond) / 1000);
    source.at = now;
  }

  /** Forgets sources that are as good as new, so that the map is bounded by what a few seconds can bring. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [key, source] of this.#sources) {
      this.#refill(source, now);
      if (source.open === 0 && source.tokens >= this.#limits.newMinersBurst) this.#sources.delete(key);
    }
  }
}

/** An IPv4 address, or the /64 that an IPv6 address is in: a household or a host has that many to come from. */
function sourceOf(peer: string): string {
  const { host } = parseHostPort(peer);
  if (!host.includes(":")) return host;
  const [head = "", tail = ""] = host.split("::");
  const left = head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const zeros = host.includes("::") ? Array<string>(8 - left.length - right.length).fill("0") : [];
  return [...left, ...zeros, ...right].slice(0, 4).join(":");
}
