import { afterAll, beforeAll, expect, test } from "vitest";
import { poolToml, sv1MinerToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** What processes load first: `@number0/iroh` is not there for them, as where an optional package was left out. */
const WITHOUT_IROH = moduleOf(`
import { register } from "node:module";
register(${JSON.stringify(
  moduleOf(`
export async function resolve(specifier, context, next) {
  if (!specifier.startsWith("@number0/iroh")) return await next(specifier, context);
  throw Object.assign(new Error("Cannot find package '@number0/iroh'"), { code: "ERR_MODULE_NOT_FOUND" });
}`),
)});`);

function moduleOf(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

let stage: Stage;
let templateProvider: TestRole;
let pool: TestRole;

beforeAll(async () => {
  stage = await Stage.open([WITHOUT_IROH]);
  // Their transport is "dual".
  templateProvider = await stage.start("template-provider", templateProviderToml);
  pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider));
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

const named = expect.objectContaining({
  code: "iroh-unavailable",
  message: expect.stringContaining('npm install @number0/iroh@1.1.0"') as string,
}) as unknown;

test("without the package of Iroh everything works over TCP, and roles that want both say what is missing", async () => {
  // Whoever names TCP alone is told nothing.
  const translator = await stage.start("translator", (folder) => translatorToml(folder, [upstream(pool, "tcp")]));
  await stage.start("mining-device", () => sv1MinerToml(translator));
  await until("shares are credited", async () =>
    (await pool.status()).channels.some((one) => one.shares_accepted >= 3),
  );
  expect(translator.log()).not.toMatch(/iroh-unavailable|iroh node/);
  for (const role of [templateProvider, pool]) {
    const line = role.logLines().find(({ msg }) => msg === "iroh node not started");
    expect(line).toMatchObject({ level: 50, error: named });
    const listener = (transport: string, state: string): unknown => expect.objectContaining({ transport, state });
    expect((await role.status()).listeners).toEqual([listener("tcp", "listening"), listener("iroh", "failed")]);
  }
});

test("a role that has no other way than Iroh ends at its start, and names the package to install", async () => {
  const alone = await stage.launch(
    "pool",
    (folder) => {
      return poolToml(folder, templateProvider).replace('transport = "dual"', 'transport = "iroh"');
    },
    "pool-over-iroh",
  );
  expect(await alone.exited()).toBe(1);
  expect(alone.logLines().at(-1)).toMatchObject({ level: 50, error: named, msg: "stopped by a fault" });
});
