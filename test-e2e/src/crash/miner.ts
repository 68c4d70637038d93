import { randomInt } from "node:crypto";
import type { EventEmitter } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { type Link, type LinkEvents, search } from "../soak/link.ts";
import type { MinersBook, Owner } from "./miners-book.ts";

/** Where a miner sits. */
export type Place = "sv2-tcp" | "sv2-iroh" | "sv1";

/** What a {@link Miner} works with. */
export interface MinerContext {
  readonly owner: Owner;
  readonly place: Place;
  readonly book: MinersBook;
  /** Told of `share`, `block`, `acknowledgement` and `job` as they happen. */
  readonly moments: EventEmitter;
  readonly dial: (events: LinkEvents) => Promise<Link>;
}

const SHORTEST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 300;

/** A miner that comes back as soon as it can, whatever happens to it. */
export class Miner {
  readonly place: Place;
  /** When its newest acknowledged share was sent, on `performance.now()`. */
  lastProvenAt = Number.NEGATIVE_INFINITY;
  /** When the job of that share came. */
  lastProvenJobAt = Number.NEGATIVE_INFINITY;
  readonly #context: MinerContext;
  readonly #stop = new AbortController();
  readonly #sent = new Map<string, { readonly at: number; readonly jobAt: number }>();
  #jobAt = Number.NEGATIVE_INFINITY;
  #link: Link | undefined;
  #nonce = randomInt(2 ** 32);

  constructor(context: MinerContext) {
    this.#context = context;
    this.place = context.place;
  }

  /** Shares without an answer. */
  get pending(): number {
    return this.#link?.pending ?? 0;
  }

  /** Runs until {@link stop}. */
  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        this.#link = await this.#context.dial(this.#events());
        if (this.#stop.signal.aborted) this.#link.leave("clean");
        await this.#link.ended;
      } catch {
        // The other side is down, or going down.
      }
      this.#link = undefined;
      const retryMs = SHORTEST_RETRY_MS + Math.random() * (LONGEST_RETRY_MS - SHORTEST_RETRY_MS);
      await pause(retryMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /** Tries so many nonces on the work it has. */
  hash(count: number): void {
    const work = this.#link?.work;
    if (work === undefined) return;
    search(work, this.#nonce, count);
    this.#nonce = (this.#nonce + count) >>> 0;
  }

  /** Goes for good. */
  stop(): void {
    this.#stop.abort();
    this.#link?.leave("clean");
  }

  #events(): LinkEvents {
    const { owner, book, moments } = this.#context;
    const channel = book.openChannel(owner);
    const key = (hash: Uint8Array): string => Buffer.from(hash).toString("latin1");
    this.#sent.clear();
    return {
      submitted: (share) => {
        this.#sent.set(key(share.hash), { at: performance.now(), jobAt: this.#jobAt });
        const { isBlock } = book.submitted(owner, share);
        moments.emit("share");
        if (isBlock) moments.emit("block");
      },
      acknowledged: (_count, _latencies, acknowledgement) => {
        book.acknowledged(channel, acknowledgement);
        for (const { hash } of acknowledgement.shares) {
          const sent = this.#sent.get(key(hash));
          this.#sent.delete(key(hash));
          this.lastProvenAt = Math.max(this.lastProvenAt, sent?.at ?? this.lastProvenAt);
          this.lastProvenJobAt = Math.max(this.lastProvenJobAt, sent?.jobAt ?? this.lastProvenJobAt);
        }
        moments.emit("acknowledgement");
      },
      rejected: (reason, share) => book.refused(reason, share),
      uncertain: () => {},
      job: () => {
        this.#jobAt = performance.now();
        moments.emit("job");
      },
      fault: (what) => book.fault(`${this.place}: ${what}`),
    };
  }
}
