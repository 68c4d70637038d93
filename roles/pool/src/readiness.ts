import type { RoleContext } from "@adit/role-kit";

/** What decides whether the pool can serve. */
export interface PoolCondition {
  /** Whether miners are let in. */
  readonly listening: boolean;
  /** Whether the connected template provider has given work that miners can do. */
  readonly working: boolean;
  /** Why there is no template provider; null while one is connected or none was ever dialled. */
  readonly away: string | null;
  /** Whether shares can be recorded. */
  readonly durable: boolean;
}

/** Why the pool cannot serve; null when it can. */
function notReadyReason({ listening, working, away, durable }: PoolCondition): string | null {
  if (!durable) return "the share store cannot record shares; see its error in the log, then restart the pool";
  if (away !== null) return `no template provider: ${away}`;
  if (!working)
    return "the template provider has given no work yet: a template that blocks can be made of, and its prevhash";
  return listening ? null : "about to listen";
}

/**
 * Tells work of the present template provider's connection from what an earlier one left: miners go on with that, but
 * its blocks may be for nothing, and nobody renews it.
 */
export class ProvidersWork {
  #isConnected = false;
  /** The job that was active when the connection began. */
  #before: number | undefined;

  /**
   * The template provider is connected; `activeJobId`: what is mined, from before. A connection that takes the place of
   * another has its work with it, and what is mined until then was the other's a moment ago.
   */
  connected(activeJobId: number | undefined): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#before = activeJobId;
  }

  /** The connection has ended. */
  lost(): void {
    this.#isConnected = false;
  }

  /** Whether what is mined now is of the present connection. */
  isThere(activeJobId: number | undefined): boolean {
    return this.#isConnected && activeJobId !== undefined && activeJobId !== this.#before;
  }
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
