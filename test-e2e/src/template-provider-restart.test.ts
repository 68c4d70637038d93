import { afterAll, beforeAll, expect, test } from "vitest";
import {
  listensOn,
  poolToml,
  sv1MinerToml,
  templateProviderToml,
  translatorToml,
  upstream,
} from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let templateProvider: TestRole;
let pool: TestRole;
let translator: TestRole;
let miner: TestRole;

const hashesPerBlock = 40_000;

beforeAll(async () => {
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock }),
  );
  pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider));
  translator = await stage.start("translator", (folder) => translatorToml(folder, [upstream(pool, "iroh")]));
  miner = await stage.start("mining-device", () => sv1MinerToml(translator));
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test("a template provider that crashes finds its chain again, and its pool and miners never let go of each other", async () => {
  const before = await until("a block", async () => {
    const status = await templateProvider.status();
    return status.blocks.accepted >= 1 && status;
  });
  const listen = listensOn(templateProvider);
  await templateProvider.crash();
  await until("the pool misses its templates", async () => {
    return (await pool.status()).template_provider.state !== "connected";
  });
  const during = await pool.status();
  await until("shares go on without templates", async () => {
    return (await pool.status()).shares_accepted > during.shares_accepted;
  });

  const restarted = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock, listen }),
  );
  const after = await until("another block", async () => {
    const status = await restarted.status();
    return status.blocks.accepted >= 2 && status;
  });
  expect(after.chain.height).toBeGreaterThanOrEqual(before.chain.height + 2);
  // What was found meanwhile names templates from before the crash, and only one block can have the height.
  const { "stale-template": _, ...faults } = after.blocks.rejected_by_reason;
  expect(faults).toEqual({});
  const accepted = await until("the pool knows that its block was accepted", async () => {
    const status = await pool.status();
    return status.last_block?.result === "accepted" && status;
  });
  expect(accepted.blocks_found).toBeGreaterThanOrEqual(after.blocks.accepted);

  const [connection, ...others] = (await miner.status()).connections;
  expect(others).toEqual([]);
  expect(connection?.state).toBe("mining");
  expect((await translator.status()).miners).toHaveLength(1);
  expect(miner.log()).not.toMatch(/not connected/);
  expect(translator.log()).not.toMatch(/upstream lost/);
});
