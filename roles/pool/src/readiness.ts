import type { RoleContext } from "@adit/role-kit";

/** What decides whether the pool can serve. */
export interface PoolCondition {
  /** Whether it listens, and its connected template provider has named a tip. */
  readonly serving: boolean;
  /** Why there is no template provider; null while one is connected or none was ever dialled. */
  readonly away: string | null;
  /** Whether shares can be recorded. */
  readonly durable: boolean;
}

/** Why the pool cannot serve; null when it can. */
function notReadyReason({ serving, away, durable }: PoolCondition): string | null {
  if (!durable) return "the share store cannot record shares; see its error in the log, then restart the pool";
  if (away !== null) return `no template provider: ${away}`;
  return serving ? null : "waiting for the template provider's first template and prevhash";
}

/** Tells the process when the pool becomes ready or stops being so. */
export class Readiness {
  readonly #context: Pick<RoleContext, "ready" | "notReady">;
  readonly #details: () => Record<string, unknown>;
  #reason: string | null | undefined;

  /** `details` go to whoever waits for the pool, each time it becomes ready. */
  constructor(context: Pick<RoleContext, "ready" | "notReady">, details: () => Record<string, unknown>) {
    this.#context = context;
    this.#details = details;
  }

  /** Call whenever the condition may have changed. */
  update(condition: PoolCondition): void {
    const reason = notReadyReason(condition);
    if (reason === this.#reason) return;
    this.#reason = reason;
    if (reason === null) this.#context.ready(this.#details());
    else this.#context.notReady(reason);
  }
}
