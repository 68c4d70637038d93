import { displayHash, hashFromDisplay } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import type { NodeErrorCode } from "./errors.ts";
import { NodeServer, type ServerReply } from "./testing/node-server.ts";
import { bytesOf, displayed, rawChain, rawTemplate, rawTransaction } from "./testing/raw-template.ts";
import { never, nodeAt, nodeErrorOf } from "./testing/setup.ts";

const request = { signal: never };
const someHash = hashFromDisplay(displayed(5));

function error(code: number, message: string): ServerReply {
  return { error: { code, message } };
}

test("its name is host and port, with the port of the scheme where none is given", () => {
  expect(nodeAt("http://127.0.0.1:8332/wallet").name).toBe("127.0.0.1:8332");
  expect(nodeAt("http://node.example").name).toBe("node.example:80");
  expect(nodeAt("http://[::1]:8332").name).toBe("[::1]:8332");
});

describe("the chain", () => {
  test("of Bitcoin Core", async () => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ result: rawChain({ initialblockdownload: true, pruned: true }) }));
    await using node = nodeAt(server.url);
    const info = await node.chainInfo(request);
    expect(info).toMatchObject({
      chain: "regtest",
      height: 101,
      work: 0xccn,
      initialBlockDownload: true,
      pruned: true,
    });
    expect(displayHash(info.tip)).toBe(displayed(1));
  });

  test("of a node that leaves out work and download has neither", async () => {
    await using server = await NodeServer.start();
    const result = rawChain({ chainwork: undefined, initialblockdownload: undefined });
    server.on("getblockchaininfo", () => ({ result }));
    await using node = nodeAt(server.url);
    expect(await node.chainInfo(request)).toMatchObject({ work: undefined, initialBlockDownload: false });
  });

  test.each([
    ["main", "mainnet"],
    ["mainnet", "mainnet"],
    ["testnet4", "testnet4"],
    ["signet", "signet"],
  ] as const)("named %s is %s", async (chain, network) => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ result: rawChain({ chain }) }));
    await using node = nodeAt(server.url, { network });
    expect((await node.chainInfo(request)).chain).toBe(network);
  });

  test.each(["main", "test", "testnet3", "simnet"])("named %s is the wrong one for regtest", async (chain) => {
    await using server = await NodeServer.start();
    server.on("getblockchaininfo", () => ({ result: rawChain({ chain }) }));
    await using node = nodeAt(server.url);
    const fault = await nodeErrorOf(node.chainInfo(request));
    expect(fault.code).toBe("wrong-network");
    expect(fault.message).toContain("but regtest is configured");
  });
});

describe("a template", () => {
  test.each([
    ["regtest", ["segwit"]],
    ["mainnet", ["segwit"]],
    ["signet", ["segwit", "signet"]],
  ] as const)("on %s is asked for with the rules %j", async (network, rules) => {
    await using server = await NodeServer.start();
    server.on("getblocktemplate", () => ({ result: rawTemplate() }));
    await using node = nodeAt(server.url, { network });
    await node.template(request);
    expect(server.calls[0]?.params).toEqual([{ rules, capabilities: ["coinbasevalue", "longpoll"] }]);
  });

  test("by long poll names the template before, and may take longer than another call", async () => {
    await using server = await NodeServer.start();
    let answer = (_reply: ServerReply): void => {};
    server.on("getblocktemplate", () => new Promise<ServerReply>((resolve) => (answer = resolve)));
    server.on("getblockchaininfo", () => ({ raw: () => {} }));
    await using node = nodeAt(server.url, { timeoutMs: 30 });
    const polling = node.template({ ...request, longPollId: "before" });
    await server.called("getblocktemplate", 1);
    expect((await nodeErrorOf(node.chainInfo(request))).code).toBe("timed-out");
    answer({ result: rawTemplate() });
    await expect(polling).resolves.toMatchObject({ height: 102 });
    expect(server.calls[0]?.params).toMatchObject([{ longpollid: "before" }]);
  });

  test("by a long poll that nobody answers ends as timed-out, and another may follow", async () => {
    await using server = await NodeServer.start();
    server.on("getblocktemplate", () => ({ raw: () => {} }));
    await using node = nodeAt(server.url, { longPollMs: 30 });
    for (const longPollId of ["first", "second"]) {
      expect((await nodeErrorOf(node.template({ ...request, longPollId }))).code).toBe("timed-out");
    }
  });

  test("shares its transactions with the one before", async () => {
    await using server = await NodeServer.start();
    server.on("getblocktemplate", () => ({ result: rawTemplate({ transactions: [rawTransaction(1)] }) }));
    await using node = nodeAt(server.url);
    const [first, second] = [await node.template(request), await node.template(request)];
    expect(second.transactions[0]?.bytes).toBe(first.transactions[0]?.bytes);
  });

  test("that does not fit is counted as a bad response", async () => {
    await using server = await NodeServer.start();
    server.on("getblocktemplate", () => ({ result: {} }));
    const outcomes: string[] = [];
    await using node = nodeAt(server.url, { onCall: ({ outcome }) => outcomes.push(outcome) });
    await nodeErrorOf(node.template(request));
    expect(outcomes).toEqual(["bad-response"]);
  });
});

