import { Backoff } from "../backoff.ts";
import { Breaker, type BreakerState } from "./breaker.ts";
import type { PeerEvent, PeerOutbox } from "./effects.ts";
import type { PeerOptions } from "./options.ts";

/** What the parts of a peer are made of. */
export interface PeerParts {
  readonly options: PeerOptions;
  readonly random: () => number;
  readonly out: PeerOutbox;
}

/** When one peer may be dialled, by what came of it before: a pause after each failure, and a breaker. Pure. */
export class DialPolicy {
  readonly #peer: string;
  readonly #openMs: number;
  readonly #out: PeerOutbox;
  readonly #breaker: Breaker;
  readonly #backoff: Backoff;
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(peer: string, { options, random, out }: PeerParts) {
    this.#peer = peer;
    this.#openMs = options.breakerOpenMs;
    this.#out = out;
    this.#breaker = new Breaker({ failures: options.breakerFailures, openMs: options.breakerOpenMs });
    this.#backoff = new Backoff({ minMs: options.backoffMinMs, maxMs: options.backoffMaxMs, random });
  }

  get state(): BreakerState {
    return this.#breaker.state;
  }

  /** Failures since the peer last worked. */
  get failures(): number {
    return this.#breaker.failures;
  }

  /** When an open breaker turns half-open. */
  get halfOpenAt(): number {
    return this.#breaker.dueAt;
  }

  /** From when the peer may be dialled; `Infinity` while its breaker is open. */
  get retryAt(): number {
    return this.state === "open" ? Number.POSITIVE_INFINITY : this.#retryAt;
  }

  /** Something has failed. */
  failed(now: number): void {
    this.pause(now);
    if (!this.#breaker.failed(now)) return;
    this.#report({ type: "breaker-opened", peer: this.#peer, failures: this.failures, openMs: this.#openMs });
  }

  /** Nothing has failed, but many may want to dial now. */
  pause(now: number): void {
    this.#retryAt = now + this.#backoff.next();
  }

  /** A dial has connected. */
  connected(): void {
    if (this.#breaker.connected()) this.#report({ type: "breaker-closed", peer: this.#peer });
  }

  /** A connection has done what it is for. */
  worked(): void {
    this.#breaker.worked();
    this.#backoff.reset();
  }

  tick(now: number): void {
    if (!this.#breaker.tick(now)) return;
    this.#retryAt = now;
    this.#report({ type: "breaker-half-opened", peer: this.#peer });
  }

  #report(event: PeerEvent): void {
    this.#out.add({ type: "report", event });
  }
}
