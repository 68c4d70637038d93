import { type Hash, hex, type Target, targetToBytes } from "@adit/bitcoin";
import type { Sv1Job } from "./job.ts";

/** A job as it was sent: what must not change under a miner that works on it. */
export interface IssuedJob {
  readonly job: Sv1Job;
  /** The version the miner saw. */
  readonly version: number;
  /** The bits upstream allowed to be rolled in this job. */
  readonly versionMask: number;
  readonly extranonce1: Uint8Array;
  readonly extranonce2Size: number;
  /** The difficulty sent before it. */
  readonly difficulty: number;
  /** What a share must meet. */
  readonly target: Target;
  /** `target` as 32 little-endian bytes. */
  readonly targetBytes: Uint8Array;
}

/** The jobs a miner may still submit to, the ids of those it no longer may, and the shares it has submitted. */
export class JobBook {
  readonly #limits: { readonly jobs: number; readonly staleJobs: number; readonly shares: number };
  readonly #live = new Map<string, IssuedJob>();
  readonly #stale = new Set<string>();
  /** Header hashes of the shares on `#tip`. */
  readonly #shares = new Set<string>();
  #tip = "";

  constructor(limits: { readonly jobs: number; readonly staleJobs: number; readonly shares: number }) {
    this.#limits = limits;
  }

  /** True for an id that shares may still name, dead or alive. */
  has(id: string): boolean {
    return this.#live.has(id) || this.#stale.has(id);
  }

  /** Takes a job in. Jobs on another tip die with it, and their shares can be forgotten; the oldest of too many goes. */
  add(issued: IssuedJob): void {
    const tip = hex(issued.job.prevHash);
    if (tip !== this.#tip) {
      this.retire();
      this.#shares.clear();
      this.#tip = tip;
    }
    this.#live.set(issued.job.id, issued);
    if (this.#live.size > this.#limits.jobs) dropOldest(this.#live);
  }

  /** Makes jobs stale: all, or those that are meant. Shares stay known: the same work may come back under another id. */
  retire(isMeant: (issued: IssuedJob) => boolean = () => true): void {
    for (const [id, issued] of this.#live) {
      if (!isMeant(issued)) continue;
      this.#live.delete(id);
      this.#stale.add(id);
      if (this.#stale.size > this.#limits.staleJobs) dropOldest(this.#stale);
    }
  }

  /** The job of that id, `stale` when it has died, `unknown` when it never was or is long gone. */
  find(id: string): IssuedJob | "stale" | "unknown" {
    return this.#live.get(id) ?? (this.#stale.has(id) ? "stale" : "unknown");
  }

  /**
   * Makes earlier jobs as easy as the difficulty just announced, where that is easier. Some firmware applies a new
   * difficulty to the work in hand, and ckpool's rule, the easier of both, rejects neither kind.
   */
  ease(target: Target): void {
    const targetBytes = targetToBytes(target);
    for (const [id, issued] of this.#live) {
      if (target > issued.target) this.#live.set(id, { ...issued, target, targetBytes });
    }
  }

  /** Remembers a share by the hash of its header, so that spelling a submit differently gains nothing. */
  remember(hash: Hash): "new" | "duplicate" | "full" {
    const key = hex(hash);
    if (this.#shares.has(key)) return "duplicate";
    if (this.#shares.size >= this.#limits.shares) return "full";
    this.#shares.add(key);
    return "new";
  }
}

function dropOldest(entries: Map<string, unknown> | Set<string>): void {
  for (const key of entries.keys()) {
    entries.delete(key);
    return;
  }
}
