import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { roles } from "@adit/adit";
import {
  ConfigError,
  type ConfigProblem,
  type ProcessSettings,
  parseConfig,
  type RoleDefinition,
} from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { referenceFolder } from "./reference-role.ts";

const folder = join(referenceFolder(), "config-examples");

/** Tables of their files for what we have not, each refused with the reason, and what is refused with it. */
const absent: Readonly<Record<string, readonly RegExp[]>> = {
  pool: [
    /^template_provider_type\.BitcoinCoreIpc: this pool speaks the Template Distribution Protocol only/,
    // It stands where the other would.
    /^template_provider_type\.Sv2Tp: expected object, received undefined/,
  ],
  "jd-client": [
    /^miner_telemetry: this jd-client does not ask miners for telemetry/,
    /^template_provider_type\.BitcoinCoreIpc: this jd-client speaks the Template Distribution Protocol only/,
    /^template_provider_type\.Sv2Tp: expected object, received undefined/,
  ],
  translator: [/^miner_telemetry: this translator does not ask miners for telemetry/],
};

function problemsOf(roleName: string, text: string): readonly ConfigProblem[] {
  const role = roles.find(({ name }) => name === roleName) as unknown as RoleDefinition<ProcessSettings>;
  try {
    parseConfig(role, { text, file: "example", env: {} });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const examples = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".toml"))
  .map((path) => ({ path, role: roleOf(path) }));

/** Folders are called after their crates: `jd_client_sv2-0.6.0`. */
function roleOf(path: string): "pool" | "jd-client" | "translator" {
  if (path.startsWith("pool_sv2-")) return "pool";
  return path.startsWith("jd_client_sv2-") ? "jd-client" : "translator";
}

describe("the example files of the reference roles", () => {
  test.each(["pool", "jd-client", "translator"])("are there, of the %s", (name) => {
    expect(examples.filter(({ role }) => role === name).length).toBeGreaterThan(5);
  });

  test.each(examples)("$path loads in our $role, but for what that has not", ({ path, role }) => {
    const problems = problemsOf(role, readFileSync(join(folder, path), "utf8"));
    const lines = problems.map((problem) => `${problem.path}: ${problem.expected}`);
    expect(lines.filter((line) => !absent[role]?.some((known) => known.test(line)))).toEqual([]);
  });

  test.each(examples.filter(({ path }) => !/bitcoin-core-ipc/.test(path)))(
    "$path loads in our $role as it is, without [miner_telemetry]",
    ({ path, role }) => {
      const text = readFileSync(join(folder, path), "utf8").replace(/^\[miner_telemetry\]\n(?:[^[\n].*\n|\n)*/m, "");
      expect(problemsOf(role, text)).toEqual([]);
    },
  );
});
