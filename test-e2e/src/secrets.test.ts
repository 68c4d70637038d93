import { afterAll, beforeAll, expect, test } from "vitest";
import { poolToml, sv1MinerToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { leaks, secretsBelow, textsBelow } from "./harness/secrets.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let running: readonly TestRole[];

beforeAll(async () => {
  stage = await Stage.open();
  const logLevel = "trace";
  const templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { logLevel }),
  );
  const pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider, { logLevel }));
  const translator = await stage.start("translator", (folder) =>
    translatorToml(folder, [upstream(pool, "iroh")], { logLevel }),
  );
  const miner = await stage.start("mining-device", () => sv1MinerToml(translator));
  running = [templateProvider, pool, translator, miner];
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test("no secret key is in a log, config, store, status, metric or message of roles that log all they can", async () => {
  const [templateProvider, pool] = running;
  await until("accepted shares and a block", async () => {
    const found = await templateProvider?.status();
    return ((await pool?.status())?.shares_accepted ?? 0) >= 3 && (found?.blocks.accepted ?? 0) >= 1;
  });
  const said = await Promise.all(
    running.map(
      async (role): Promise<readonly [string, string][]> => [
        [`status of ${role.name}`, JSON.stringify(await role.status())],
        [`metrics of ${role.name}`, await role.metrics()],
        [`ready message of ${role.name}`, JSON.stringify(role.details)],
      ],
    ),
  );
  for (const role of running) await role.stop();

  const secrets = secretsBelow(stage.folder);
  expect(secrets.size).toBe(5);
  const texts = new Map([...textsBelow(stage.folder), ...said.flat()]);
  expect([...texts.keys()].filter((name) => name.endsWith(".log"))).toHaveLength(4);
  expect(leaks(secrets, texts)).toEqual([]);
});
