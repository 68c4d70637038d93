import type { BreakerState } from "./breaker.ts";
import { DialPolicy, type PeerParts } from "./dial-policy.ts";
import type { CloseReason, LeaseRefusal, PeerEvent, PeerOutbox } from "./effects.ts";
import { Mailbox } from "./mailbox.ts";
import type { PeerOptions } from "./options.ts";

/** The one connection to a peer, from its dial to the end of its closing. */
type Link =
  | { readonly phase: "none" }
  | { readonly phase: "dialling"; readonly connection: number }
  | OpenLink
  | { readonly phase: "closing"; readonly connection: number };

interface OpenLink {
  readonly phase: "open";
  readonly connection: number;
  /** Uses of the connection. */
  readonly leases: Set<number>;
  /** When it was last used, or opened. */
  usedAt: number;
  /** When the next health check is due; `Infinity` while one runs. */
  checkAt: number;
  /** Whether it has done what it is for. */
  proven: boolean;
}

/** What a lease's work says about its connection. */
export type LeaseResult = "worked" | "undecided" | "broken";

/** A peer as statistics show it. */
export interface PeerStats {
  readonly peer: string;
  readonly connection: Link["phase"];
  readonly breaker: BreakerState;
  /** Failures since it last worked. */
  readonly failures: number;
  readonly messages: number;
  readonly bufferedBytes: number;
  readonly leases: number;
}

/** One peer: its connection, its breaker, its messages and those who want its connection. Pure. */
export class Peer {
  readonly name: string;
  readonly #options: PeerOptions;
  readonly #out: PeerOutbox;
  readonly #policy: DialPolicy;
  readonly #mailbox: Mailbox;
  readonly #waiting = new Set<number>();
  #link: Link = { phase: "none" };
  #touchedAt: number;
  #stopped = false;

  constructor(name: string, parts: PeerParts, now: number) {
    const { options, out } = parts;
    this.name = name;
    this.#options = options;
    this.#out = out;
    this.#policy = new DialPolicy(name, parts);
    this.#mailbox = new Mailbox(options, out);
    this.#touchedAt = now;
  }

  /** Whether it has a connection, opening and closing ones included, and which. */
  get phase(): Link["phase"] {
    return this.#link.phase;
  }

