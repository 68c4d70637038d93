import { readFile } from "node:fs/promises";
import { targetFromBits, workOf } from "@adit/bitcoin";
import { configReference, parseConfig } from "@adit/role-kit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chainBits, embeddedDefaults, type TemplateProviderConfig } from "./config.ts";
import { templateProviderRole } from "./role.ts";

const base = 'listen_address = "127.0.0.1:0"\nauthority_key_path = "authority.key"\n';
const parse = (text: string): TemplateProviderConfig =>
  parseConfig(templateProviderRole, { text: base + text, file: "test.toml", env: {} });

describe("the config of the template provider", () => {
  test("has defaults for everything but where to listen and whose key it has", () => {
    const { embedded, limits, transport } = parse("[embedded]");
    expect(transport).toBe("tcp");
    expect(embedded).toEqual({
      dataPath: "embedded-chain",
      hashesPerBlock: 131_072,
      mempoolTransactions: 24,
      templateIntervalSecs: 10,
      blockElsewhereIntervalSecs: 0,
      feeThreshold: 100,
      minInterval: 5,
      rpcAllowRemote: false,
    });
    expect(embeddedDefaults).toEqual(embedded);
    expect(limits).toMatchObject({ maxConnections: 64, maxTemplatesPerClient: 128, constraintsTimeoutSecs: 30 });
  });

  test("names no backend unless it is told one", () => {
    const { embedded, bitcoinNode } = parse("");
    expect([embedded, bitcoinNode]).toEqual([undefined, undefined]);
  });

  test("of the example is valid", async () => {
    const file = new URL("../../../config-examples/template-provider-embedded.toml", import.meta.url);
    const config = parseConfig(templateProviderRole, { text: await readFile(file, "utf8"), file: "example", env: {} });
    expect(config).toMatchObject({ transport: "dual", embedded: { blockElsewhereIntervalSecs: 120 } });
  });

  test("takes single keys from the environment", () => {
    const env = { TP__EMBEDDED__HASHES_PER_BLOCK: "64" };
    const { embedded } = parseConfig(templateProviderRole, { text: base, file: "test.toml", env });
    expect(embedded?.hashesPerBlock).toBe(64);
  });

  test.each([
    ['[embedded]\nnbits = "1d00fff"', "embedded.nbits"],
    ['[embedded]\nnbits = "00000000"', "embedded.nbits"],
    ['[embedded]\nnbits = "217fffff"', "embedded.nbits"],
    ["[embedded]\nhashes_per_block = 1", "embedded.hashes_per_block"],
    ["[embedded]\nhashes_per_block = 0", "embedded.hashes_per_block"],
    [
      "[embedded]\nhashes_per_block = 1e9\nblock_elsewhere_interval_secs = 60",
      "embedded.block_elsewhere_interval_secs",
    ],
    ['[embedded]\nrpc_listen_address = "127.0.0.1:18443"\nrpc_user = "adit"', "embedded.rpc_pass"],
    ['[embedded]\nrpc_listen_address = "127.0.0.1:18443"\nrpc_pass = "secret"', "embedded.rpc_user"],
    ['[embedded]\nrpc_user = "adit"\nrpc_pass = "secret"', "embedded.rpc_listen_address"],
    ['[embedded]\nrpc_listen_address = "0.0.0.0:18443"', "rpc_allow_remote = true"],
    ['[embedded]\nrpc_listen_address = "127.0.0.1:1"\nrpc_user = "a:b"\nrpc_pass = "c"', "embedded.rpc_user"],
    ["[embedded]\nhashes_per_blok = 16", "did you mean hashes_per_block"],
    ["[limits]\nmax_queue_bytes = 1", "limits.max_queue_bytes"],
    ['transport = "carrier-pigeon"', "transport"],
  ])("refuses %j and names %s", (text, path) => {
    expect(() => parse(text)).toThrow(path);
  });

  test("lets the chain be asked from other machines only when told so", () => {
    const { embedded } = parse('[embedded]\nrpc_listen_address = "0.0.0.0:18443"\nrpc_allow_remote = true');
    expect(embedded).toMatchObject({ rpcListenAddress: "0.0.0.0:18443", rpcAllowRemote: true });
  });

  test("is described key by key", () => {
    const reference = configReference(templateProviderRole);
    for (const key of ["hashes_per_block", "nbits", "fee_threshold", "max_templates_per_client", "listen_address"]) {
      expect(reference).toContain(key);
    }
  });
});

