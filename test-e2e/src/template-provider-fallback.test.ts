import { expect, test } from "vitest";
import {
  embeddedAccess,
  HASHRATE,
  listensOn,
  nodeTemplateProviderToml,
  poolToml,
  templateProviderToml,
  upstream,
} from "./harness/configs.ts";
import { dialPool } from "./harness/dial.ts";
import { Stage } from "./harness/stage.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** One miner finds a block every four seconds or so. */
const HASHES_PER_BLOCK = 4 * HASHRATE;
const CHANGE_MS = 60_000;

const accepted = async (provider: TestRole): Promise<number> => (await provider.status()).blocks.accepted;

test.each(["tcp", "iroh"] as const)(
  "a pool has templates of the next provider over %s while the first is dead, and returns to it, with the same miner",
  async (over) => {
    await using stage = await Stage.open();
    const chain = await stage.start("template-provider", (folder) =>
      templateProviderToml(folder, { hashesPerBlock: HASHES_PER_BLOCK, rpc: true }),
    );
    const start = async (name: string, listen?: ReturnType<typeof listensOn>): Promise<TestRole> => {
      const toml = (folder: string): string =>
        nodeTemplateProviderToml(folder, [embeddedAccess(chain)], listen === undefined ? {} : { listen });
      return await stage.start("template-provider", toml, name);
    };
    const [first, second] = [await start("first"), await start("second")];
    const pool = await stage.start("pool", (folder) => {
      const [before = ""] = poolToml(folder, first).split("[template_provider_type.Sv2Tp]");
      return `${before}[fallback]
retry_max_secs = 1
hold_down_secs = 1
[template_provider_type.Sv2Tp]
${upstream(first, "tcp")}
[[template_provider_type.Sv2Tp.fallbacks]]
${upstream(second, over)}
`;
    });
    await using miner = await Sv2Miner.open(await dialPool(pool), "miner", HASHRATE);
    await until("a block of the first provider", async () => (await accepted(first)) > 0, CHANGE_MS);
    const shares = miner.acceptedCount;

    await first.crash();
    await until("a block of the second provider", async () => (await accepted(second)) > 0, CHANGE_MS);
    expect(miner.acceptedCount).toBeGreaterThan(shares);

    const again = await start("first", listensOn(first));
    const changes = (): readonly unknown[] =>
      pool.logLines().flatMap(({ msg, reason }) => (msg === "upstream changed" ? [reason] : []));
    await until(
      "the pool is back at the first provider",
      () => changes().at(-1) === "better-upstream-ready",
      CHANGE_MS,
    );
    const blocks = await accepted(again);
    await until("a block of the first provider again", async () => (await accepted(again)) > blocks, CHANGE_MS);
    const { "stale-share": _, ...faults } = (await pool.status()).shares_rejected_by_reason;
    expect([miner.isClosed, faults]).toEqual([false, {}]);
  },
);
