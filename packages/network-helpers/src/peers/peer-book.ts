import { type PeerCounts, type PeerEffect, PeerOutbox } from "./effects.ts";
import type { PeerOptions } from "./options.ts";
import { type LeaseResult, Peer, type PeerStats } from "./peer.ts";

/** What happened. Numbers of messages, leases and connections are never used again. */
export type PeerInput =
  /** Somebody wants a message of so many bytes delivered. */
  | { readonly type: "send"; readonly peer: string; readonly message: number; readonly bytes: number }
  /** Somebody wants to use a connection. */
  | { readonly type: "lease"; readonly peer: string; readonly lease: number }
  /** … and no longer wants to. */
  | { readonly type: "cancel-lease"; readonly peer: string; readonly lease: number }
  /** … or is done with it. */
  | { readonly type: "lease-ended"; readonly peer: string; readonly lease: number; readonly result: LeaseResult }
  | { readonly type: "dialled"; readonly peer: string; readonly connection: number }
  | { readonly type: "dial-failed"; readonly peer: string; readonly connection: number; readonly error: Error }
  | { readonly type: "delivered"; readonly peer: string; readonly connection: number }
  | { readonly type: "delivery-failed"; readonly peer: string; readonly connection: number; readonly error: Error }
  | { readonly type: "checked"; readonly peer: string; readonly connection: number; readonly healthy: boolean }
  /** A connection has ended by itself. */
  | { readonly type: "ended"; readonly peer: string; readonly connection: number }
  /** A connection that was to be closed is gone. */
  | { readonly type: "closed"; readonly peer: string; readonly connection: number }
  | { readonly type: "tick" }
  | { readonly type: "stop" };

/** Where the connections to peers stand. */
export interface PeerBookStats {
  readonly connections: { readonly dialling: number; readonly open: number; readonly closing: number };
  /** One entry for each peer that is remembered. */
  readonly peers: readonly PeerStats[];
  readonly counts: PeerCounts;
}

/**
 * Decides when peers are dialled, which message goes next, and what is given up: pool, breakers, buffers, health checks
 * and idle clean-up of requirement A16. Pure: what happened and the time in milliseconds go in, effects come out. Each
 * effect is answered by one input: `dial` by `dialled` or `dial-failed`, `deliver` by `delivered` or
 * `delivery-failed`, `check` by `checked`, `close` by `closed`, `grant` by `lease-ended`.
 */
