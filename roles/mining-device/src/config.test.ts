import { fileURLToPath } from "node:url";
import { ConfigError, loadConfig, parseConfig } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { numbered } from "./config.ts";
import { miningDeviceRole } from "./role.ts";

const example = (name: string): string => fileURLToPath(new URL(`../../../config-examples/${name}`, import.meta.url));
const parse = (lines: readonly string[]) =>
  parseConfig(miningDeviceRole, { text: lines.join("\n"), file: "f", env: {} });

/** The keys that a config's problems are about. */
function problems(lines: readonly string[]): readonly string[] {
  try {
    parse(lines);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path }) => path);
  }
}

describe("the mining device's config", () => {
  test.each(["sv1", "sv2"])("example for %s loads", async (protocol) => {
    const config = await loadConfig(miningDeviceRole, example(`mining-device-${protocol}.toml`), {});
    expect(config).toMatchObject({ protocol, transport: "tcp", connections: 1, threads: 1, hashrateLimit: 0 });
  });

  test("wants to know the protocol and where to connect", () => {
    expect(problems([])).toContain("protocol");
    expect(problems(['protocol = "sv2"'])).toEqual(["address", "port"]);
    expect(problems(['protocol = "sv2"', 'transport = "iroh"'])).toEqual(["endpoint_id"]);
  });

  test("refuses Stratum V1 over anything but TCP", () => {
    const iroh = ['transport = "iroh"', `endpoint_id = "${"a".repeat(64)}"`];
    expect(problems(['protocol = "sv1"', ...iroh])).toEqual(["transport"]);
    expect(problems(['protocol = "sv2"', ...iroh])).toEqual([]);
  });

  test("numbers names by connection", () => {
    expect(numbered("acc.rig{n}", 12)).toBe("acc.rig12");
    expect(numbered("acc.rig", 12)).toBe("acc.rig");
  });
});
