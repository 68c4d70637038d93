import { fileURLToPath } from "node:url";
import { ConfigError, configReference, loadConfig, parseConfig } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { sv1Limits, type TranslatorConfig } from "./config.ts";
import { translatorRole } from "./role.ts";

const KEY = "9bkwaTovhmTsHTiW4irh49fwaY6fdAb8eoGfbhP4416egANfbZg";
const UPSTREAM = '\n[[upstreams]]\naddress = "127.0.0.1"\nport = 34254\nuser_identity = "account"\n';

function parse(text: string): TranslatorConfig {
  return parseConfig(translatorRole, { text, file: "translator.toml", env: {} });
}

function problemsOf(text: string): readonly { readonly path: string; readonly expected: string }[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("a translator's config", () => {
  test("as the reference implementation's users have it is taken as it is", () => {
    const config = parse(`
downstream_address = "0.0.0.0"
downstream_port = 34255
max_supported_version = 2
min_supported_version = 2
downstream_extranonce2_size = 4
verify_payout = false
aggregate_channels = false
supported_extensions = [0x0002]
required_extensions = []
monitoring_address = "0.0.0.0:9092"
monitoring_cache_refresh_secs = 15
max_past_jobs = 10
log_file = "./tproxy.log"

[downstream_difficulty_config]
min_individual_miner_hashrate = 10_000_000_000_000.0
shares_per_minute = 6.0
enable_vardiff = true
job_keepalive_interval_secs = 60

[[upstreams]]
address = "127.0.0.1"
port = 34265
authority_pubkey = "${KEY}"
user_identity = "your_username_here"
`);
    expect(config).toMatchObject({
      downstreamPort: 34_255,
      downstreamExtranonce2Size: 4,
      aggregateChannels: false,
      supportedExtensions: [2],
      downstreamDifficultyConfig: { minIndividualMinerHashrate: 1e13, jobKeepaliveIntervalSecs: 60 },
      upstreams: [{ transport: "tcp", address: "127.0.0.1", port: 34_265, userIdentity: "your_username_here" }],
    });
  });

  test("needs nothing but an upstream", () => {
    const config = parse(UPSTREAM);
    expect(config).toMatchObject({
      downstreamAddress: "0.0.0.0",
      downstreamExtranonce2Size: 8,
      aggregateChannels: true,
    });
    expect(config.downstreamDifficultyConfig).toMatchObject({ jobKeepaliveIntervalSecs: 52, enableVardiff: true });
    expect(sv1Limits(config)).toMatchObject({ handshakeTimeoutMs: 60_000, message: { maxLine: 4096 } });
    expect(problemsOf("")).toMatchObject([{ path: "upstreams" }]);
  });

  test("lets a miner send at once what a minute without its path held back, unless the file says otherwise", () => {
    const burst = (sharesPerMinute: number, limits = ""): number =>
      sv1Limits(parse(`[downstream_difficulty_config]\nshares_per_minute = ${sharesPerMinute}\n${limits}${UPSTREAM}`))
        .messageBurst;
    expect(burst(6)).toBe(250);
    expect(burst(240)).toBe(2400);
    expect(burst(240, "[limits]\nmessage_burst = 240\n")).toBe(240);
  });

  test.each([
    [`downstream_extranonce2_size = 16${UPSTREAM}`, "downstream_extranonce2_size", "submit no share"],
    [`[limits]\nmessage_burst = 5${UPSTREAM}`, "limits.message_burst", "at least shares_per_minute (6)"],
    [`verify_payout = true${UPSTREAM}`, "verify_payout", "does not check coinbases"],
    [`supported_extensions = [3]${UPSTREAM}`, "supported_extensions[0]", "worker names"],
    [`max_supported_version = 3${UPSTREAM}`, "max_supported_version", "only version"],
    [`${UPSTREAM}authority_pubkey = "9abc"`, "upstreams[0].authority_pubkey", "authority public key"],
    [`${UPSTREAM}transport = "iroh"`, "upstreams[0].endpoint_id", "dials Iroh"],
    [`${UPSTREAM}[miner_telemetry]\ncidrs = []`, "miner_telemetry", "remove"],
  ])("that cannot be kept is refused with the reason: %s", (text, path, reason) => {
    expect(problemsOf(text)).toMatchObject([{ path, expected: expect.stringContaining(reason) }]);
  });

  test.each(["translator-iroh", "translator-fallback"])("example %s loads", async (name) => {
    const file = fileURLToPath(new URL(`../../../config-examples/${name}.toml`, import.meta.url));
    await expect(loadConfig(translatorRole, file, {})).resolves.toMatchObject({ downstreamPort: 34_255 });
  });

  test("has a reference page", () => {
    expect(configReference(translatorRole)).toContain("| `downstream_difficulty_config.enable_vardiff` |");
  });
});
