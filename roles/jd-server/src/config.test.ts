import { readFile } from "node:fs/promises";
import { parseConfig } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import type { JdServerConfig } from "./config.ts";
import { jdServerRole } from "./role.ts";

const TOP = `
listen_address = "127.0.0.1:34264"
authority_key_path = "authority.key"
coinbase_reward_script = "raw(51)"
`;
const NODE = `
[[bitcoin_node.nodes]]
core_rpc_url = "http://127.0.0.1:8332"
core_rpc_cookie_path = "/var/lib/bitcoind/.cookie"
`;

function parse(text: string): JdServerConfig {
  return parseConfig(jdServerRole, { text, file: "test.toml", env: {} });
}

/** Paths of what is wrong with a config. */
function problems(text: string): readonly string[] {
  try {
    parse(text);
    return [];
  } catch (error) {
    return (error as { readonly problems: readonly { readonly path: string }[] }).problems.map(({ path }) => path);
  }
}

describe("the config", () => {
  test("has its defaults", () => {
    const config = parse(TOP + NODE);
    expect(config).toMatchObject({ network: "mainnet", fullTemplateModeRequired: false, tokenTimeoutSecs: 3600 });
    expect(config.bitcoinNode).toMatchObject({ extraSubmit: [], dataPath: "jd-server", mempoolUpdateIntervalSecs: 5 });
    expect(config.limits).toMatchObject({
      maxTokensPerConnection: 4,
      tokensPerSecond: 1,
      tokenBurst: 8,
      maxPendingDeclarations: 64,
      maxPendingDeclarationsPerConnection: 2,
      missingTransactionsTimeoutSecs: 30,
      tipWaitSecs: 5,
    });
  });

  // Keys as in jds-config-example.toml of the reference implementation (stratum-mining/stratum, August 2025).
  test("may be written with the reference implementation's keys", () => {
    const config = parse(`
full_template_mode_required = true
authority_secret_key = "7qbpUjScc865jyX2kiB4NVJANoC7GA7TAJupdzXWkc62"
cert_validity_sec = 3600
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
network = "regtest"
listen_jd_address = "127.0.0.1:34264"
core_rpc_url = "http://127.0.0.1"
core_rpc_port = 18332
core_rpc_user = "username"
core_rpc_pass = "password"
[mempool_update_interval]
unit = "millis"
value = 1500
`);
    expect(config).toMatchObject({ listenAddress: "127.0.0.1:34264", fullTemplateModeRequired: true });
    expect(config.bitcoinNode).toMatchObject({
      mempoolUpdateIntervalSecs: 1.5,
      nodes: [
        { coreRpcUrl: "http://127.0.0.1", coreRpcPort: 18_332, coreRpcUser: "username", coreRpcPass: "password" },
      ],
    });
  });

  test.each<[string, string, readonly string[]]>([
    ["no node", TOP, ["bitcoin_node"]],
    ["no address", TOP.replace(/listen_address.*/, "") + NODE, ["listen_address"]],
    ["the address twice", `listen_jd_address = "127.0.0.1:1"${TOP}${NODE}`, ["listen_jd_address"]],
    ["no key", TOP.replace(/authority.*/, "") + NODE, ["authority_key_path"]],
    ["a script that is none", TOP.replace("raw(51)", "raw(5)") + NODE, ["coinbase_reward_script"]],
    [
      "an address of another network",
      TOP.replace("raw(51)", "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)") + NODE,
      ["coinbase_reward_script"],
    ],
    ["a node without a login", `${TOP}core_rpc_url = "http://127.0.0.1"`, ["core_rpc_url"]],
    ["half a login", `${TOP}core_rpc_url = "http://127.0.0.1"\ncore_rpc_user = "a"`, ["core_rpc_url"]],
    ["the node twice", `core_rpc_url = "http://127.0.0.1"${TOP}${NODE}`, ["core_rpc_url"]],
    ["a node listed twice", TOP + NODE + NODE, ["bitcoin_node.nodes[1]"]],
    [
      "two intervals",
      `${TOP}mempool_update_interval = { unit = "secs", value = 1 }${NODE}`,
      ["mempool_update_interval"],
    ],
    [
      "an interval that is too short",
      `${TOP}core_rpc_url = "http://127.0.0.1"\nmempool_update_interval = { unit = "millis", value = 99 }`,
      ["mempool_update_interval"],
    ],
    ["a key that nobody knows", `${TOP}listen_jds_address = "127.0.0.1:1"${NODE}`, ["listen_jds_address"]],
    ["no token at all", `${TOP}${NODE}[limits]\nmax_tokens_per_connection = 0`, ["limits.max_tokens_per_connection"]],
  ])("is refused with %s", (_, text, paths) => {
    expect(problems(text)).toEqual(paths);
  });

  test("may be given without TCP", () => {
    expect(problems(TOP.replace(/listen_address.*/, 'transport = "iroh"') + NODE)).toEqual([]);
  });

  test("is in the examples as this reads it", async () => {
    const file = new URL("../../../config-examples/jd-server-bitcoin-node.toml", import.meta.url);
    expect(parse(await readFile(file, "utf8"))).toMatchObject({ transport: "dual" });
  });
});