const cookie = 'core_rpc_cookie_path = "/home/satoshi/.bitcoin/.cookie"';
const login = 'core_rpc_user = "adit"\ncore_rpc_pass = "secret"';
const table = (...nodes: readonly string[]): string => ["[bitcoin_node]", ...nodes].join("\n");
const node = (...lines: readonly string[]): string =>
  ["[[bitcoin_node.nodes]]", 'core_rpc_url = "http://127.0.0.1"', ...lines].join("\n");
const submitNode = (...lines: readonly string[]): string =>
  ["[[bitcoin_node.extra_submit]]", 'core_rpc_url = "http://127.0.0.2"', ...lines].join("\n");

describe("the config of Bitcoin nodes", () => {
  test("has defaults for everything but where they are and how to log in", () => {
    const { bitcoinNode, embedded } = parse(table(node(cookie)));
    expect(embedded).toBeUndefined();
    expect(bitcoinNode).toEqual({
      network: "mainnet",
      nodes: [{ coreRpcUrl: "http://127.0.0.1", coreRpcCookiePath: "/home/satoshi/.bitcoin/.cookie" }],
      extraSubmit: [],
      dataPath: "bitcoin-node",
      feeThreshold: 100,
      minInterval: 5,
      templateIntervalSecs: 10,
      pollIntervalSecs: 1,
      pollTimeoutSecs: 2,
      emptyTemplateAfterSecs: 0.25,
      rpcTimeoutSecs: 10,
      templateAlarmSecs: 120,
    });
  });

  test("keeps nodes in order of preference, with either login, and others only for blocks", () => {
    const second = node(login, "core_rpc_port = 18444", 'zmq_hashblock = "tcp://127.0.0.1:28332"');
    const { bitcoinNode } = parse(table('network = "regtest"', node(cookie), second, submitNode(login)));
    expect(bitcoinNode?.nodes).toMatchObject([
      { coreRpcCookiePath: "/home/satoshi/.bitcoin/.cookie" },
      { coreRpcUser: "adit", coreRpcPass: "secret", coreRpcPort: 18_444, zmqHashblock: "tcp://127.0.0.1:28332" },
    ]);
    expect(bitcoinNode?.extraSubmit).toMatchObject([{ coreRpcUser: "adit" }]);
  });

  test("takes single keys from the environment", () => {
    const env = { TP__BITCOIN_NODE__MIN_INTERVAL: "30", TP__BITCOIN_NODE__NETWORK: "signet" };
    const text = base + table(node(cookie));
    const { bitcoinNode } = parseConfig(templateProviderRole, { text, file: "test.toml", env });
    expect(bitcoinNode).toMatchObject({ minInterval: 30, network: "signet" });
  });

  test("takes keys of one node from the environment, a password of digits among them", () => {
    const env = { TP__BITCOIN_NODE__NODES__1__CORE_RPC_PASS: "0123", TP__BITCOIN_NODE__NODES__1__CORE_RPC_USER: "eve" };
    const text = base + table(node(cookie), node("core_rpc_port = 8331"));
    const { bitcoinNode } = parseConfig(templateProviderRole, { text, file: "test.toml", env });
    expect(bitcoinNode?.nodes).toMatchObject([
      { coreRpcCookiePath: "/home/satoshi/.bitcoin/.cookie" },
      { coreRpcUrl: "http://127.0.0.1", coreRpcUser: "eve", coreRpcPass: "0123" },
    ]);
  });

  const logIn = "expected core_rpc_cookie_path, or core_rpc_user and core_rpc_pass";
  const onePort = "expected the port in core_rpc_url or in core_rpc_port, not in both";
  const withUrl = (url: string): string => table(`[[bitcoin_node.nodes]]\ncore_rpc_url = "${url}"\n${cookie}`);

  test.each([
    [table(node()), logIn],
    [table(node('core_rpc_user = "adit"')), logIn],
    [table(node('core_rpc_pass = "secret"')), logIn],
    [table(node(cookie, login)), logIn],
    [table(node(cookie, 'core_rpc_user = "adit"')), logIn],
    [table(node(cookie, 'core_rpc_pass = "secret"')), logIn],
    [table(node(cookie), submitNode()), logIn],
    [`${withUrl("http://127.0.0.1:8332")}\ncore_rpc_port = 8332`, onePort],
    [withUrl("https://127.0.0.1"), "expected a URL like http://127.0.0.1:8332"],
    [withUrl("127.0.0.1:8332"), "expected a URL like http://127.0.0.1:8332"],
    [withUrl("http://adit:secret@127.0.0.1"), "user and password go into core_rpc_user and core_rpc_pass"],
    [`${table(node(cookie))}\n[embedded]`, "expected one source of templates: remove [embedded] or [bitcoin_node]"],
    [table("nodes = []"), "bitcoin_node.nodes"],
    [table(), "bitcoin_node.nodes"],
    [table('network = "testnet3"', node(cookie)), "bitcoin_node.network"],
    [table(node(cookie, 'zmq_hashblock = "127.0.0.1:28332"')), "expected tcp://HOST:PORT or ipc://PATH"],
    [table(node(cookie), submitNode(cookie, 'zmq_hashblock = "tcp://127.0.0.1:28332"')), "zmq_hashblock"],
    [table("poll_interval_secs = 0", node(cookie)), "bitcoin_node.poll_interval_secs"],
    [table("template_alarm_secs = 0", node(cookie)), "bitcoin_node.template_alarm_secs"],
    [table(node(cookie, 'core_rpc_pas = "secret"')), "did you mean core_rpc_pass"],
  ])("refuses %j and says %s", (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  test("refuses a node that is listed twice, with its port or without", () => {
    const again = withUrl("http://127.0.0.1:8332").replace("[bitcoin_node]\n", "");
    expect(() => parse(table(node(cookie), again))).toThrow("another node than 127.0.0.1:8332");
    expect(() => parse(table(node(cookie), again.replace("nodes", "extra_submit")))).toThrow(
      "bitcoin_node.extra_submit[0]",
    );
    expect(() => parse(table('network = "regtest"', node(cookie), again))).not.toThrow();
  });

  test("names the node that is at fault, and never its password", () => {
    const fault = (): TemplateProviderConfig => parse(table(node(cookie), node(cookie, login)));
    expect(fault).toThrow("bitcoin_node.nodes[1]");
    expect(fault).not.toThrow("secret");
  });
});

describe("the bits of the chain", () => {
  test("cost about as many hashes as was asked for, and never fewer", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 48 }), (hashesPerBlock) => {
        const work = Number(workOf(targetFromBits(chainBits({ hashesPerBlock }))));
        expect(work).toBeGreaterThanOrEqual(hashesPerBlock);
        expect(work).toBeLessThanOrEqual(hashesPerBlock * 1.001 + 1);
      }),
    );
  });

  test("are those given, with or without 0x", () => {
    expect(chainBits({ nbits: "1f00ffff", hashesPerBlock: 2 })).toBe(0x1f00ffff);
    expect(chainBits({ nbits: "0x207FFFFF", hashesPerBlock: 9 })).toBe(0x207fffff);
  });
});
