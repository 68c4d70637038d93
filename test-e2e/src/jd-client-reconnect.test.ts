import { openSqliteStore } from "@adit/share-store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jdClientToml, poolToml, translatorToml, upstream } from "./harness/configs.ts";
import { DeclaringFarm, MINER } from "./harness/declaring-farm.ts";
import { type DeclaringSides, openSides } from "./harness/declaring-sides.ts";
import { dialPool } from "./harness/dial.ts";
import { settledBooks } from "./harness/share-books.ts";
import { Sv1Miner } from "./harness/sv1-miner.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** Nobody finds a block: the tip stays where it is, and no share is late. */
const NEVER = 2 ** 44;

let sides: DeclaringSides;

beforeAll(async () => {
  sides = await openSides(NEVER);
});

afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

type Over = "tcp" | "iroh";

/** A pool that takes jobs of the jd-server apart, and sends its miners to another under the same authority key when it stops. */
async function startPool(name: string, next?: { readonly pool: TestRole; readonly over: Over }): Promise<TestRole> {
  const { stage, chain, apart } = sides;
  const jdServers = [apart.details.authority_public_key];
  return await stage.start(
    "pool",
    (folder) => {
      const toml = poolToml(folder, chain, { jdServers });
      if (next === undefined) return toml;
      const { address, ticket } = next.pool.listener(next.over);
      const key = toml.replace(`${folder}/authority.key`, `${stage.folder}/${name}-next/authority.key`);
      return `move_miners_to = "${next.over === "iroh" ? ticket : address}"\n${key}`;
    },
    next === undefined ? `${name}-next` : name,
  );
}

/** Shares of an account in the store of a pool that runs no more. */
async function stored(pool: string, userIdentity: string): Promise<number> {
  await using store = await openSqliteStore({ path: `${sides.stage.folder}/${pool}/shares.db` });
  return (await store.workers()).reduce((sum, one) => sum + (one.userIdentity === userIdentity ? one.shares : 0), 0);
}

test.concurrent.each<Over>(["tcp", "iroh"])(
  "a pool that stops moves a jd-client to another one over %s, and no share is lost nor any miner's socket",
  async (over) => {
    const { stage, apart, templateProvider } = sides;
    const name = `moved-${over}`;
    const second = await startPool(name);
    const first = await startPool(name, { pool: second, over });
    const upstreams = [{ pool: upstream(first, over), jds: upstream(apart, over) }];
    const toml = (folder: string): string =>
      jdClientToml(folder, templateProvider, { upstreams, userIdentity: name, templatesOver: over });
    const client = await stage.start("jd-client", toml, `jd-client-${name}`);
    const entries = [upstream(client, over)];
    const translator = await stage.start(
      "translator",
      (folder) => translatorToml(folder, entries),
      `translator-${name}`,
    );
    using sv1 = await Sv1Miner.dial(translator.details.downstream_address, MINER.triesAtOnce);
    await using sv2 = await Sv2Miner.open(await dialPool(client), "miner", MINER);
    await until("the first pool credits shares", async () => (await client.status()).shares_acknowledged >= 10);

    expect(await first.stop()).toBe(0);
    await until("the second pool credits shares", async () => {
      const { channels } = await second.status();
      return channels.some((one) => one.user_identity === name && one.shares_accepted >= 5);
    });
    sv1.rest();
    sv2.rest();
    const { acknowledged, discarded, ...others } = await settledBooks(client);
    expect(others).toMatchObject({ rejected: 0, unanswered: 0, solo: 0 });
    expect(Object.values(discarded).filter((count) => count > 0)).toEqual([]);
    expect(await client.status()).toMatchObject({ switches: 1, mining_for: expect.not.stringContaining("solo") });
    expect(await client.sample('sv2_jd_client_reconnects_total{result="followed"}')).toBe(1);
    expect([sv1.isConnected, sv1.rejected, sv2.isClosed, sv2.rejected]).toEqual([true, [], false, []]);

    expect(await second.stop()).toBe(0);
    expect((await stored(name, name)) + (await stored(`${name}-next`, name))).toBe(acknowledged);
  },
);

test.concurrent.each(["pool", "jds"] as const)(
  "a jd-client whose %s asks it to connect again does so before it leaves the connections it has",
  async (part) => {
    await using farm = await DeclaringFarm.open(sides, { name: `again-${part}` });
    const { client, pool, jds } = farm;
    const miner = await farm.sv1Miner();
    await pool.saw("down", "SubmitSharesSuccess");
    const since = pool.mark();
    const again = { name: "Reconnect", newHost: "", newPort: 0 } as const;
    if (part === "pool") await pool.inject("down", again);
    else await jds.inject("down", again);
    const opened = await pool.sighting("down", "OpenExtendedMiningChannelSuccess", { since });
    const onNew = (_: unknown, { connection }: { readonly connection: number }): boolean =>
      connection === opened.connection;
    await pool.saw("down", "SubmitSharesSuccess", { since, where: onNew });
    // The old one went once the new one had a channel.
    expect((await pool.ended({ since })).at).toBeGreaterThan(opened.at);
    miner.rest();
    const books = await settledBooks(client);
    expect([books.unanswered, books.rejected, books.solo]).toEqual([0, 0, 0]);
    expect([miner.isConnected, miner.rejected, (await client.status()).switches]).toEqual([true, [], 1]);
  },
);

test("a jd-client stays where it is when a pool names a place that is not its own, or nobody's", async () => {
  await using farm = await DeclaringFarm.open(sides, { name: "stays" });
  const { client, pool } = farm;
  const miner = await farm.sv1Miner();
  await pool.saw("down", "SubmitSharesSuccess");
  // The pool behind the sniffer is a stranger: it has another authority key than the one that the config names.
  const port = Number(sides.pool.listener("tcp").address.split(":").at(-1));
  for (const newPort of [port, 1]) {
    const since = client.log().length;
    await pool.inject("down", { name: "Reconnect", newHost: "127.0.0.1", newPort });
    await client.logged(/"msg":"upstream failed"/, since);
  }
  const since = pool.mark();
  await pool.saw("down", "SubmitSharesSuccess", { since });
  expect(await client.sample('sv2_jd_client_reconnects_total{result="failed"}')).toBe(2);
  expect([miner.isConnected, miner.rejected, (await client.status()).switches]).toEqual([true, [], 1]);
});
