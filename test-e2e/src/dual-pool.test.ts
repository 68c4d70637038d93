import { afterAll, beforeAll, expect, test } from "vitest";
import { poolToml, sv2MinerToml, templateProviderToml, upstream } from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let pool: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  const templateProvider = await stage.start("template-provider", templateProviderToml);
  pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider));
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test("TCP and Iroh miners mine at one pool at once, and one status shows both", async () => {
  const miner = (transport: "tcp" | "iroh", channel: string): Promise<TestRole> => {
    const entry = `${upstream(pool, transport)}channel = "${channel}"`;
    return stage.start("mining-device", (folder) => sv2MinerToml(folder, entry, `over-${transport}`), transport);
  };
  await Promise.all([miner("tcp", "standard"), miner("iroh", "extended")]);
  const status = await until("a status with shares from both", async () => {
    const found = await pool.status();
    const mining = found.channels.filter((channel) => channel.shares_accepted >= 3);
    return mining.length === 2 && found;
  });
  const seen = status.channels.map(({ transport, kind, user_identity }) => `${user_identity} ${kind} ${transport}`);
  expect(new Set(seen)).toEqual(new Set(["over-iroh extended iroh", "over-tcp standard tcp"]));
  const downstream = status.connections.filter(({ direction }) => direction === "downstream");
  expect(downstream).toHaveLength(2);
  expect(new Set(downstream.map(({ transport }) => transport))).toEqual(new Set(["iroh", "tcp"]));
  // A share may cross the news of a block.
  const { "stale-share": _, ...faults } = status.shares_rejected_by_reason;
  expect(faults).toEqual({});
});
