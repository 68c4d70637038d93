import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { roles } from "@adit/adit";
import { loadConfig } from "@adit/role-kit";
import { expect, test } from "vitest";
import { runAdit } from "./harness/command.ts";
import { root } from "./harness/test-role.ts";

const folder = join(root, "config-examples");
const files = readdirSync(folder);

/** Files are called after their role: `pool-tcp.toml`. */
function roleOf(file: string): (typeof roles)[number] {
  const role = roles.find(({ name }) => file.startsWith(`${name}-`));
  if (role === undefined) throw new Error(`${file} is called after no role`);
  return role;
}

test("there is an example for each way to run a role", () => {
  expect(files.toSorted()).toEqual([
    "jd-client-coinbase-only.toml",
    "jd-client-fallback.toml",
    "jd-client-full-template.toml",
    "jd-client-solo.toml",
    "jd-server-bitcoin-node.toml",
    "mining-device-sv1.toml",
    "mining-device-sv2.toml",
    "pool-dual.toml",
    "pool-iroh.toml",
    "pool-job-declaration.toml",
    "pool-tcp.toml",
    "template-provider-bitcoin-node.toml",
    "template-provider-embedded.toml",
    "translator-fallback.toml",
    "translator-iroh.toml",
    "translator-lan.toml",
    "translator-operator.toml",
    "translator-own-relay.toml",
    "watch-farm.toml",
  ]);
});

test.each(files)("%s is a config of its role", async (file) => {
  await expect(loadConfig(roleOf(file), join(folder, file), {})).resolves.toBeTypeOf("object");
});

test.concurrent.each(files)("adit config check finds nothing wrong with %s", async (file) => {
  const { code, stdout, stderr } = await runAdit(["config", "check", join(folder, file)]);
  expect(stderr).toBe("");
  expect(stdout).toMatch(new RegExp(`a valid ${roleOf(file).name} config`));
  expect(code).toBe(0);
});

test("adit config check names an unknown key, where it is, and the key that was meant", async () => {
  const scratch = await mkdtemp(join(tmpdir(), "adit-config-"));
  const file = join(scratch, "pool.toml");
  const text = await readFile(join(folder, "pool-tcp.toml"), "utf8");
  await writeFile(file, text.replace("shares_per_minute", "shares_per_minut"));
  const { code, stderr } = await runAdit(["config", "check", file, "--role", "pool"]);
  await rm(scratch, { recursive: true });
  expect(stderr).toContain(`${file}: shares_per_minut: unknown key (did you mean shares_per_minute?)`);
  expect(code).toBe(1);
});
