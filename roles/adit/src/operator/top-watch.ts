import { NetworkError } from "@adit/network-helpers";
import { clientOf } from "@adit/network-helpers/rpc";
import { peerText } from "@adit/role-kit";
import { statusService } from "@adit/role-network";
import type { Fleet } from "./fleet.ts";
import type { StatusAnswer } from "./status-view.ts";
import type { TopEntry } from "./top-view.ts";

/** Connections asked for at most. */
const ENTRIES = 20;
/** Longest text about one target's trouble. */
const MAX_TROUBLE = 512;

/** What a {@link TopWatch} looks by. */
export interface TopParts {
  readonly fleet: Pick<Fleet, "call">;
  /** Says what went wrong, and what to do. */
  readonly operator: { explain(error: unknown): Promise<string> };
}

/** One target of the live view, which is looked at again and again. */
export class TopWatch {
  readonly #name: string;
  readonly #parts: TopParts;
  #seenAt = 0;
  /** What there is to show. */
  entry: Omit<TopEntry, "breaker">;

  constructor(name: string, parts: TopParts) {
    this.#name = name;
    this.#parts = parts;
    this.entry = { name, status: undefined, sharesPerMinute: undefined, trouble: null };
  }

  /** Asks once. What goes wrong is in the entry. */
  async look(signal: AbortSignal): Promise<void> {
    const { fleet, operator } = this.#parts;
    try {
      const status = await fleet.call(
        this.#name,
        (caller, options) => clientOf(statusService, caller).get({ entries: ENTRIES }, options),
        { signal },
      );
      this.#take(status);
    } catch (error) {
      const isLeftAlone = error instanceof NetworkError && error.code === "breaker-open";
      // What led to that says more.
      const known = isLeftAlone ? this.entry.trouble : null;
      const trouble = known ?? peerText(await operator.explain(error), MAX_TROUBLE);
      this.entry = { ...this.entry, sharesPerMinute: undefined, trouble };
    }
  }

  #take(status: StatusAnswer): void {
    const now = performance.now();
    const [before, after] = [sharesOf(this.entry.status), sharesOf(status)];
    const minutes = (now - this.#seenAt) / 60_000;
    const more = before === undefined || after === undefined || after < before ? undefined : (after - before) / minutes;
    this.#seenAt = now;
    this.entry = { name: this.#name, status, sharesPerMinute: more, trouble: null };
  }
}

function sharesOf(status: StatusAnswer | undefined): number | undefined {
  const shares = status?.document["shares_accepted"];
  return typeof shares === "number" ? shares : undefined;
}
