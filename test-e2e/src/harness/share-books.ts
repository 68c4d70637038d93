import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

/** What has become of the shares that a jd-client has accepted of its miners, as its metrics count them. */
export interface ShareBooks {
  readonly accepted: number;
  /** Credited by pools, as far as the jd-client was told. */
  readonly acknowledged: number;
  readonly rejected: number;
  /** Sent to a pool that was left before it had answered. It may have credited them. */
  readonly unanswered: number;
  /** Good for the miner's target, and not for the pool's. */
  readonly belowTarget: number;
  /** Of work that pays to the miner alone. */
  readonly solo: number;
  /** Never sent, by the reason for it. */
  readonly discarded: Readonly<Record<string, number>>;
}

/** Resolves to the books of a jd-client whose miners have stopped, as soon as nothing is on its way any more. */
export async function settledBooks(client: TestRole): Promise<ShareBooks> {
  return await until("every share of the jd-client has found its end", async () => {
    const books = readBooks(await client.metrics());
    return books.accepted === settled(books) && books;
  });
}

/** All that is not on its way any more. */
function settled({ acknowledged, rejected, unanswered, belowTarget, solo, discarded }: ShareBooks): number {
  const given = Object.values(discarded).reduce((sum, count) => sum + count, 0);
  return acknowledged + rejected + unanswered + belowTarget + solo + given;
}

function readBooks(page: string): ShareBooks {
  const counts = (name: string): Readonly<Record<string, number>> => {
    const line = new RegExp(`^sv2_jd_client_${name}_total(?:\\{[a-z_]+="([^"]*)"\\})? (\\d+)$`, "gm");
    return Object.fromEntries([...page.matchAll(line)].map(([, label = "", count]) => [label, Number(count)]));
  };
  const sum = (name: string): number => Object.values(counts(name)).reduce((total, count) => total + count, 0);
  return {
    accepted: sum("shares_accepted"),
    acknowledged: sum("shares_acknowledged"),
    rejected: sum("shares_rejected_upstream"),
    unanswered: sum("shares_unanswered"),
    belowTarget: sum("shares_below_upstream_target"),
    solo: sum("shares_solo"),
    discarded: counts("shares_discarded"),
  };
}
