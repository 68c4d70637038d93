import { readFile } from "node:fs/promises";
import { hex } from "@adit/bitcoin";
import { rewardScript, templateProviders, toChannelLimits } from "@adit/mining-shell";
import { type ConfigError, configReference, parseConfig } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import type { PoolConfig } from "./config.ts";
import { outputConstraints } from "./reward.ts";
import { poolRole } from "./role.ts";

/** The keys and values of the reference implementation's pool example, with a Template Distribution upstream. */
const sriFile = `
authority_public_key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
authority_secret_key = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"
cert_validity_sec = 3600
listen_address = "0.0.0.0:3333"
coinbase_reward_script = "addr(tb1qa0sm0hxzj0x25rh8gw5xlzwlsfvvyz8u96w3p8)"
server_id = 1
pool_signature = "Stratum V2 SRI Pool"
log_file = "./pool.log"
shares_per_minute = 6.0
share_batch_size = 10
supported_extensions = [2]
required_extensions = []
monitoring_address = "127.0.0.1:9090"
monitoring_cache_refresh_secs = 15
max_past_jobs = 0

[template_provider_type.Sv2Tp]
address = "127.0.0.1:8442"
public_key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
`;

function parse(text: string): PoolConfig {
  return parseConfig(poolRole, { text, file: "pool.toml", env: {} });
}

function problems(text: string): readonly string[] {
  try {
    parse(text);
  } catch (error) {
    return (error as ConfigError).problems.map(({ path, expected }) => `${path}: ${expected}`);
  }
  return [];
}

