import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { checkUpstream, irohSettings, processSettings, upstreamSettings } from "./fragments.ts";
import { camelKey, snakeKey } from "./key-case.ts";
import { loadConfig, MAX_CONFIG_BYTES, parseConfig } from "./load-config.ts";
import { configReference } from "./reference.ts";

const role = {
  name: "sample",
  title: "A role for tests",
  envPrefix: "SAMPLE",
  config: z
    .strictObject({
      ...processSettings,
      listenAddress: z.string().describe("where to listen"),
      sharesPerMinute: z.number().positive().default(6),
      aggregateChannels: z.boolean().default(false),
      iroh: irohSettings.prefault({}),
      upstreams: z
        .array(z.strictObject({ ...upstreamSettings, userIdentity: z.string() }).superRefine(checkUpstream))
        .default([]),
      templateProviderType: z.exactOptional(
        z.union([
          z.strictObject({ Sv2Tp: z.strictObject({ address: z.string() }) }),
          z.strictObject({ Embedded: z.strictObject({ blocks: z.int() }) }),
        ]),
      ),
    })
    .readonly(),
};

function parse(text: string, env: Record<string, string> = {}): z.output<typeof role.config> {
  return parseConfig(role, { text, file: "pool.toml", env });
}

function problemsOf(run: () => unknown): readonly ConfigProblem[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error("expected a ConfigError");
}

describe("a config file", () => {
  test("is read in snake_case and handed over in camelCase with its defaults", () => {
    const config = parse('listen_address = "0.0.0.0:1"\n[iroh]\nsecret_key_path = "k"');
    expect(config).toMatchObject({ listenAddress: "0.0.0.0:1", sharesPerMinute: 6, logLevel: "info" });
    expect(config.iroh).toMatchObject({ secretKeyPath: "k", relay: "disabled", maxConnectionsPerPeer: 8 });
  });

  test("keeps variant names in capitals", () => {
    const config = parse('listen_address = "a"\n[template_provider_type.Sv2Tp]\naddress = "h:1"');
    expect(config.templateProviderType).toEqual({ Sv2Tp: { address: "h:1" } });
  });

  test("with an unknown key is refused with the nearest known one, in every table", () => {
    expect(problemsOf(() => parse('listen_adress = "a"\nlisten_address = "a"'))).toEqual([
      { source: "pool.toml", path: "listen_adress", expected: "unknown key", suggestion: "listen_address" },
    ]);
    const nested = problemsOf(() => parse('listen_address = "a"\n[iroh]\nsecret_key_pth = "k"'));
    expect(nested).toMatchObject([{ path: "iroh.secret_key_pth", suggestion: "secret_key_path" }]);
    const listed = problemsOf(() =>
      parse('listen_address = "a"\n[[upstreams]]\nuser_identity = "u"\naddress="h"\nport = 1\nendpoint = "x"'),
    );
    expect(listed).toMatchObject([{ path: "upstreams[0].endpoint", suggestion: "endpoint_id" }]);
    const variant = problemsOf(() => parse('listen_address = "a"\n[template_provider_type.Sv2Tp]\naddres = "h:1"'));
    expect(variant.map(({ path }) => path)).toContain("template_provider_type.Sv2Tp.addres");
  });

  test("in camelCase is refused rather than taken", () => {
    expect(problemsOf(() => parse('listenAddress = "a"\nlisten_address = "b"'))).toMatchObject([
      { path: "listenAddress" },
    ]);
  });

  test("names file, path and expectation of every problem at once", () => {
    const problems = problemsOf(() =>
      parse('listen_address = 5\nshares_per_minute = -1\n[iroh]\nallowed_peers = ["zz"]'),
    );
    expect(problems.map(({ path }) => path)).toEqual(["listen_address", "shares_per_minute", "iroh.allowed_peers[0]"]);
    expect(problems[0]?.expected).toContain("expected string");
  });

  test("that asks for Iroh without saying whom is told which key is missing", () => {
    const text = 'listen_address = "a"\n[[upstreams]]\nuser_identity = "u"\ntransport = "iroh"';
    expect(problemsOf(() => parse(text))).toMatchObject([{ path: "upstreams[0].endpoint_id" }]);
  });

  test("with stun_servers is told where that lives in Iroh 1.x", () => {
    const problems = problemsOf(() => parse('listen_address = "a"\n[iroh]\nstun_servers = ["s:1"]'));
    expect(problems).toMatchObject([{ path: "iroh.stun_servers", expected: expect.stringContaining("quic_port") }]);
  });

  test("that is not TOML is refused with line and column", () => {
    expect(problemsOf(() => parse("a = \nb"))).toMatchObject([{ source: expect.stringMatching(/^pool\.toml:1:\d+$/) }]);
  });

  test("that is missing or huge is refused with what to do", async () => {
    const folder = await mkdtemp(join(tmpdir(), "adit-config-"));
    await expect(loadConfig(role, join(folder, "none.toml"), {})).rejects.toMatchObject({ code: "config-not-found" });
    const huge = join(folder, "huge.toml");
    await writeFile(huge, "#".repeat(MAX_CONFIG_BYTES + 1));
    await expect(loadConfig(role, huge, {})).rejects.toMatchObject({ code: "config-unreadable" });
  });

  test("never crashes the loader, whatever is in it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(() => {
          try {
            parse(text);
          } catch (error) {
            if (!(error instanceof ConfigError)) throw error;
          }
        }).not.toThrow();
      }),
    );
  });
});

describe("the environment", () => {
  test("wins over the file, nests by double underscores and reads lists", () => {
    const config = parse('listen_address = "a"\nshares_per_minute = 3', {
      SAMPLE__LISTEN_ADDRESS: "b",
      SAMPLE__AGGREGATE_CHANNELS: "true",
      SAMPLE__IROH__BIND: "127.0.0.1:1, [::1]:1",
      SAMPLE__IROH__RELAY: "default",
      SAMPLE__TEMPLATE_PROVIDER_TYPE__SV2TP__ADDRESS: "h:2",
      SAMPLE__UPSTREAMS__0__USER_IDENTITY: "u",
      SAMPLE__UPSTREAMS__0__ADDRESS: "h",
      SAMPLE__UPSTREAMS__0__PORT: "7",
      OTHER__LISTEN_ADDRESS: "c",
    });
    expect(config).toMatchObject({
      listenAddress: "b",
      sharesPerMinute: 3,
      aggregateChannels: true,
      iroh: { bind: ["127.0.0.1:1", "[::1]:1"], relay: "default" },
      templateProviderType: { Sv2Tp: { address: "h:2" } },
      upstreams: [{ userIdentity: "u", address: "h", port: 7 }],
    });
  });

  test("with a variable that names no key is refused", () => {
    expect(problemsOf(() => parse('listen_address = "a"', { SAMPLE__LISTEN: "b" }))).toMatchObject([
      { source: "environment", expected: expect.stringContaining("SAMPLE__LISTEN") },
    ]);
  });
});

test("the two spellings of a key map to each other", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]+(_[a-z][a-z0-9]*)*$/), (key) => {
      expect(snakeKey(camelKey(key))).toBe(key);
    }),
  );
});

test("the reference page has every key with type, default and meaning", () => {
  const page = configReference(role);
  expect(page).toContain("| `listen_address` | string | required | where to listen |");
  expect(page).toContain("| `shares_per_minute` | number");
  expect(page).toContain('| `iroh.relay` | `"default"` or `"disabled"` or list of table |');
  expect(page).toContain("`upstreams[].endpoint_id`");
});