describe("a header", () => {
  const core = {
    hash: displayed(5),
    confirmations: 3,
    height: 99,
    time: 1_700_000_000,
    mediantime: 1_699_999_000,
    bits: "207fffff",
    previousblockhash: displayed(4),
  };

  test("of Bitcoin Core", async () => {
    await using server = await NodeServer.start();
    server.on("getblockheader", () => ({ result: core }));
    await using node = nodeAt(server.url);
    expect(await node.header(someHash, request)).toEqual({
      hash: someHash,
      prevHash: hashFromDisplay(displayed(4)),
      height: 99,
      time: 1_700_000_000,
      medianTimePast: 1_699_999_000,
      bits: 0x207f_ffff,
      confirmations: 3,
    });
    expect(server.calls[0]?.params).toEqual([displayed(5), true]);
  });

  test("of the first block has none before it", async () => {
    await using server = await NodeServer.start();
    server.on("getblockheader", () => ({ result: { ...core, previousblockhash: undefined } }));
    await using node = nodeAt(server.url);
    expect((await node.header(someHash, request))?.prevHash).toBeUndefined();
  });

  test("of btcd has no median time, and its bits may be short", async () => {
    await using server = await NodeServer.start();
    server.on("getblockheader", () => ({ result: { ...core, mediantime: undefined, bits: "3123456" } }));
    await using node = nodeAt(server.url);
    expect(await node.header(someHash, request)).toMatchObject({ medianTimePast: undefined, bits: 0x0312_3456 });
  });

  test.each([
    [displayed(5), 3],
    [displayed(6), -1],
  ])("of bcoin counts when the best chain has %s at its height", async (best, confirmations) => {
    await using server = await NodeServer.start();
    server.on("getblockheader", () => ({ result: { ...core, bits: 0x207f_ffff } }));
    server.on("getblockhash", ({ params }) => (params[0] === 99 ? { result: best } : error(-8, "out of range")));
    await using node = nodeAt(server.url);
    expect(await node.header(someHash, request)).toMatchObject({ bits: 0x207f_ffff, confirmations });
  });

  test.each([
    ["Core and btcd", -5, "Block not found"],
    ["bcoin", -1, "Block not found"],
    ["btcd", -32603, "Failed to obtain block height: block 00 is not in the main chain"],
  ])("that %s does not have is undefined (%i)", async (_name, code, message) => {
    await using server = await NodeServer.start();
    server.on("getblockheader", () => error(code, message));
    await using node = nodeAt(server.url);
    await expect(node.header(someHash, request)).resolves.toBeUndefined();
  });

  test.each([
    [-1, "Invalid block hash.", "rpc-error"],
    [-32603, "database is closed", "rpc-error"],
    [-28, "Loading", "warming-up"],
  ] satisfies readonly [number, string, NodeErrorCode][])("fails for %i %s", async (code, message, expected) => {
    await using server = await NodeServer.start();
    server.on("getblockheader", () => error(code, message));
    await using node = nodeAt(server.url);
    expect((await nodeErrorOf(node.header(someHash, request))).code).toBe(expected);
  });
});

