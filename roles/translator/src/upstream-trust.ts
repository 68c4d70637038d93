import { TokenBucket } from "@adit/token-bucket";
import type { Failure } from "./failure.ts";

/** Without work for this long although miners want some, an upstream is of no use. */
const WORKLESS_MS = 30_000;
/** As many shares in a row refused for this long: an upstream that credits nothing. */
const REFUSED: Patience = { shares: 20, ms: 60_000 };
/** Pools answer in batches as large as they please, so none is suspected soon for its silence. */
const UNANSWERED: readonly Patience[] = [
  { shares: 1000, ms: 60_000 },
  { shares: 100, ms: 1_800_000 },
];
/** Broken rules an upstream may have at once, and how many are forgiven a second. */
const FAULTS = { burst: 16, perSecond: 1 / 60 };

/** What is borne: fewer shares in a row than these, or for less than this time. */
interface Patience {
  readonly shares: number;
  readonly ms: number;
}

/** Shares without a credit in between. */
interface Streak {
  readonly count: number;
  readonly since: number;
}

/**
 * Judges one upstream connection by what it does, never by what it says: whether to leave it though it stands, and
 * whether it deserves another. Times are milliseconds that never run backwards.
 */
export class UpstreamTrust {
  readonly #faults = new TokenBucket(FAULTS, 0);
  #credited = false;
  #worklessSince: number | undefined;
  #unanswered: Streak | undefined;
  #refused: Streak | undefined;

  /** Whether it credited work, or was sent none. */
  get delivered(): boolean {
    return this.#credited || (this.#unanswered === undefined && this.#refused === undefined);
  }

  /** A share went up. */
  submitted(now: number): void {
    this.#unanswered = longer(this.#unanswered, now);
  }

  /** Shares were credited. */
  credited(): void {
    this.#credited = true;
    this.#unanswered = undefined;
    this.#refused = undefined;
  }

  /** A share was refused. */
  refused(now: number): void {
    this.#unanswered = undefined;
    this.#refused = longer(this.#refused, now);
  }

  /** It broke a rule of the protocol. Returns why to leave it, if that is to be. */
  broke(now: number, code: string): Failure | undefined {
    if (this.#faults.take(now)) return undefined;
    return { code: "protocol-fault", detail: `the upstream keeps breaking the protocol: ${code}` };
  }

  /** A second has passed. `wanting`: there are miners. `working`: any of them has work. Returns why to leave it. */
  tick(
    now: number,
    { wanting, working }: { readonly wanting: boolean; readonly working: boolean },
  ): Failure | undefined {
    this.#worklessSince = wanting && !working ? (this.#worklessSince ?? now) : undefined;
    if (this.#worklessSince !== undefined && now - this.#worklessSince >= WORKLESS_MS) {
      return { code: "no-work", detail: "the upstream gives no work" };
    }
    if (UNANSWERED.some((patience) => isTooLong(this.#unanswered, patience, now))) {
      return { code: "shares-unanswered", detail: "the upstream answers no shares" };
    }
    if (!isTooLong(this.#refused, REFUSED, now)) return undefined;
    return { code: "shares-refused", detail: "the upstream refuses every share" };
  }
}

function longer(streak: Streak | undefined, now: number): Streak {
  return { count: (streak?.count ?? 0) + 1, since: streak?.since ?? now };
}

function isTooLong(streak: Streak | undefined, { shares, ms }: Patience, now: number): boolean {
  return streak !== undefined && streak.count >= shares && now - streak.since >= ms;
}
