/** Limits on incoming connections, enforced before a stream exists. */
export interface AdmissionLimits {
  /** Endpoint ids that may connect; empty lets every id in. */
  readonly allowedPeers: readonly string[];
  /** Connections one endpoint id may hold at once. */
  readonly maxConnectionsPerPeer: number;
  /** Connections that may be between first packet and first stream at once. */
  readonly maxPending: number;
  /** The same for one source (an IP address, or an endpoint id behind a relay). */
  readonly maxPendingPerSource: number;
}

/** Why a connection was turned away, and what the operator may do about it. The keys are also the names of the counters. */
export const refusals: Readonly<
  Record<
    "too-many-pending" | "not-allowed" | "too-many-connections" | "unknown-alpn" | "no-stream" | "backlog-full",
    string
  >
> = {
  "too-many-pending": "too many connections are being set up at once; raise maxPending if they are all wanted",
  "not-allowed": "its endpoint id is not among the allowed peers; add it if it should connect",
  "too-many-connections":
    "it holds as many connections as one endpoint id may; raise maxConnectionsPerPeer if it needs more",
  "unknown-alpn": "nobody listens on its ALPN any more; start that listener again if it should",
  "no-stream": "it sent nothing in time; check what it is if it comes back",
  "backlog-full": "accepted connections are not served fast enough; lower the load on this process",
};

/** One of the reasons. */
export type Refusal = keyof typeof refusals;

/** Counts incoming connections against the limits. Pure. Every map is bounded by the limits of what it counts. */
export class Admission {
  readonly #limits: AdmissionLimits;
  #allowed: ReadonlySet<string>;
  readonly #pending = new Tally();
  readonly #connections = new Tally();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.#allowed = new Set(limits.allowedPeers);
  }

  /** Connections between first packet and first stream. */
  get pending(): number {
    return this.#pending.total;
  }

  /** Replaces the allowed endpoint ids; empty lets every id in. */
  setAllowedPeers(peers: readonly string[]): void {
    this.#allowed = new Set(peers);
  }

  /** Whether this endpoint id may connect. */
  allows(peer: string): boolean {
    return this.#allowed.size === 0 || this.#allowed.has(peer);
  }

  /** Whether so many are pending that unproven source addresses should be asked to prove themselves (QUIC Retry). */
  get crowded(): boolean {
    return 2 * this.#pending.total > this.#limits.maxPending;
  }

  /** Takes a place among the pending ones; a refusal when there is none. */
  begin(source: string): Refusal | undefined {
    const full =
      this.#pending.total >= this.#limits.maxPending || this.#pending.of(source) >= this.#limits.maxPendingPerSource;
    if (full) return "too-many-pending";
    this.#pending.add(source);
    return undefined;
  }

  /** Gives back the place `begin` took. */
  finish(source: string): void {
    this.#pending.remove(source);
  }

  /**
   * Takes a connection of a peer whose id is proven; a refusal when it may not have one. `own`: the endpoint ids of what it
   * connects to, in place of those of the node.
   */
  connect(peer: string, own?: ReadonlySet<string>): Refusal | undefined {
    if (!(own?.has(peer) ?? this.allows(peer))) return "not-allowed";
    if (this.#connections.of(peer) >= this.#limits.maxConnectionsPerPeer) return "too-many-connections";
    this.#connections.add(peer);
    return undefined;
  }

  /** Gives back the connection `connect` took. */
  disconnect(peer: string): void {
    this.#connections.remove(peer);
  }
}

class Tally {
  readonly #counts = new Map<string, number>();
  total = 0;

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string): void {
    this.#counts.set(key, this.of(key) + 1);
    this.total += 1;
  }

  remove(key: string): void {
    const left = this.of(key) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
    this.total -= 1;
  }
}
