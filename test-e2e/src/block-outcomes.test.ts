import { join } from "node:path";
import { displayHash } from "@adit/bitcoin";
import { auditSqliteStore } from "@adit/share-store";
import { expect, test } from "vitest";
import type { Listen } from "./harness/configs.ts";
import {
  embeddedAccess,
  listensOn,
  poolToml,
  sv1MinerToml,
  templateProviderToml,
  translatorToml,
  upstream,
} from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import { until } from "./harness/until.ts";

const MATURITY = 6;

test("a pool that is killed follows its blocks on, until the embedded chain has buried them", async () => {
  await using stage = await Stage.open();
  const provider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: 20_000, rpc: true }),
  );
  const startPool = (listen?: Listen) =>
    stage.start("pool", (folder) => {
      const options = { judges: [embeddedAccess(provider)], blockMaturity: MATURITY };
      return poolToml(folder, provider, listen === undefined ? options : { ...options, listen });
    });
  const pool = await startPool();
  const translator = await stage.start("translator", (folder) => translatorToml(folder, [upstream(pool, "iroh")]));
  await stage.start("mining-device", () => sv1MinerToml(translator));

  const block = await until("a block of the pool's is in the chain", async () => {
    const { recent_blocks: blocks } = await pool.status();
    return blocks.find(({ result, confirmations }) => result === "accepted" && confirmations !== null);
  });
  const listen = listensOn(pool);
  await pool.crash();
  const again = await startPool(listen);
  const buried = await until("it is buried", async () => {
    const { recent_blocks: blocks } = await again.status();
    return blocks.find(({ hash, result }) => hash === block.hash && result === "matured") && blocks;
  });
  const younger = buried.filter(({ result }) => result === "accepted");
  for (const { confirmations } of younger) expect(confirmations).toBeLessThan(MATURITY);
  expect((await again.status()).block_judge).toMatchObject({ trouble: null });

  expect(await again.stop()).toBe(0);
  const { blocks } = await auditSqliteStore(join(stage.folder, "pool", "shares.db"));
  const row = blocks.find(({ hash }) => displayHash(hash) === block.hash);
  expect(row?.result).toBe("matured");
});
