import { hashFromDisplay, hex } from "@adit/bitcoin";
import { openSqliteStore } from "@adit/share-store";
import { expect } from "vitest";
import { readTranslatorLog } from "../crash/translator-log.ts";
import { expectRecorded } from "../harness/recorded-shares.ts";
import type { RoleStatus } from "../harness/status.ts";
import type { Sv1Miner } from "../harness/sv1-miner.ts";
import type { LogLine } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";

/** Longer than anything that is on its way. */
const SETTLE_MS = 20_000;

/** What each has counted by the end. */
export interface Books {
  readonly miner: Sv1Miner;
  readonly translator: { readonly status: RoleStatus; readonly log: readonly LogLine[] };
  /** `store`: path of its share store; it runs no more. */
  readonly pool: { readonly status: RoleStatus; readonly store: string };
}

/** Losses that a scenario may have. What is not named must not be. */
export interface Losses {
  /**
   * The connection was lost. What the miner found without work was refused as stale, and what was on its way to the pool
   * is unanswered: recorded there, or not.
   */
  readonly connectionLost?: boolean;
}

/** Resolves to the status of a translator whose miner rests, when nothing is on its way any more, or ought not to be. */
export async function settled(miner: Sv1Miner, status: () => Promise<RoleStatus>): Promise<RoleStatus> {
  const isSettled = async (): Promise<boolean> => {
    const now = await status();
    return miner.submitted === miner.accepted + miner.rejected.length && now.shares_accepted === ends(now);
  };
  // In vain is a matter for the books, which say what is missing.
  await until("every share has found its end", isSettled, SETTLE_MS).catch(() => {});
  return await status();
}

/** Accepted shares of a translator that are not on their way. */
function ends(status: RoleStatus): number {
  const refused = Object.values(status.shares_rejected_upstream_by_reason).reduce((sum, count) => sum + count, 0);
  return status.shares_acknowledged + refused + status.shares_unanswered + status.shares_below_upstream_target;
}

/**
 * Accepted shares are counted exactly once: alike by the miner, the translator and the pool. Each acknowledged one, by
 * its hash, is in the pool's store, which has no others but unanswered ones. Whatever was submitted has found an end.
 */
export async function expectExact(books: Books, { connectionLost = false }: Losses = {}): Promise<void> {
  const { miner, translator, pool } = books;
  const { status } = translator;
  expect(miner.rejected.filter((reason) => !(connectionLost && /stale/i.test(reason)))).toEqual([]);
  expect(miner.submitted).toBe(miner.accepted + miner.rejected.length);
  expect(status.shares_accepted).toBe(miner.accepted);
  expect(status.shares_rejected).toBe(miner.rejected.length);

  expect(status.shares_rejected_upstream_by_reason).toEqual({});
  if (!connectionLost) expect(status.shares_unanswered).toBe(0);
  expect(ends(status)).toBe(status.shares_accepted);

  const upstream = readTranslatorLog(translator.log);
  expect(upstream.faults).toEqual([]);
  expect(upstream.acknowledged.size).toBe(status.shares_acknowledged);
  expect(pool.status.shares_rejected_by_reason).toEqual({});
  const hashes = new Set([...upstream.acknowledged].map((shown) => hex(hashFromDisplay(shown))));
  await expectRecorded(pool.store, { userIdentity: "e2e", hashes });
  await using store = await openSqliteStore({ path: pool.store });
  const { shares } = await store.totals();
  expect(pool.status.shares_accepted).toBe(shares);
  expect(shares).toBeGreaterThanOrEqual(status.shares_acknowledged);
  expect(shares).toBeLessThanOrEqual(status.shares_acknowledged + upstream.inDoubt.size);
}