  /** Since when its open connection has nothing to do; undefined when it has, or there is none. */
  get idleSince(): number | undefined {
    const link = this.#link;
    if (link.phase !== "open" || link.leases.size > 0 || this.#mailbox.size > 0) return undefined;
    return link.usedAt;
  }

  /** Somebody has asked for it, or something has happened to it. */
  touch(now: number): void {
    this.#touchedAt = now;
  }

  /** Since when there is nothing to remember but failures; undefined while there is more, or its breaker is open. */
  get quietSince(): number | undefined {
    const busy = this.#link.phase !== "none" || this.#demand() || this.#mailbox.delivering;
    return busy || this.#policy.state === "open" ? undefined : this.#touchedAt;
  }

  /** When time alone changes something next. What was due before `now` waits for something else than time. */
  dueAt(now: number): number {
    const times = [this.#policy.halfOpenAt, this.#mailbox.dueAt, this.#linkDueAt()];
    return Math.min(...times.filter((time) => time > now), Number.POSITIVE_INFINITY);
  }

  stats(): PeerStats {
    const link = this.#link;
    return {
      peer: this.name,
      connection: link.phase,
      breaker: this.#policy.state,
      failures: this.#policy.failures,
      messages: this.#mailbox.size,
      bufferedBytes: this.#mailbox.bytes,
      leases: this.#waiting.size + (link.phase === "open" ? link.leases.size : 0),
    };
  }

  /** Whether it should be dialled now. */
  wantsDial(now: number): boolean {
    return this.#link.phase === "none" && this.#demand() && now >= this.#policy.retryAt;
  }

  send(message: number, bytes: number, now: number): void {
    this.#mailbox.push(message, bytes, now);
    this.#work(now);
  }

  lease(lease: number, now: number): void {
    this.#waiting.add(lease);
    if (this.#policy.state === "open") this.refuseLeases("breaker-open");
    else this.#work(now);
  }

  /** A lease's owner no longer waits. */
  cancel(lease: number): void {
    this.#waiting.delete(lease);
  }

  endLease(lease: number, result: LeaseResult, now: number): void {
    const link = this.#link;
    if (link.phase !== "open" || !link.leases.delete(lease)) return;
    link.usedAt = now;
    if (result === "worked") this.#worked(link);
    if (result === "broken") this.#break(link, "failed", now);
  }

  dial(connection: number): void {
    this.#link = { phase: "dialling", connection };
    this.#out.add({ type: "dial", peer: this.name, connection });
  }

  dialled(connection: number, now: number): void {
    if (!this.#isCurrent("dialling", connection)) return;
    const checkAt = now + this.#options.healthCheckMs;
    const link: OpenLink = { phase: "open", connection, leases: new Set(), usedAt: now, checkAt, proven: false };
    this.#link = link;
    this.#report({ type: "peer-connected", peer: this.name });
    this.#policy.connected();
    if (this.#stopped) this.#close(link, "stopped");
    else this.#work(now);
  }

  dialFailed(connection: number, error: Error, now: number): void {
    if (!this.#isCurrent("dialling", connection)) return;
    this.#link = { phase: "none" };
    this.#report({ type: "peer-dial-failed", peer: this.name, failures: this.#policy.failures + 1, error });
    this.#policy.failed(now);
    this.refuseLeases("dial-failed", error);
  }

  delivered(connection: number, now: number): void {
    this.#mailbox.delivered();
    const link = this.#link;
    if (link.phase !== "open") return;
    if (link.connection === connection) {
      link.usedAt = now;
      this.#worked(link);
    }
    this.#work(now);
  }

  deliveryFailed(connection: number, error: Error, now: number): void {
    this.#mailbox.failed(error, now);
    const link = this.#link;
    if (link.phase === "open" && link.connection === connection) this.#break(link, "failed", now);
    else this.#work(now);
  }

  checked(connection: number, healthy: boolean, now: number): void {
    const link = this.#link;
    if (link.phase !== "open" || link.connection !== connection) return;
    if (!healthy) return this.#break(link, "unhealthy", now);
    link.checkAt = now + this.#options.healthCheckMs;
    this.#worked(link);
  }

  /** The connection has ended by itself: a failure when it never was of use, else bad luck. */
  ended(connection: number, now: number): void {
    const link = this.#link;
    if (link.phase !== "open" || link.connection !== connection) return;
    if (!link.proven) return this.#break(link, "ended", now);
    this.#policy.pause(now);
    this.#close(link, "ended");
  }

  closed(connection: number): void {
    if (this.#isCurrent("closing", connection)) this.#link = { phase: "none" };
  }

  /** Closes a connection that has nothing to do. */
  evict(): void {
    if (this.#link.phase === "open") this.#close(this.#link, "evicted");
  }

  tick(now: number): void {
    if (this.#demand()) this.#touchedAt = now;
    this.#policy.tick(now);
    this.#mailbox.expire(now);
    const link = this.#link;
    if (link.phase !== "open") return;
    if (now >= link.checkAt) {
      link.checkAt = Number.POSITIVE_INFINITY;
      this.#out.add({ type: "check", peer: this.name, connection: link.connection });
    }
    if (now - (this.idleSince ?? now) >= this.#options.idleMs) this.#close(link, "idle");
  }

  stop(): void {
    this.#stopped = true;
    this.#mailbox.stop();
    this.refuseLeases("stopped");
    if (this.#link.phase === "open") this.#close(this.#link, "stopped");
  }

  refuseLeases(reason: LeaseRefusal, error?: Error): void {
    const why = error === undefined ? { reason } : { reason, error };
    for (const lease of this.#waiting) this.#out.add({ type: "refuse", peer: this.name, lease, ...why });
    this.#waiting.clear();
  }

  #demand(): boolean {
    return this.#waiting.size > 0 || (this.#mailbox.size > 0 && !this.#mailbox.delivering);
  }

  #linkDueAt(): number {
    const link = this.#link;
    if (link.phase === "none") return this.#idleDueAt();
    if (link.phase !== "open") return Number.POSITIVE_INFINITY;
    return Math.min(link.checkAt, (this.idleSince ?? Number.POSITIVE_INFINITY) + this.#options.idleMs);
  }

  #idleDueAt(): number {
    return this.#demand() ? this.#policy.retryAt : this.#touchedAt + this.#options.idleMs;
  }

  #isCurrent(phase: "dialling" | "closing", connection: number): boolean {
    return this.#link.phase === phase && this.#link.connection === connection;
  }

  /** Gives an open connection what waits for it. */
  #work(now: number): void {
    const link = this.#link;
    if (link.phase !== "open") return;
    const { connection } = link;
    for (const lease of this.#waiting) {
      link.leases.add(lease);
      this.#out.add({ type: "grant", peer: this.name, lease, connection });
    }
    this.#waiting.clear();
    const message = this.#mailbox.begin();
    if (message !== undefined) this.#out.add({ type: "deliver", peer: this.name, connection, message });
    link.usedAt = now;
  }

  #worked(link: OpenLink): void {
    link.proven = true;
    this.#policy.worked();
  }

  /** Closes a connection that has shown that it does not work. */
  #break(link: OpenLink, reason: CloseReason, now: number): void {
    this.#close(link, reason);
    this.#policy.failed(now);
  }

  #close(link: OpenLink, reason: CloseReason): void {
    this.#link = { phase: "closing", connection: link.connection };
    this.#out.add({ type: "close", peer: this.name, connection: link.connection });
    this.#report({ type: "peer-closed", peer: this.name, reason });
  }

  #report(event: PeerEvent): void {
    this.#out.add({ type: "report", event });
  }
}
