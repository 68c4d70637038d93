import { openSqliteStore } from "@adit/share-store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type JdClientUpstream, jdClientToml, translatorToml, upstream } from "./harness/configs.ts";
import { MINER } from "./harness/declaring-farm.ts";
import { embeddedJds } from "./harness/declaring-miner.ts";
import { type DeclaringSides, openSides, startPool } from "./harness/declaring-sides.ts";
import { dialPool } from "./harness/dial.ts";
import { settledBooks } from "./harness/share-books.ts";
import { Sv1Miner } from "./harness/sv1-miner.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** Nobody finds a block: the tip stays where it is, and no share is late. */
const NEVER = 2 ** 44;
const NAME = "reloaded";

let sides: DeclaringSides;
/** Another pool, with a job declarator of its own. */
let other: TestRole;

beforeAll(async () => {
  sides = await openSides(NEVER);
  other = await startPool(sides.stage, sides, "other");
});

afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

test("a jd-client takes another list of pools over live: no socket of a miner is cut, and every share is credited once", async () => {
  const { stage, templateProvider, pool } = sides;
  const toFirst = { pool: upstream(pool, "iroh"), jds: upstream(sides.inside, "iroh") };
  const toOther = { pool: upstream(other, "tcp"), jds: upstream(embeddedJds(other), "iroh") };
  const config = (folder: string, upstreams: readonly JdClientUpstream[]): string =>
    jdClientToml(folder, templateProvider, { upstreams, userIdentity: NAME });
  const client = await stage.start("jd-client", (folder) => config(folder, [toFirst]), NAME);
  const list = (...upstreams: readonly JdClientUpstream[]): Promise<string> =>
    client.reload(() => config(`${stage.folder}/${NAME}`, upstreams));
  const entries = [upstream(client, "tcp")];
  const translator = await stage.start("translator", (folder) => translatorToml(folder, entries));
  using sv1 = await Sv1Miner.dial(translator.details.downstream_address, MINER.triesAtOnce);
  await using sv2 = await Sv2Miner.open(await dialPool(client), "miner", MINER);
  await credits(pool);

  // The pool in use is taken out.
  expect(await list(toOther)).toContain('"applied":["upstreams"]');
  await client.logged(/"reason":"upstream-removed".*upstream changed/);
  await credits(other);

  // It comes back, and before the other.
  await list(toFirst, toOther);
  await client.logged(/"reason":"better-upstream-ready".*upstream changed/);
  await credits(pool);

  // All that is left of the list cannot be reached: what works is mined for as long as that is so.
  const nowhere = 'address = "127.0.0.1"\nport = 1\n';
  await list({ pool: nowhere, jds: nowhere });
  await credits(pool);
  const { upstreams } = await client.status();
  expect(upstreams.map(({ in_use: isInUse }) => isInUse)).toEqual([false, true]);

  // A bad list changes nothing.
  expect(await list({ pool: 'address = "127.0.0.1"\n', jds: nowhere })).toContain("config refused");
  await list(toFirst);
  await credits(pool);

  sv1.rest();
  sv2.rest();
  const { acknowledged, discarded, ...others } = await settledBooks(client);
  expect(others).toMatchObject({ rejected: 0, unanswered: 0, solo: 0 });
  expect(Object.values(discarded).filter((count) => count > 0)).toEqual([]);
  expect([sv1.isConnected, sv1.rejected, sv2.isClosed, sv2.rejected]).toEqual([true, [], false, []]);
  // The start, away, and back.
  expect((await client.status()).switches).toBe(3);
  expect([await client.stop(), await pool.stop(), await other.stop()]).toEqual([0, 0, 0]);
  expect((await recorded("pool")) + (await recorded("other"))).toBe(acknowledged);
});

/** Resolves when a pool has credited some more shares of the jd-client than now. */
async function credits(pool: TestRole): Promise<void> {
  const { shares_accepted: before } = await pool.status();
  await until(`${pool.logFile}: more shares`, async () => (await pool.status()).shares_accepted >= before + 3);
}

/** Shares of the jd-client in the store of a pool that runs no more. */
async function recorded(pool: string): Promise<number> {
  await using store = await openSqliteStore({ path: `${sides.stage.folder}/${pool}/shares.db` });
  return (await store.workers()).reduce((sum, one) => sum + (one.userIdentity === NAME ? one.shares : 0), 0);
}
