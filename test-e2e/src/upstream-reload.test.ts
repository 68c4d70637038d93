import { readFile, writeFile } from "node:fs/promises";
import { openSqliteStore } from "@adit/share-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAdit } from "./harness/command.ts";
import { poolToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { RoleStatus } from "./harness/status.ts";
import { Sv1Miner } from "./harness/sv1-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";
import { settled } from "./nat/books.ts";

let stage: Stage;
let templateProvider: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", (folder) => templateProviderToml(folder));
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** A pool of this scenario alone. */
async function startPool(name: string): Promise<TestRole> {
  return await stage.start("pool", (folder) => poolToml(folder, templateProvider), name);
}

/** Replaces the `[[upstreams]]` of a translator's config. */
const list =
  (...entries: readonly string[]) =>
  (toml: string): string => {
    const rest = toml.slice(0, toml.indexOf("[[upstreams]]"));
    return rest + entries.map((entry) => `[[upstreams]]\nuser_identity = "e2e"\n${entry}`).join("\n");
  };

/** Resolves when a pool has credited some more shares than now. */
async function credits(pool: TestRole): Promise<void> {
  const { shares_accepted: before } = await pool.status();
  await until(`${pool.logFile}: more shares`, async () => (await pool.status()).shares_accepted >= before + 3);
}

/** The way that is mined over, and whether the config still has it. */
function inUse({ upstream_routes: routes }: RoleStatus): string {
  const route = routes.find(({ in_use: isInUse }) => isInUse);
  return route === undefined ? "none" : `${route.name} ${route.listed ? "listed" : "removed"}`;
}

/** Shares in the store of a pool that runs no more. */
async function recorded(pool: TestRole): Promise<number> {
  await using store = await openSqliteStore({ path: pool.logFile.replace(/pool\.log$/, "shares.db") });
  return (await store.totals()).shares;
}

describe.each(["tcp", "iroh"] as const)("a translator over %s", (transport) => {
  test("takes another list of pools over live: no miner's socket is cut, and every share is credited once", async () => {
    const [first, second] = await Promise.all([startPool(`first-${transport}`), startPool(`second-${transport}`)]);
    const [toFirst, toSecond] = [upstream(first, transport), upstream(second, transport)];
    const translator = await stage.start(
      "translator",
      (folder) => translatorToml(folder, [toFirst]),
      `translator-${transport}`,
    );
    using miner = await Sv1Miner.dial(translator.details.downstream_address);
    miner.withholdsBlocks = true;
    await credits(first);

    // The pool in use is taken out.
    expect(await translator.reload(list(toSecond))).toContain('"applied":["upstreams"]');
    await translator.logged(/"reason":"upstream-removed".*upstream changed/);
    await credits(second);

    // It comes back, and before the other.
    await translator.reload(list(toFirst, toSecond));
    await translator.logged(/"reason":"better-upstream-ready".*upstream changed/);
    await credits(first);

    // All that is left of the list cannot be reached: what works is mined at as long as that is so.
    const nowhere = 'address = "127.0.0.1"\nport = 1\n';
    await translator.reload(list(nowhere));
    await credits(first);
    expect(inUse(await translator.status())).toMatch(/ removed$/);

    // A bad list changes nothing.
    const refused = await translator.reload(list('address = "127.0.0.1"\n'));
    expect(refused).toContain("upstreams[0].port: expected a port");
    expect(refused).toContain("config refused: the former one stays in force");
    await credits(first);

    // With another account it is another upstream, though it is the same pool.
    await translator.reload((toml) => list(toFirst)(toml).replace('user_identity = "e2e"', 'user_identity = "other"'));
    await until("shares for the other account", async () =>
      (await first.status()).channels.some((one) => one.user_identity.startsWith("other") && one.shares_accepted > 0),
    );
    expect(inUse(await translator.status())).toMatch(/ listed$/);

    miner.rest();
    const status = await settled(miner, () => translator.status());
    expect([miner.isConnected, miner.rejected, status.miners.length]).toEqual([true, [], 1]);
    expect([status.shares_accepted, status.shares_unanswered]).toEqual([miner.accepted, 0]);
    expect(status.shares_rejected_upstream_by_reason).toEqual({});
    expect(await translator.sample('sv2_translator_upstream_changes_total{reason="upstream-removed"}')).toBe(2);
    expect(await translator.sample('sv2_translator_upstream_changes_total{reason="connection-lost"}')).toBe(0);
    expect([await translator.stop(), await first.stop(), await second.stop()]).toEqual([0, 0, 0]);
    expect((await recorded(first)) + (await recorded(second))).toBe(status.shares_acknowledged);
  });
});

test("an operator's call takes another list over, and is told why one over Iroh is not by a process without", async () => {
  const [first, second] = await Promise.all([startPool("called-first"), startPool("called-second")]);
  const rpc = '[rpc]\nhttp = ["status", "control"]\n';
  const translator = await stage.start("translator", (folder) =>
    translatorToml(folder, [upstream(first, "tcp")]).replace("[[upstreams]]", `${rpc}[[upstreams]]`),
  );
  using miner = await Sv1Miner.dial(translator.details.downstream_address);
  await credits(first);
  const config = translator.logFile.replace(/translator\.log$/, "config.toml");
  const reload = async (...entries: readonly string[]) => {
    await writeFile(config, list(...entries)(await readFile(config, "utf8")));
    return await runAdit(["control", `http://${translator.monitoringAddress}`, "reload"]);
  };
  expect(await reload(upstream(second, "tcp"))).toMatchObject({ code: 0, stdout: "applied\nin force: upstreams\n" });
  await credits(second);
  const refused = await reload(upstream(first, "iroh"));
  expect(refused.stdout).toContain("partly\nproblem: upstreams: this process was started without Iroh: restart it");
  await credits(second);
  expect([inUse(await translator.status()), miner.isConnected]).toEqual([expect.stringMatching(/ listed$/), true]);
});
