import { afterAll, beforeAll, expect, test } from "vitest";
import { templateProviderToml } from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";

let stage: Stage;
let chain: string;

beforeAll(async () => {
  stage = await Stage.open();
  chain = `${stage.folder}/chain`;
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** A template provider with ports and keys of its own, on the chain of all. */
async function launch(as: string): Promise<TestRole> {
  const toml = (folder: string): string =>
    templateProviderToml(folder).replace(/^data_path = .*$/m, `data_path = "${chain}"`);
  return await stage.launch("template-provider", toml, as);
}

test("a second process on a data folder is refused with advice, and one after kill -9 is not", async () => {
  const first = await (await launch("first")).ready();
  const second = await launch("second");
  expect(await second.exited()).toBe(1);
  const [fault] = second.logLines().filter(({ level }) => level === 50);
  expect(fault).toMatchObject({
    msg: "stopped by a fault",
    error: {
      code: "data-path-in-use",
      message: `${chain} is in use by another process; stop that one, or give this one a data_path of its own`,
    },
  });
  expect(first.isRunning).toBe(true);
  await first.crash();
  const third = await (await launch("third")).ready();
  expect(await third.stop()).toBe(0);
});
