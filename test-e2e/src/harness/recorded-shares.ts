import { fromHex } from "@adit/bitcoin";
import { openSqliteStore } from "@adit/share-store";
import { expect } from "vitest";

/** Shares that somebody was told are accepted. */
export interface AcknowledgedShares {
  /** As whom the channel was opened. */
  readonly userIdentity: string;
  /** Header hashes, in hex. */
  readonly hashes: ReadonlySet<string>;
  /** How many the store has of this account, where that is known: it may hold what nobody was told of any more. */
  readonly count?: number;
}

/**
 * Every acknowledged share must be in the store, once: it refuses all of them as known, and has no more than were made.
 *
 * @param store path of the share store of a pool that runs no more
 */
export async function expectRecorded(
  store: string,
  { userIdentity, hashes, count }: AcknowledgedShares,
): Promise<void> {
  await using shares = await openSqliteStore({ path: store });
  const before = await shares.totals();
  const workers = await shares.workers();
  const worker = workers.find((one) => one.userIdentity === userIdentity)?.worker ?? "";
  const row = { prevHash: new Uint8Array(32), userIdentity, worker, work: 1n, shareDifficulty: 1 };
  for (const hash of hashes) {
    expect(await shares.append({ ...row, hash: fromHex(hash), at: Date.now() })).toBe("duplicate");
  }
  expect(await shares.totals()).toEqual(before);
  expect(before.shares).toBe(workers.reduce((sum, worker) => sum + worker.shares, 0));
  const ours = workers.find((worker) => worker.userIdentity === userIdentity)?.shares ?? 0;
  if (count === undefined) expect(ours).toBeGreaterThanOrEqual(hashes.size);
  else expect(ours).toBe(count);
}
