import { HashSet } from "./hash-set.ts";

interface TipShares {
  readonly prevHash: Uint8Array;
  readonly hashes: HashSet;
  /** When another tip took over; undefined for the current one. */
  leftAt: number | undefined;
}

/**
 * Header hashes of the shares credited on the current tip and on the tips of the last two hours, so that no share is
 * credited twice: not on another channel, connection or job id, and not when a reorganisation brings a tip back.
 * Nothing is evicted while it could be credited again; a full memory says so.
 */
export class SeenShares {
  readonly #maxShares: number;
  readonly #tipMs: number;
  #tips: TipShares[] = [];

  /** Keeps at most `seenShares` hashes, and those of a former tip for `seenTipMs`. */
  constructor(limits: { readonly seenShares: number; readonly seenTipMs: number }) {
    this.#maxShares = limits.seenShares;
    this.#tipMs = limits.seenTipMs;
  }

  /** Hashes held over all tips. */
  get size(): number {
    return this.#tips.reduce((sum, tip) => sum + tip.hashes.size, 0);
  }

  /** Tips with memory. */
  get tips(): number {
    return this.#tips.length;
  }

  /** Makes `prevHash` the current tip, with what is still remembered of it. */
  setTip(prevHash: Uint8Array, now: number): void {
    const current = this.#tips[0];
    if (current !== undefined) current.leftAt = now;
    const known = this.#tipOf(prevHash);
    const tip = known ?? { prevHash: prevHash.slice(), hashes: new HashSet(), leftAt: undefined };
    tip.leftAt = undefined;
    this.#tips = [tip, ...this.#tips.filter((other) => other !== tip)];
    this.prune(now);
  }

  /** Whether this is the current tip, or a former one that is remembered. */
  knowsTip(prevHash: Uint8Array): boolean {
    return this.#tipOf(prevHash) !== undefined;
  }

  /** Whether a share of the current tip is remembered. */
  has(hash: Uint8Array): boolean {
    return this.#tips[0]?.hashes.has(hash) ?? false;
  }

  /** Remembers a share of the current tip; "full" when there is no room, and then it is not remembered. */
  add(hash: Uint8Array): "new" | "duplicate" | "full" {
    const current = this.#tips[0];
    if (current === undefined) return "full";
    if (current.hashes.has(hash)) return "duplicate";
    if (this.size >= this.#maxShares) return "full";
    current.hashes.add(hash);
    return "new";
  }

  /** Forgets a share that was not recorded after all, so that it may be sent again. */
  forget(prevHash: Uint8Array, hash: Uint8Array): void {
    this.#tipOf(prevHash)?.hashes.delete(hash);
  }

  /** Drops former tips that are old enough. */
  prune(now: number): void {
    this.#tips = this.#tips.filter((tip) => tip.leftAt === undefined || now - tip.leftAt <= this.#tipMs);
  }

  #tipOf(prevHash: Uint8Array): TipShares | undefined {
    return this.#tips.find((tip) => tip.prevHash.every((byte, at) => byte === prevHash[at]));
  }
}
