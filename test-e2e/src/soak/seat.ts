import { randomInt } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Link, LinkEvents } from "./link.ts";
import { search } from "./link.ts";
import type { SeatCounts, SeatSpec } from "./messages.ts";
import { codeOf } from "./sv1-link.ts";
import type { Causes, GroupTally } from "./tally.ts";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 4_000;
const SHORTEST_ABSENCE_MS = 500;
const LONGEST_ABSENCE_MS = 5_000;

/** How a miner goes: with a goodbye, with a reset, or with a reset and one more attempt that it breaks off half way. */
export type Departure = "clean" | "reset" | "mid-handshake";

/** What a seat needs from its worker. */
export interface SeatContext {
  readonly spec: SeatSpec;
  readonly tally: GroupTally;
  readonly faults: Causes;
  dial(events: LinkEvents): Promise<Link>;
  breakOff(): Promise<void>;
  /** Whether a connection that ends by itself is a fault. */
  isCalm(): boolean;
  newTip(prevHash: Uint8Array): void;
}

/** One miner that comes, mines, goes and comes back until it is told to stay away. */
export class Seat {
  lastJobAt = 0;
  isAway = true;
  readonly #context: SeatContext;
  readonly #stop = new AbortController();
  #link: Link | undefined;
  #departure: Departure | undefined;
  #nonce = randomInt(2 ** 32);
  #submitted = 0;
  #acknowledged = 0;
  #uncertain = 0;

  constructor(context: SeatContext) {
    this.#context = context;
  }

  get isMining(): boolean {
    return this.#link?.work !== undefined;
  }

  get pending(): number {
    return this.#link?.pending ?? 0;
  }

  /** Runs until {@link stop}. */
  async run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#stop.signal.aborted) {
      this.isAway = false;
      try {
        await this.#mine();
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        this.#failed(error);
        await this.#pause(retryMs * (0.5 + Math.random()));
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
      if (this.#departure !== undefined) await this.#beAway(this.#departure);
    }
    this.isAway = true;
  }

  /** Tries so many nonces on the work it has. */
  hash(count: number): void {
    const work = this.#link?.work;
    if (work === undefined) return;
    search(work, this.#nonce, count);
    this.#nonce = (this.#nonce + count) >>> 0;
  }

  /** Goes, to come back after a while. Does nothing while it is not connected. */
  depart(departure: Departure): void {
    if (this.#link === undefined || this.#departure !== undefined) return;
    this.#departure = departure;
    this.#link.leave(departure === "clean" ? "clean" : "reset");
  }

  /** Goes for good. */
  stop(how: "clean" | "reset"): void {
    this.#stop.abort();
    this.#link?.leave(how);
  }

  counts(): SeatCounts {
    return {
      identity: this.#context.spec.identity,
      submitted: this.#submitted,
      acknowledged: this.#acknowledged,
      uncertain: this.#uncertain,
    };
  }

  async #mine(): Promise<void> {
    const { tally } = this.#context;
    const link = await this.#context.dial(this.#events());
    tally.connected += 1;
    this.#link = link;
    if (this.#stop.signal.aborted) link.leave("clean");
    const cause = await link.ended;
    this.#link = undefined;
    this.lastJobAt = 0;
    tally.ended.add(this.#kindOfEnd(cause));
  }

  #kindOfEnd(cause: string): string {
    if (this.#stop.signal.aborted) return "end of the run";
    if (this.#departure !== undefined) return `churn: ${this.#departure}`;
    return this.#context.isCalm() ? `unexpected: ${cause}` : "upstream loss";
  }

  #failed(error: unknown): void {
    const when = this.#context.isCalm() ? "unexpected" : "upstream loss";
    this.#context.tally.failed.add(`${when}: ${codeOf(error)}`);
  }

  async #beAway(departure: Departure): Promise<void> {
    this.isAway = true;
    await this.#pause(SHORTEST_ABSENCE_MS + Math.random() * (LONGEST_ABSENCE_MS - SHORTEST_ABSENCE_MS));
    if (departure === "mid-handshake" && !this.#stop.signal.aborted) await this.#context.breakOff().catch(() => {});
    this.#departure = undefined;
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  #events(): LinkEvents {
    const { tally, faults, newTip, spec } = this.#context;
    let tip: Uint8Array | undefined;
    return {
      submitted: () => {
        this.#submitted += 1;
        tally.submitted += 1;
      },
      acknowledged: (count, latencies) => {
        this.#acknowledged += count;
        tally.acknowledged += count;
        tally.lastAcknowledgedAt = Date.now();
        for (const latency of latencies) tally.latency.add(latency);
      },
      rejected: (reason) => tally.rejected.add(reason),
      uncertain: () => {
        this.#uncertain += 1;
        tally.uncertain += 1;
      },
      job: (prevHash, at) => {
        this.lastJobAt = at;
        const known = tip;
        tip = prevHash;
        // The first job of a connection says when it came, not when the tip did.
        if (known !== undefined && Buffer.compare(known, prevHash) !== 0) newTip(prevHash);
      },
      fault: (what) => faults.add(`${spec.group}: ${what}`),
    };
  }
}
