import { expect } from "vitest";
import type { MessageOutcome, PeerEffect } from "../effects.ts";
import { MIN_MESSAGE_BYTES, type PeerOptions } from "../options.ts";
import type { LeaseResult } from "../peer.ts";
import { PeerBook, type PeerInput } from "../peer-book.ts";

interface ModelMessage {
  readonly peer: string;
  readonly sentAt: number;
  readonly bytes: number;
  failures: number;
  state: "waiting" | "in delivery" | "arrived" | MessageOutcome["kind"];
}

interface ModelConnection {
  readonly id: number;
  readonly peer: string;
  phase: "dialling" | "open" | "closing";
  proven: boolean;
}

interface ModelPeer {
  failures: number;
  openUntil: number;
  trial: boolean;
  touchedAt: number;
}

interface ModelLease {
  readonly peer: string;
  state: "waiting" | "granted" | "over";
  connection?: number;
}

/** A delivery or a health check that has been asked for and not been answered. */
interface Asked {
  readonly peer: string;
  readonly connection: number;
  readonly message?: number;
}

const failure = new Error("as the test wants it");

/**
 * A PeerBook in a simulated world, and beside it the simplest account of what has happened that can tell right from
 * wrong: lists, looked through from the start. Every effect is held against that account when it comes.
 */
export class PeerWorld {
  readonly book: PeerBook;
  readonly messages = new Map<number, ModelMessage>();
  readonly connections = new Map<number, ModelConnection>();
  readonly leases = new Map<number, ModelLease>();
  readonly deliveries: Asked[] = [];
  readonly checks: Asked[] = [];
  readonly #options: PeerOptions;
  readonly #peers = new Map<string, ModelPeer>();
  #now = 0;
  #lastId = 0;
  #stopped = false;

  constructor(options: PeerOptions, random: () => number) {
    this.#options = options;
    this.book = new PeerBook(options, random);
  }

