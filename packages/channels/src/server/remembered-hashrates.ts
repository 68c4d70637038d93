/** Nominal hashrates this far off the remembered one pull it along: devices often send a constant. */
const TRUST_FACTOR = 8;

/**
 * The hashrate a channel had when it went, by user identity, so that a reconnect does not start over with an easy
 * target. Bounded in number and time; each memory serves one opening.
 */
export class RememberedHashrates {
  readonly #max: number;
  readonly #maxAgeMs: number;
  readonly #entries = new Map<string, { hashrate: number; at: number }>();

  /** Keeps at most `rememberedIdentities` for `rememberHashrateMs`. */
  constructor(limits: { readonly rememberedIdentities: number; readonly rememberHashrateMs: number }) {
    this.#max = limits.rememberedIdentities;
    this.#maxAgeMs = limits.rememberHashrateMs;
  }

  /** How many identities are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** Remembers a channel that goes at `now`; the oldest memory makes room. */
  put(userIdentity: string, hashrate: number, now: number): void {
    this.#entries.delete(userIdentity);
    this.#entries.set(userIdentity, { hashrate, at: now });
    if (this.#entries.size <= this.#max) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }

  /**
   * Hashrate to open a channel with: the remembered one, kept within a factor of eight of the nominal one when that
   * is given, or the nominal one when nothing is remembered.
   */
  take(userIdentity: string, nominalHashRate: number, now: number): number {
    const entry = this.#entries.get(userIdentity);
    if (entry === undefined) return nominalHashRate;
    this.#entries.delete(userIdentity);
    if (now - entry.at > this.#maxAgeMs) return nominalHashRate;
    if (nominalHashRate <= 0) return entry.hashrate;
    return Math.min(Math.max(entry.hashrate, nominalHashRate / TRUST_FACTOR), nominalHashRate * TRUST_FACTOR);
  }
}
