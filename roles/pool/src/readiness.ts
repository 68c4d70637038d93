import type { RoleContext } from "@adit/role-kit";
import type { UpstreamState } from "@adit/role-network";

/** What decides whether the pool can serve. */
export interface PoolCondition {
  readonly listening: boolean;
  /** Whether the connected template provider has named a tip, and there is a job on it. */
  readonly hasWork: boolean;
  readonly upstream: UpstreamState;
  /** Whether shares can be recorded. */
  readonly durable: boolean;
}

/** Why the pool cannot serve; null when it can. */
export function notReadyReason({ listening, hasWork, upstream, durable }: PoolCondition): string | null {
  if (!durable) return "the share store cannot record shares; see its error in the log, then restart the pool";
  if (upstream.state === "waiting") return `no template provider: ${upstream.reason}`;
  if (upstream.state === "connecting") return "no template provider: dialling it";
  if (!hasWork) return "waiting for the template provider's first template and prevhash";
  return listening ? null : "starting to listen";
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