describe("the pool's config", () => {
  test("takes nodes that judge blocks, and a maturity that no shallow reorganisation reaches", () => {
    const node = '[[bitcoin_node.nodes]]\ncore_rpc_url = "http://node:8332"\ncore_rpc_cookie_path = ".cookie"\n';
    const config = parse(`block_maturity = 6\n${sriFile}${node}`);
    expect(config).toMatchObject({ blockMaturity: 6, bitcoinNode: { rpcTimeoutSecs: 10, nodes: [{}] } });
    expect(parse(sriFile).blockMaturity).toBe(100);
    expect(problems(`block_maturity = 5\n${sriFile}${node}`).join()).toMatch(/^block_maturity: /);
    expect(problems(`${sriFile}${node}${node}`).join()).toMatch(/^bitcoin_node\.nodes\[?\.?1.*listed already/);
  });

  test("takes a file of the reference implementation unchanged", () => {
    const config = parse(sriFile);
    expect(config).toMatchObject({
      listenAddress: "0.0.0.0:3333",
      transport: "tcp",
      encryption: "noise",
      serverId: 1,
      poolSignature: "Stratum V2 SRI Pool",
      sharesPerMinute: 6,
    });
    expect(rewardScript({ descriptor: config.coinbaseRewardScript, network: config.network }).network).toBe("testnet4");
    expect(templateProviders(config.templateProviderType.Sv2Tp)).toMatchObject([
      {
        transport: "tcp",
        address: "127.0.0.1",
        port: 8442,
        authorityPubkey: "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
      },
    ]);
  });

  test("says what to do about features of the reference implementation that it has not", () => {
    const file = `${sriFile}
[template_provider_type.BitcoinCoreIpc]
version = 31
`;
    expect(problems(file)).toEqual([
      expect.stringMatching(/^template_provider_type\.BitcoinCoreIpc: .*adit template-provider/),
    ]);
  });

  test("takes the [jds] of a file of the reference implementation", () => {
    const file = `${sriFile}
[jds]
listen_address = "0.0.0.0:3334"
supported_extensions = []
required_extensions = []
`;
    expect(parse(file).jds).toMatchObject({ transport: "tcp", listenAddress: "0.0.0.0:3334", tokenTimeoutSecs: 3600 });
    expect(parse(sriFile).jds).toBeUndefined();
  });

  test("says what a job-declarator server lacks, and which key of a jd-server is none", () => {
    const file = `${sriFile}
[job_declaration]
authority_pubkeys = ["9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72", "not a key"]
min_payout_percent = 0
[jds]
transport = "dual"
[[jds.bitcoin_node.nodes]]
core_rpc_url = "http://127.0.0.1:8332"
`;
    expect(problems(file).map((problem) => problem.split(":")[0])).toEqual([
      "job_declaration.min_payout_percent",
      "job_declaration.authority_pubkeys[1]",
      "jds.listen_address",
      "jds.bitcoin_node.nodes[0]",
    ]);
  });

  test("wants one name for each protocol of one endpoint", () => {
    const file = (jds: string) => `${sriFile.replace('listen_address = "0.0.0.0:3333"', 'transport = "iroh"')}
[iroh]
alpn = "own"
[jds]
${jds}
`;
    expect(problems(file('transport = "iroh"'))).toEqual([expect.stringMatching(/^iroh\.alpn: expected no alpn/)]);
    expect(problems(file('listen_address = "127.0.0.1:0"'))).toEqual([]);
  });

  test("names every problem by its path and what was expected", () => {
    const file = `
listen_adress = "0.0.0.0:1"
coinbase_reward_script = "addr(bc1qinvalid)"
supported_extensions = [3]
required_extensions = [2]
authority_key_path = "a.key"
[template_provider_type.Sv2Tp]
address = "tp.example"
public_key = "not a key"
[limits]
max_message_bytes = 1
`;
    const paths = problems(file).map((problem) => problem.split(":")[0]);
    expect(paths).toEqual(
      expect.arrayContaining(["listen_adress", "supported_extensions[0]", "limits.max_message_bytes"]),
    );
    expect(paths).toEqual(
      expect.arrayContaining(["template_provider_type.Sv2Tp.port", "template_provider_type.Sv2Tp.public_key"]),
    );
  });

  test("refuses a reward script of another network, or that nobody can read", () => {
    const withReward = (script: string, network: string): string =>
      sriFile.replace(/coinbase_reward_script = .*/, `coinbase_reward_script = "${script}"\nnetwork = "${network}"`);
    const testnet = "addr(tb1qa0sm0hxzj0x25rh8gw5xlzwlsfvvyz8u96w3p8)";
    expect(problems(withReward(testnet, "mainnet"))).toEqual([
      expect.stringMatching(/^coinbase_reward_script: .*testnet4/),
    ]);
    expect(problems(withReward(testnet, "signet"))).toEqual([]);
    expect(problems(withReward("tb1qa0sm0hxzj0x25rh8gw5xlzwlsfvvyz8u96w3p8", "testnet4"))).toEqual([
      expect.stringMatching(/^coinbase_reward_script: expected a payable descriptor/),
    ]);
  });

  test("refuses a required extension that is not supported", () => {
    const file = sriFile
      .replace("supported_extensions = [2]", "supported_extensions = []")
      .replace("required_extensions = []", "required_extensions = [2]");
    expect(problems(file)).toEqual([expect.stringMatching(/^required_extensions\[0\]/)]);
  });

  test("turns the limits table into the core's limits", () => {
    const { limits } = parse(`${sriFile}\n[limits]\nfirst_channel_secs = 7\nshare_burst = 30\n`);
    const run = { sharesPerMinute: 6, maxPastJobs: 9 };
    expect(toChannelLimits(limits, run)).toMatchObject({ firstChannelMs: 7000, shareBurst: 30, pastJobs: 9 });
  });

  test("refuses a share burst that a minute's outage exceeds", () => {
    expect(problems(`${sriFile}\n[limits]\nshare_burst = 5\n`)).toEqual([
      expect.stringMatching(/^limits.share_burst: expected at least shares_per_minute \(6\)/),
    ]);
  });

  test.each(["pool-tcp.toml", "pool-iroh.toml", "pool-dual.toml"])("loads config-examples/%s", async (name) => {
    const text = await readFile(new URL(`../../../config-examples/${name}`, import.meta.url), "utf8");
    expect(problems(text)).toEqual([]);
  });

  test("has a reference page with every key described", () => {
    const page = configReference(poolRole);
    expect(page).toContain("`template_provider_type.Sv2Tp.public_key`");
    expect(page).toContain("`limits.max_connections`");
    const undescribed = page.split("\n").filter((line) => line.startsWith("| `") && /\|\s+\|$/.test(line));
    expect(undescribed).toEqual([]);
  });
});

describe("the reward", () => {
  test.each([
    // 8 bytes of value, one of length, the script; a legacy signature check costs four.
    ["addr(tb1qa0sm0hxzj0x25rh8gw5xlzwlsfvvyz8u96w3p8)", 8 + 1 + 22, 0],
    ["pkh(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)", 8 + 1 + 25, 4],
    [`raw(${"ac".repeat(300)})`, 8 + 3 + 300, 1200],
  ])("asks the template provider to keep room for %s", (coinbaseRewardScript, size, sigops) => {
    expect(outputConstraints(rewardScript({ descriptor: coinbaseRewardScript, network: undefined }))).toEqual({
      name: "CoinbaseOutputConstraints",
      coinbaseOutputMaxAdditionalSize: size,
      coinbaseOutputMaxAdditionalSigops: sigops,
    });
  });

  test("is the same script on every network its address is of", () => {
    const coinbaseRewardScript = "addr(tb1qa0sm0hxzj0x25rh8gw5xlzwlsfvvyz8u96w3p8)";
    const scripts = (["testnet4", "signet"] as const).map((network) =>
      hex(rewardScript({ descriptor: coinbaseRewardScript, network }).script),
    );
    expect(scripts[0]).toBe(scripts[1]);
    expect(scripts[0]).toBe("0014ebe1b7dcc293ccaa0ee743a86f89df8258c208fc");
  });
});
