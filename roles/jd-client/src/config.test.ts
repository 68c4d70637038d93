import { type ConfigError, configReference, parseConfig } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { type JdClientConfig, listenerOf } from "./config.ts";
import { jdClientRole } from "./role.ts";
import { endpointOf, upstreamName } from "./upstream-settings.ts";

const KEY = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
const OTHER_KEY = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc";
const ENDPOINT = "ab".repeat(32);

/** The keys and values of jd_client_sv2 0.6.0's config-examples/mainnet/jdc-config-hosted-infra-example.toml, without telemetry. */
const hosted = `
listening_address = "0.0.0.0:34265"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "${KEY}"
authority_secret_key = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"
cert_validity_sec = 3600
shares_per_minute = 6.0
share_batch_size = 10
mode = "FULLTEMPLATE"
jdc_signature = "Sv2MinerSignature"
coinbase_reward_script = "addr(bc1q9f9vj7spn8h7qda6pn8d4g4j99f0mn9lhwz55j)"
supported_extensions = [0x0002]
monitoring_address = "0.0.0.0:9091"
monitoring_cache_refresh_secs = 15
[[upstreams]]
authority_pubkey = "${KEY}"
pool_address = "75.119.150.111"
pool_port = 3333
jds_address = "75.119.150.111"
jds_port = 3334
user_identity = "your_primary_username_here"
[template_provider_type.Sv2Tp]
address = "75.119.150.111:8442"
public_key = "${OTHER_KEY}"
`;

/** The same of its jdc-config-solo-mining-example.toml. */
const solo = `
listening_address = "0.0.0.0:34265"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "${KEY}"
authority_secret_key = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"
cert_validity_sec = 3600
shares_per_minute = 6.0
share_batch_size = 10
mode = "SOLOMINING"
jdc_signature = "Sv2SoloMiner"
coinbase_reward_script = "addr(bc1q9f9vj7spn8h7qda6pn8d4g4j99f0mn9lhwz55j)"
upstreams = []
[template_provider_type.Sv2Tp]
address = "127.0.0.1:8442"
`;

function parse(text: string): JdClientConfig {
  return parseConfig(jdClientRole, { text, file: "jdc.toml", env: {} });
}

function problems(text: string): readonly string[] {
  try {
    parse(text);
  } catch (error) {
    return (error as ConfigError).problems.map(({ path, expected }) => `${path}: ${expected}`);
  }
  return [];
}

/** The hosted example with another upstream. */
function withUpstream(lines: string): string {
  return hosted.replace(/\[\[upstreams\]\][^[]*/, `[[upstreams]]\nuser_identity = "alice"\n${lines}\n`);
}

describe("the jd-client's config", () => {
  test("takes files of the reference implementation unchanged", () => {
    const config = parse(hosted);
    expect(listenerOf(config)).toMatchObject({ listenAddress: "0.0.0.0:34265", transport: "tcp" });
    expect(config).toMatchObject({
      mode: "FULLTEMPLATE",
      jdcSignature: "Sv2MinerSignature",
      reservedDownstreamRollableExtranonceSize: 8,
    });
    const [upstream] = config.upstreams;
    expect(endpointOf(upstream!, "pool")).toMatchObject({
      address: "75.119.150.111",
      port: 3333,
      authorityPubkey: KEY,
    });
    expect(endpointOf(upstream!, "jds")).toMatchObject({ address: "75.119.150.111", port: 3334, authorityPubkey: KEY });
    expect(parse(solo)).toMatchObject({ mode: "SOLOMINING", upstreams: [] });
  });

  test("has one endpoint for three protocols, so that no name can stand for all of them", () => {
    expect(problems(`${hosted}\n[iroh]\nalpn = "own"\n`)).toEqual([
      expect.stringMatching(/^iroh\.alpn: expected none/),
    ]);
  });

  test("reaches pool and job declarator each in its own way, under one authority or two", () => {
    const text = withUpstream(`
authority_pubkey = "${KEY}"
jds_authority_pubkey = "${OTHER_KEY}"
[upstreams.pool]
transport = "iroh"
endpoint_id = "${ENDPOINT}"
[upstreams.jds]
address = "jds.example"
port = 3334
`);
    const [upstream] = parse(text).upstreams;
    expect(endpointOf(upstream!, "pool")).toMatchObject({
      transport: "iroh",
      endpointId: ENDPOINT,
      authorityPubkey: KEY,
    });
    expect(endpointOf(upstream!, "jds")).toMatchObject({ address: "jds.example", authorityPubkey: OTHER_KEY });
    expect(upstreamName(upstream!, 0)).toBe(ENDPOINT);
  });

  test.each([
    [
      "BitcoinCoreIpc",
      hosted.replace(/\[template[^]*$/, '[template_provider_type.BitcoinCoreIpc]\nnetwork = "mainnet"'),
      "jd-client speaks",
    ],
    ["telemetry", `${hosted}\n[miner_telemetry]\ncidrs = []`, "remove [miner_telemetry]"],
    ["a pool without upstreams", solo.replace("SOLOMINING", "COINBASEONLY"), "at least one [[upstreams]]"],
    ["upstreams without a pool", hosted.replace("FULLTEMPLATE", "SOLOMINING"), "upstreams: expected none"],
    [
      "a reward that nobody is paid",
      hosted.replace("addr(bc1q9", "addr(bc1q8"),
      "coinbase_reward_script: expected a payable",
    ],
    ["an address spelt twice", `listen_address = "0.0.0.0:1"\n${hosted}`, "not both"],
    [
      "no way to the pool",
      withUpstream('jds_address = "a"\njds_port = 1'),
      "pool_address: expected it, or [upstreams.pool]",
    ],
    [
      "two ways to the pool",
      withUpstream(
        'pool_address = "a"\npool_port = 1\njds_address = "a"\njds_port = 1\n[upstreams.pool]\naddress = "b"\nport = 1',
      ),
      "not both",
    ],
    [
      "half a way to the pool",
      withUpstream('jds_address = "a"\njds_port = 1\n[upstreams.pool]\naddress = "b"'),
      "upstreams[0].pool.port: expected a port",
    ],
    [
      "a key that is none",
      withUpstream('authority_pubkey = "x"\npool_address = "a"\npool_port = 1\njds_address = "a"\njds_port = 1'),
      "upstreams[0].authority_pubkey: expected an authority public key",
    ],
    [
      "an expectation that is none",
      withUpstream('expected_reward_script = "x"\npool_address = "a"\npool_port = 1\njds_address = "a"\njds_port = 1'),
      "upstreams[0].expected_reward_script: expected a payable",
    ],
    ["a signature that leaves no room", hosted.replace("Sv2MinerSignature", "x".repeat(59)), "jdc_signature"],
  ])("refuses %s, and says what to do", (_, text, expected) => {
    expect(problems(text).join("\n")).toContain(expected);
  });

  test("has a reference page that names every key", () => {
    const page = configReference(jdClientRole);
    for (const key of ["`upstreams[].pool.endpoint_id`", "`solo_after_secs`", "`limits.max_connections`"]) {
      expect(page).toContain(key);
    }
  });
});