describe("a block", () => {
  const block = Uint8Array.from({ length: 80 }, (_, at) => at);

  test("is submitted as hexadecimal, and its result typed", async () => {
    await using server = await NodeServer.start();
    server.on("submitblock", () => ({ result: "bad-txnmrklroot" }));
    await using node = nodeAt(server.url);
    await expect(node.submitBlock(block, request)).resolves.toMatchObject({
      kind: "rejected",
      reason: "bad-txnmrklroot",
    });
    expect(server.calls[0]?.params).toEqual([Buffer.from(block).toString("hex")]);
  });

  test("that the node cannot read is refused, and a node that cannot take any is a fault", async () => {
    await using server = await NodeServer.start();
    server.on("submitblock", () => error(-22, "Block decode failed"));
    await using node = nodeAt(server.url);
    await expect(node.submitBlock(block, request)).resolves.toMatchObject({ kind: "rejected", reason: "undecodable" });
    server.on("submitblock", () => error(-28, "Loading"));
    expect((await nodeErrorOf(node.submitBlock(block, request))).code).toBe("warming-up");
  });

  test("is proposed by the same rules as a template", async () => {
    await using server = await NodeServer.start();
    server.on("getblocktemplate", () => ({ result: "bad-cb-amount" }));
    await using node = nodeAt(server.url, { network: "signet" });
    await expect(node.proposeBlock(block, request)).resolves.toEqual({ kind: "invalid", reason: "bad-cb-amount" });
    expect(server.calls[0]?.params).toEqual([
      { mode: "proposal", data: Buffer.from(block).toString("hex"), rules: ["segwit", "signet"] },
    ]);
  });

  test("has more time than other calls", async () => {
    await using server = await NodeServer.start();
    server.on("submitblock", () => ({ raw: () => {} }));
    await using node = nodeAt(server.url, { timeoutMs: 10, blockTimeoutMs: 60 });
    expect((await nodeErrorOf(node.submitBlock(block, request))).message).toContain("within 60 ms");
  });
});

describe("a transaction", () => {
  test("is its bytes", async () => {
    await using server = await NodeServer.start();
    server.on("getrawtransaction", () => ({ result: Buffer.from(bytesOf(1)).toString("hex") }));
    await using node = nodeAt(server.url);
    await expect(node.transaction(someHash, request)).resolves.toEqual(bytesOf(1));
    expect(server.calls[0]?.params).toEqual([displayed(5)]);
  });

  test.each([
    ["Core and btcd", -5, "No such mempool transaction. Use -txindex"],
    ["bcoin", -1, "Transaction not found."],
  ])("that %s does not have is undefined", async (_name, code, message) => {
    await using server = await NodeServer.start();
    server.on("getrawtransaction", () => error(code, message));
    await using node = nodeAt(server.url);
    await expect(node.transaction(someHash, request)).resolves.toBeUndefined();
  });

  test("that is no hexadecimal is a bad response", async () => {
    await using server = await NodeServer.start();
    server.on("getrawtransaction", () => ({ result: "abc" }));
    await using node = nodeAt(server.url);
    expect((await nodeErrorOf(node.transaction(someHash, request))).code).toBe("bad-response");
  });
});

test("the mempool is its ids, in internal order", async () => {
  await using server = await NodeServer.start();
  server.on("getrawmempool", () => ({ result: [displayed(5), displayed(6)] }));
  await using node = nodeAt(server.url);
  await expect(node.mempoolIds(request)).resolves.toEqual([someHash, hashFromDisplay(displayed(6))]);
});