  send(peer: string, bytes: number): void {
    const id = ++this.#lastId;
    const counted = Math.max(bytes, MIN_MESSAGE_BYTES);
    this.messages.set(id, { peer, sentAt: this.#now, bytes: counted, failures: 0, state: "waiting" });
    this.#tell({ type: "send", peer, message: id, bytes });
  }

  lease(peer: string): void {
    const lease = ++this.#lastId;
    this.leases.set(lease, { peer, state: "waiting" });
    this.#tell({ type: "lease", peer, lease });
  }

  cancelLease(lease: number): void {
    const { peer } = this.#endLease(lease);
    this.#tell({ type: "cancel-lease", peer, lease });
  }

  endLease(lease: number, result: LeaseResult): void {
    const { peer, connection = -1 } = this.#endLease(lease);
    this.#judge(peer, connection, result);
    this.#tell({ type: "lease-ended", peer, lease, result });
  }

  dialled(connection: number): void {
    const dialled = this.#connection(connection);
    dialled.phase = "open";
    const state = this.#peer(dialled.peer);
    state.trial = false;
    this.#tell({ type: "dialled", peer: dialled.peer, connection });
  }

  dialFailed(connection: number): void {
    const { peer } = this.#connection(connection);
    this.connections.delete(connection);
    this.#fail(peer);
    this.#tell({ type: "dial-failed", peer, connection, error: failure });
  }

  delivered({ peer, connection, message = -1 }: Asked): void {
    this.#message(message).state = "arrived";
    this.#judge(peer, connection, "worked");
    this.#tell({ type: "delivered", peer, connection });
  }

  deliveryFailed({ peer, connection, message = -1 }: Asked): void {
    const failed = this.#message(message);
    failed.failures++;
    failed.state = "waiting";
    this.#judge(peer, connection, "broken");
    this.#tell({ type: "delivery-failed", peer, connection, error: failure });
  }

  checked({ peer, connection }: Asked, healthy: boolean): void {
    this.#judge(peer, connection, healthy ? "worked" : "broken");
    this.#tell({ type: "checked", peer, connection, healthy });
  }

  ended(connection: number): void {
    const { peer, proven } = this.#connection(connection);
    this.#judge(peer, connection, proven ? "undecided" : "broken");
    this.#tell({ type: "ended", peer, connection });
  }

  closed(connection: number): void {
    const { peer } = this.#connection(connection);
    this.connections.delete(connection);
    this.#tell({ type: "closed", peer, connection });
  }

  /** Lets time pass, with a tick whenever the book asks for one. */
  advance(ms: number): void {
    const until = this.#now + ms;
    while (this.book.dueAt <= until) {
      expect(this.book.dueAt, "no tick is asked for twice").toBeGreaterThan(this.#now);
      this.#now = this.book.dueAt;
      this.#forgetQuiet();
      this.#tell({ type: "tick" });
    }
    this.#now = until;
    for (const message of this.#unsettled()) {
      const late = message.state === "waiting" && this.#now - message.sentAt >= this.#options.messageTtlMs;
      expect(late, "a message waits longer than its time to live").toBe(false);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#tell({ type: "stop" });
  }

  /** After long enough, whoever is wanted and has a place is dialled. */
  expectNobodyForgotten(): void {
    const messages = this.#unsettled();
    // What became of a delivery over a connection that is gone must be known first.
    const delivering = messages.filter(({ state }) => state === "in delivery").map(({ peer }) => peer);
    const waiting = messages.filter(({ peer }) => !delivering.includes(peer));
    const wanted = [...waiting, ...this.#waitingLeases()].map(({ peer }) => peer);
    if (this.connections.size >= this.#options.maxConnections) return;
    for (const peer of wanted) expect([...this.connections.values()].map((one) => one.peer)).toContain(peer);
  }

  /** Everything has come to exactly one end; two ends fail where they happen. */
  expectAllSettled(): void {
    expect([...this.#unsettled()]).toEqual([]);
    expect([...this.#waitingLeases()]).toEqual([]);
    expect([...this.connections.values()]).toEqual([]);
  }

  #tell(input: PeerInput): void {
    if ("peer" in input) this.#peer(input.peer).touchedAt = this.#now;
    for (const effect of this.book.handle(input, this.#now)) this.#verify(effect);
    expect(this.connections.size).toBeLessThanOrEqual(this.#options.maxConnections);
    for (const { peer, phase } of this.connections.values()) {
      if (phase !== "open") continue;
      const unsettled = [...this.#unsettled()].filter((message) => message.peer === peer);
      const busy = unsettled.length === 0 || unsettled.some((message) => message.state === "in delivery");
      expect(busy, "an open connection leaves messages waiting").toBe(true);
      expect([...this.#waitingLeases()].filter((lease) => lease.peer === peer)).toEqual([]);
    }
  }

  #verify(effect: PeerEffect): void {
    switch (effect.type) {
      case "dial":
        return this.#verifyDial(effect);
      case "deliver":
        return this.#verifyDelivery(effect);
      case "check":
        expect(this.#connection(effect.connection).phase).toBe("open");
        this.checks.push(effect);
        return;
      case "close":
        expect(this.#connection(effect.connection).phase).toBe("open");
        this.#connection(effect.connection).phase = "closing";
        return;
      case "settle":
        return this.#verifyOutcome(this.#message(effect.message), effect.outcome);
      case "grant": {
        const lease = this.#endLease(effect.lease);
        expect(this.#connection(effect.connection)).toMatchObject({ peer: lease.peer, phase: "open" });
        this.leases.set(effect.lease, { peer: lease.peer, state: "granted", connection: effect.connection });
        return;
      }
      case "refuse":
        expect(this.leases.get(effect.lease)?.state).toBe("waiting");
        if (effect.reason === "no-slot") expect(this.connections.size).toBe(this.#options.maxConnections);
        this.#endLease(effect.lease);
        return;
      case "report":
        return this.#verifyReport(effect.event);
      default:
        effect satisfies never;
    }
  }

  #verifyDial({ peer, connection }: Extract<PeerEffect, { readonly type: "dial" }>): void {
    const state = this.#peer(peer);
    expect([...this.connections.values()].filter((one) => one.peer === peer)).toEqual([]);
    expect(this.#now, "an open breaker lets nothing through").toBeGreaterThanOrEqual(state.openUntil);
    expect(state.trial, "two trials run at once").toBe(false);
    state.trial = state.openUntil > Number.NEGATIVE_INFINITY;
    this.connections.set(connection, { id: connection, peer, phase: "dialling", proven: false });
  }

  #verifyDelivery({ peer, connection, message }: Extract<PeerEffect, { readonly type: "deliver" }>): void {
    const [first] = [...this.messages].filter(([, one]) => one.peer === peer && isOpen(one));
    expect(first?.[0], "messages are delivered in the order they were sent").toBe(message);
    expect(this.#message(message).state).toBe("waiting");
    expect(this.#connection(connection)).toMatchObject({ peer, phase: "open" });
    this.#message(message).state = "in delivery";
    this.deliveries.push({ peer, connection, message });
  }

  #verifyOutcome(message: ModelMessage, outcome: MessageOutcome): void {
    const { maxBufferedBytes, messageAttempts, messageTtlMs } = this.#options;
    expect(message.state).toBe(outcome.kind === "delivered" ? "arrived" : "waiting");
    if (outcome.kind === "expired") expect(this.#now - message.sentAt).toBeGreaterThanOrEqual(messageTtlMs);
    if (outcome.kind === "dropped") expect(message.failures).toBe(messageAttempts);
    if (outcome.kind === "refused" && outcome.reason === "stopped") expect(this.#stopped).toBe(true);
    else if (outcome.kind === "refused") {
      const kept = [...this.#unsettled()].filter((other) => other.peer === message.peer);
      expect(kept.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(maxBufferedBytes);
    }
    message.state = outcome.kind;
  }

  #verifyReport(event: Extract<PeerEffect, { readonly type: "report" }>["event"]): void {
    const state = this.#peer(event.peer);
    if (event.type === "breaker-opened") {
      expect(state.openUntil, "the breaker opens when its failures are reached or its trial fails").toBe(
        this.#now + this.#options.breakerOpenMs,
      );
    }
    if (event.type === "breaker-half-opened") expect(this.#now).toBeGreaterThanOrEqual(state.openUntil);
    if (event.type === "breaker-closed") state.openUntil = Number.NEGATIVE_INFINITY;
  }

  /** What a result says about the connection it came from, if that is still the open one. */
  #judge(peer: string, connection: number, result: LeaseResult): void {
    const open = this.connections.get(connection);
    if (open?.phase !== "open") return;
    if (result === "worked") {
      open.proven = true;
      this.#peer(peer).failures = 0;
    }
    if (result === "broken") this.#fail(peer);
  }

  #fail(peer: string): void {
    const state = this.#peer(peer);
    state.failures++;
    if (state.trial || state.failures >= this.#options.breakerFailures) {
      state.openUntil = this.#now + this.#options.breakerOpenMs;
    }
    state.trial = false;
  }

  #forgetQuiet(): void {
    const busy = [...this.connections.values(), ...this.#unsettled(), ...this.#waitingLeases()].map(({ peer }) => peer);
    for (const [peer, state] of this.#peers) {
      const quiet = this.#now - state.touchedAt >= this.#options.idleMs && state.openUntil <= this.#now;
      if (busy.includes(peer)) state.touchedAt = this.#now;
      else if (quiet) this.#peers.delete(peer);
    }
  }

  #peer(name: string): ModelPeer {
    const known = this.#peers.get(name);
    if (known !== undefined) return known;
    const fresh = { failures: 0, openUntil: Number.NEGATIVE_INFINITY, trial: false, touchedAt: this.#now };
    this.#peers.set(name, fresh);
    return fresh;
  }

  #endLease(lease: number): ModelLease {
    const found = this.leases.get(lease);
    if (found === undefined) throw new Error(`no lease ${lease}`);
    this.leases.set(lease, { ...found, state: "over" });
    return found;
  }

  #message(id: number): ModelMessage {
    const found = this.messages.get(id);
    if (found === undefined) throw new Error(`no message ${id}`);
    return found;
  }

  #connection(id: number): ModelConnection {
    const found = this.connections.get(id);
    if (found === undefined) throw new Error(`no connection ${id}`);
    return found;
  }

  #unsettled(): readonly ModelMessage[] {
    return [...this.messages.values()].filter(isOpen);
  }

  #waitingLeases(): readonly ModelLease[] {
    return [...this.leases.values()].filter(({ state }) => state === "waiting");
  }
}

function isOpen({ state }: ModelMessage): boolean {
  return state === "waiting" || state === "in delivery" || state === "arrived";
}
