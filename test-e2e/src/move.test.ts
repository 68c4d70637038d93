import { copyFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  embeddedAccess,
  nodeTemplateProviderToml,
  poolToml,
  sv2MinerToml,
  templateProviderToml,
  upstream,
} from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { LogLine, TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** One miner finds a block every other second or so. */
const HASHES_PER_BLOCK = 40_000;

let stage: Stage;
/** Whose embedded chain is every template provider's node. */
let chain: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  chain = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: HASHES_PER_BLOCK, rpc: true }),
  );
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** A server of the same operator has the same authority key. */
function sameAuthority(as: TestRole, folder: string): void {
  copyFileSync(`${dirname(as.logFile)}/authority.key`, `${folder}/authority.key`);
}

/** Where a server is reached, as `move_clients_to` and `move_miners_to` have it. */
const place = (role: TestRole, over: "tcp" | "iroh"): string => {
  const { address, ticket } = role.listener(over);
  return over === "tcp" ? address : (ticket ?? "");
};

/** The height of the block that a pool's miners work on. */
async function heightAt(pool: TestRole): Promise<number> {
  return (await pool.status()).template_provider.height ?? 0;
}

const shares = async (role: TestRole): Promise<number> => (await role.status()).shares_accepted;

/** Everything a role has logged behind the first `from` lines, by the text of its lines. */
const texts = (lines: readonly LogLine[], from: number): readonly string[] => lines.slice(from).map(({ msg }) => msg);

describe.each(["tcp", "iroh"] as const)("over %s", (over) => {
  test("a template provider that stops moves its pool to another, and no miner notices", async () => {
    const node = embeddedAccess(chain);
    const second = await stage.start(
      "template-provider",
      (folder) => nodeTemplateProviderToml(folder, [node]),
      `second-${over}`,
    );
    const top = `move_clients_to = "${place(second, over)}"`;
    const first = await stage.start(
      "template-provider",
      (folder) => {
        sameAuthority(second, folder);
        return nodeTemplateProviderToml(folder, [node], { top });
      },
      `first-${over}`,
    );
    const pool = await stage.start(
      "pool",
      (folder) => poolToml(folder, first, { templatesOver: over }),
      `pool-of-templates-${over}`,
    );
    const miner = await stage.start(
      "mining-device",
      (folder) => sv2MinerToml(folder, upstream(pool, over), `templates-${over}`),
      `miner-of-templates-${over}`,
    );
    await until("a block of the first provider", async () => (await pool.status()).blocks_found >= 1);
    const from = pool.logLines().length;
    const heights = [await heightAt(pool)];

    expect(await first.stop()).toBe(0);
    await pool.logged(/"msg":"reconnected"/);
    const before = await second.status();
    await until("a block of the second provider", async () => {
      heights.push(await heightAt(pool));
      return (await second.status()).blocks.accepted > before.blocks.accepted;
    });
    expect(first.log()).toContain("clients asked to connect elsewhere");
    expect(first.logLines().find(({ msg }) => msg === "clients left, but for these")).toMatchObject({ connections: 0 });
    expect(heights).toEqual(heights.toSorted((one, other) => one - other));
    expect(texts(pool.logLines(), from)).not.toContain("not ready");
    expect(texts(pool.logLines(), from)).not.toContain("template provider away");
    expect(await pool.sample('sv2_template_client_reconnects_total{result="followed"}')).toBe(1);

    // And back, because the config says so while the pool runs.
    const again = await stage.start(
      "template-provider",
      (folder) => nodeTemplateProviderToml(folder, [node]),
      `first-${over}`,
    );
    expect((await second.status()).clients).toHaveLength(1);
    const said = await pool.reload((toml) => {
      const rest = toml.slice(0, toml.indexOf("[template_provider_type.Sv2Tp]"));
      return `${rest}[fallback]\nretry_max_secs = 1\n[template_provider_type.Sv2Tp]\n${upstream(again, over)}`;
    });
    const where = over === "tcp" ? "port" : "direct_addresses";
    expect(said).toContain(`"applied":["fallback.retry_max_secs","template_provider_type.Sv2Tp.${where}"]`);
    expect(said).not.toContain("cannot change live");
    await until("the pool is back", async () => (await again.status()).clients.length === 1);
    await until("nobody is left", async () => (await second.status()).clients.length === 0);
    expect(texts(pool.logLines(), from)).not.toContain("not ready");

    const mined = await shares(pool);
    await until("mining goes on", async () => (await shares(pool)) > mined);
    const { shares_rejected_by_reason } = await pool.status();
    // A share may cross the news of a block.
    const { "stale-share": _, ...faults } = shares_rejected_by_reason;
    expect(faults).toEqual({});
    expect(miner.log()).not.toMatch(/not connected/);
    expect(await miner.metrics()).not.toMatch(/^sv2_mining_device_shares_lost_total\{/m);
    expect((await pool.status()).connections.filter(({ direction }) => direction === "downstream")).toHaveLength(1);
    for (const role of [miner, pool, again, second]) expect(await role.stop()).toBe(0);
  });

  test("a pool that stops moves a mining device to another, which also goes where its config says", async () => {
    const second = await stage.start("pool", (folder) => poolToml(folder, chain), `second-pool-${over}`);
    const top = `move_miners_to = "${place(second, over)}"`;
    const first = await stage.start(
      "pool",
      (folder) => {
        sameAuthority(second, folder);
        return poolToml(folder, chain, { top });
      },
      `first-pool-${over}`,
    );
    const miner = await stage.start(
      "mining-device",
      (folder) => sv2MinerToml(folder, upstream(first, over), `device-${over}`),
      `device-${over}`,
    );
    await until("shares at the first pool", async () => (await shares(first)) >= 3);
    expect(await first.stop()).toBe(0);
    await until("shares at the second pool", async () => (await shares(second)) >= 3);
    expect(first.logLines().find(({ msg }) => msg === "clients left, but for these")).toMatchObject({ connections: 0 });
    expect(miner.log()).not.toContain("not connected");
    expect(await miner.sample('sv2_mining_device_reconnects_total{result="followed"}')).toBe(1);

    const third = await stage.start("pool", (folder) => poolToml(folder, chain), `third-pool-${over}`);
    const said = await miner.reload((toml) => {
      const [entry = ""] = /transport = "(tcp|iroh)"[^]*?authority_pubkey = ".*"\n/.exec(toml) ?? [];
      return toml.replace(entry, upstream(third, over));
    });
    expect(said).toContain('"applied":["authority_pubkey"');
    expect(said).not.toContain("cannot change live");
    await until("shares at the third pool", async () => (await shares(third)) >= 3);
    expect(miner.log()).not.toContain("not connected");
    for (const role of [miner, second, third]) expect(await role.stop()).toBe(0);
  });
});
