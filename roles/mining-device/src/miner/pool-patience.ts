import { TokenBucket } from "@adit/token-bucket";

/** Without work for this long, a pool is of no use. */
const WORKLESS_MS = 30_000;
/** Hashing rests for shares without an answer; a pool that answers none of them for this long will not. */
const UNANSWERED_MS = 30_000;
/** Broken rules a pool may have at once, and how many are forgiven a second. */
const FAULTS = { burst: 16, perSecond: 1 / 60 };

/** Judges a pool by what it does: says when to leave it though its connection stands. Times are milliseconds. */
export class PoolPatience {
  readonly #faults: TokenBucket;
  #workedAt: number;
  #restedSince: number | undefined;

  /** `now`: when the connection began. */
  constructor(now: number) {
    this.#workedAt = now;
    this.#faults = new TokenBucket(FAULTS, now);
  }

  /** A second has passed. `working`: there is work. `resting`: too many shares wait. Returns why to leave. */
  tick(
    now: number,
    { working, resting }: { readonly working: boolean; readonly resting: boolean },
  ): string | undefined {
    if (working) this.#workedAt = now;
    if (now - this.#workedAt >= WORKLESS_MS) return "the pool gives no work";
    this.#restedSince = resting ? (this.#restedSince ?? now) : undefined;
    const isSilent = this.#restedSince !== undefined && now - this.#restedSince >= UNANSWERED_MS;
    return isSilent ? "the pool answers no shares" : undefined;
  }

  /** A share was answered. */
  answered(): void {
    this.#restedSince = undefined;
  }

  /** It broke a rule of the protocol, named by `code`. Returns why to leave. */
  broke(now: number, code: string): string | undefined {
    return this.#faults.take(now) ? undefined : `the pool keeps breaking the protocol: ${code}`;
  }
}