export class PeerBook {
  readonly #options: PeerOptions;
  readonly #random: () => number;
  readonly #out = new PeerOutbox();
  readonly #peers = new Map<string, Peer>();
  /** Those that count against the cap. */
  readonly #linked = new Set<Peer>();
  /** Those that should be dialled, in the order in which they came to want it. */
  readonly #wanting = new Set<Peer>();
  #lastConnection = 0;
  #dueAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  /** `random` returns a number from 0 up to but not including 1. */
  constructor(options: PeerOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** When the next `tick` is due; `Infinity` when nothing depends on time. */
  get dueAt(): number {
    return this.#dueAt;
  }

  handle(input: PeerInput, now: number): readonly PeerEffect[] {
    if (input.type === "tick") this.#tick(now);
    else if (input.type === "stop") this.#stop(now);
    else this.#hear(input, now);
    this.#dialWanted(now);
    return this.#out.drain();
  }

  stats(): PeerBookStats {
    const peers = [...this.#peers.values()].map((peer) => peer.stats());
    const of = (phase: PeerStats["connection"]): number => peers.filter((peer) => peer.connection === phase).length;
    const { closed, ...counts } = this.#out.counts;
    return {
      connections: { dialling: of("dialling"), open: of("open"), closing: of("closing") },
      peers,
      counts: { ...counts, closed: { ...closed } },
    };
  }

  #hear(input: Exclude<PeerInput, { readonly type: "tick" | "stop" }>, now: number): void {
    const asks = input.type === "send" || input.type === "lease";
    const refusal = asks && this.#stopped ? "stopped" : "too-many-peers";
    const peer = asks ? this.#askedFor(input.peer, now) : this.#peers.get(input.peer);
    if (peer !== undefined) {
      peer.touch(now);
      tell(peer, input, now);
      this.#look(peer, now);
    } else if (input.type === "send") {
      const outcome = { kind: "refused", reason: refusal } as const;
      this.#out.add({ type: "settle", message: input.message, outcome });
    } else if (input.type === "lease") {
      this.#out.add({ type: "refuse", peer: input.peer, lease: input.lease, reason: refusal });
    }
  }

  #askedFor(name: string, now: number): Peer | undefined {
    if (this.#stopped) return undefined;
    const known = this.#peers.get(name);
    if (known !== undefined) return known;
    if (this.#peers.size >= this.#options.maxPeers) this.#forgetQuietest();
    if (this.#peers.size >= this.#options.maxPeers) return undefined;
    const peer = new Peer(name, { options: this.#options, random: this.#random, out: this.#out }, now);
    this.#peers.set(name, peer);
    return peer;
  }

  #forgetQuietest(): void {
    const quiet = [...this.#peers.values()].filter((peer) => peer.quietSince !== undefined);
    const [quietest] = quiet.toSorted((a, b) => (a.quietSince ?? 0) - (b.quietSince ?? 0));
    if (quietest !== undefined) this.#peers.delete(quietest.name);
  }

  #tick(now: number): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    for (const peer of this.#peers.values()) {
      peer.tick(now);
      this.#look(peer, now);
      if (now - (peer.quietSince ?? now) >= this.#options.idleMs) this.#peers.delete(peer.name);
    }
  }

  #stop(now: number): void {
    this.#stopped = true;
    for (const peer of this.#peers.values()) {
      peer.stop();
      this.#look(peer, now);
    }
  }

  /** Keeps what is known of a peer from outside up to date. */
  #look(peer: Peer, now: number): void {
    if (peer.phase === "none") this.#linked.delete(peer);
    else this.#linked.add(peer);
    if (peer.wantsDial(now)) this.#wanting.add(peer);
    else this.#wanting.delete(peer);
    this.#dueAt = Math.min(this.#dueAt, peer.dueAt(now));
  }

  /** Deals out the free places; where none is free or becoming free, the connection idle for the longest makes way. */
  #dialWanted(now: number): void {
    if (this.#wanting.size === 0) return;
    let closing = [...this.#linked].filter((peer) => peer.phase === "closing").length;
    const idle = [...this.#linked]
      .filter((peer) => peer.idleSince !== undefined)
      .toSorted((a, b) => (a.idleSince ?? 0) - (b.idleSince ?? 0));
    for (const peer of this.#wanting) {
      if (this.#linked.size < this.#options.maxConnections) {
        peer.dial(++this.#lastConnection);
      } else if (closing > 0) {
        closing--;
        continue;
      } else {
        const longest = idle.shift();
        if (longest === undefined) peer.refuseLeases("no-slot");
        else longest.evict();
      }
      this.#look(peer, now);
    }
  }
}

function tell(peer: Peer, input: Exclude<PeerInput, { readonly type: "tick" | "stop" }>, now: number): void {
  switch (input.type) {
    case "send":
      return peer.send(input.message, input.bytes, now);
    case "lease":
      return peer.lease(input.lease, now);
    case "cancel-lease":
      return peer.cancel(input.lease);
    case "lease-ended":
      return peer.endLease(input.lease, input.result, now);
    case "dialled":
      return peer.dialled(input.connection, now);
    case "dial-failed":
      return peer.dialFailed(input.connection, input.error, now);
    case "delivered":
      return peer.delivered(input.connection, now);
    case "delivery-failed":
      return peer.deliveryFailed(input.connection, input.error, now);
    case "checked":
      return peer.checked(input.connection, input.healthy, now);
    case "ended":
      return peer.ended(input.connection, now);
    case "closed":
      return peer.closed(input.connection);
    default:
      input satisfies never;
  }
}
