import { displayHash, hash } from "@adit/bitcoin";
import { NodeServer } from "@adit/role-nodes/testing";
import { describe, expect, test } from "vitest";
import { ChainNodes } from "./chain-nodes.ts";

const hashOf = (height: number, branch = 0) => {
  const bytes = new Uint8Array(32).fill(branch);
  new DataView(bytes.buffer).setUint32(0, height);
  return hash(bytes);
};

/** Has the main branch up to a height, and tells of headers as Bitcoin Core does. */
async function nodeAt(height: number, changes: Readonly<Record<string, unknown>> = {}): Promise<NodeServer> {
  const server = await NodeServer.start();
  const tip = { blocks: height, bestblockhash: displayHash(hashOf(height)) };
  server.on("getblockchaininfo", () => ({ result: { chain: "regtest", ...tip, ...changes } }));
  server.on("getblockhash", ({ params: [at] }) =>
    Number(at) > height
      ? { error: { code: -8, message: "Block height out of range" } }
      : { result: displayHash(hashOf(Number(at))) },
  );
  server.on("getblockheader", () => ({ error: { code: -5, message: "Block not found" } }));
  return server;
}

function asked(...servers: readonly NodeServer[]): ChainNodes {
  const nodes = servers.map(({ url }) => ({ coreRpcUrl: url, coreRpcUser: "user", coreRpcPass: "secret" }));
  return new ChainNodes({ network: "regtest", nodes, rpcTimeoutSecs: 5, pollTimeoutSecs: 2 });
}

const host = ({ url }: NodeServer): string => new URL(url).host;

describe("of several nodes", () => {
  test("the one with the highest chain judges, and among equals the most preferred", async () => {
    await using first = await nodeAt(100);
    await using second = await nodeAt(102);
    await using third = await nodeAt(102);
    await using nodes = asked(first, second, third);
    expect(await nodes.look()).toMatchObject({ name: host(second), tip: { height: 102, hash: hashOf(102) } });
  });

  test("one that downloads the chain, does not answer, or is on another network does not judge", async () => {
    await using downloads = await nodeAt(105, { initialblockdownload: true });
    await using silent = await nodeAt(105);
    silent.on("getblockchaininfo", () => "hang-up");
    await using elsewhere = await nodeAt(105, { chain: "main" });
    await using good = await nodeAt(100);
    {
      await using nodes = asked(downloads, silent, elsewhere, good);
      expect(await nodes.look()).toMatchObject({ name: host(good) });
    }
    await using nodes = asked(downloads, silent, elsewhere);
    await expect(nodes.look()).rejects.toMatchObject({ code: "initial-block-download", node: host(downloads) });
  });
});

describe("a block", () => {
  test("is where the node that told the tip has it", async () => {
    await using server = await nodeAt(100);
    const confirmations = new Map([
      [displayHash(hashOf(98)), 3],
      [displayHash(hashOf(98, 1)), -1],
    ]);
    server.on("getblockheader", ({ params: [of] }) => {
      const known = confirmations.get(String(of));
      if (known === undefined) return { error: { code: -5, message: "Block not found" } };
      const header = { hash: of, height: 98, time: 1, mediantime: 1, bits: "207fffff", confirmations: known };
      return { result: header };
    });
    await using nodes = asked(server);
    const places = await (await nodes.look()).places([
      { hash: hashOf(98), height: 98 },
      { hash: hashOf(98, 1), height: 98 },
      // One that it never had, at a height that another has, and above the tip; and one of no known height.
      { hash: hashOf(97, 2), height: 97 },
      { hash: hashOf(101), height: 101 },
      { hash: hashOf(97, 2), height: undefined },
    ]);
    expect(places).toEqual([
      { place: "in-chain", confirmations: 3 },
      { place: "beside", height: 98 },
      { place: "beside", height: 97 },
      { place: "unknown" },
      { place: "unknown" },
    ]);
  });

  test("that comes in between two questions is not taken for another one", async () => {
    await using server = await nodeAt(100);
    await using nodes = asked(server);
    const view = await nodes.look();
    expect(await view.places([{ hash: hashOf(100), height: 100 }])).toEqual([{ place: "unknown" }]);
  });

  test("of which the node fails to tell is no answer", async () => {
    await using server = await nodeAt(100);
    server.on("getblockheader", () => ({ error: { code: -28, message: "Loading block index" } }));
    await using nodes = asked(server);
    const view = await nodes.look();
    await expect(view.places([{ hash: hashOf(9), height: 9 }])).rejects.toMatchObject({ code: "warming-up" });
  });
});
