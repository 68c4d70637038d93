import { displayHash, type Hash, hash, hex, sha256d, txid } from "@adit/bitcoin";
import { expect, test } from "vitest";
import { MempoolIndex } from "./mempool-index.ts";
import { NodeServer } from "./testing/node-server.ts";
import { bytesOf } from "./testing/raw-template.ts";
import { never, nodeAt, nodeErrorOf } from "./testing/setup.ts";

const request = { signal: never };
const idOf = (seed: number): Hash => txid(bytesOf(seed));
const wtxidOf = (seed: number): Hash => sha256d(bytesOf(seed));

/** A server whose mempool holds the transactions of `seeds`, which a test may change. */
async function mempool(...seeds: readonly number[]): Promise<NodeServer & { readonly pool: Set<number> }> {
  const server = Object.assign(await NodeServer.start(), { pool: new Set(seeds) });
  const idsOf = (): readonly string[] => [...server.pool].map((seed) => displayHash(idOf(seed)));
  server.on("getrawmempool", () => ({ result: idsOf() }));
  server.on("getrawtransaction", ({ params }) => {
    const seed = [...server.pool].find((one) => displayHash(idOf(one)) === params[0]);
    if (seed === undefined) return { error: { code: -5, message: "No such mempool transaction" } };
    return { result: hex(bytesOf(seed)) };
  });
  return server;
}

function fetchedBy(server: NodeServer): number {
  return server.calls.filter(({ method }) => method === "getrawtransaction").length;
}

test("finds what the mempool has by wtxid and by txid, in the order asked for", async () => {
  await using server = await mempool(1, 2, 3);
  await using node = nodeAt(server.url);
  const index = new MempoolIndex(node);
  await expect(index.refresh(request)).resolves.toEqual({ added: 3, removed: 0, left: 0 });
  const unknown = hash(new Uint8Array(32));
  const found = await index.byWtxid([wtxidOf(2), unknown, wtxidOf(1)], request);
  expect(found.map((one) => one?.bytes)).toEqual([bytesOf(2), undefined, bytesOf(1)]);
  expect(found[0]).toMatchObject({ txid: idOf(2), wtxid: wtxidOf(2) });
  expect((await index.byTxid([idOf(3)], request))[0]?.wtxid).toEqual(wtxidOf(3));
  expect([index.has(wtxidOf(1)), index.has(unknown)]).toEqual([true, false]);
});

test("fetches what is new only, and forgets what has left", async () => {
  await using server = await mempool(1, 2);
  await using node = nodeAt(server.url);
  const index = new MempoolIndex(node);
  await index.refresh(request);
  server.pool.delete(1);
  server.pool.add(3);
  await expect(index.refresh(request)).resolves.toEqual({ added: 1, removed: 1, left: 0 });
  expect(fetchedBy(server)).toBe(3);
  expect(index.has(wtxidOf(1))).toBe(false);
  expect(index.bytes).toBe(bytesOf(2).length + bytesOf(3).length);
});

test("takes no more transactions than allowed, and the rest when there is room", async () => {
  await using server = await mempool(1, 2, 3, 4);
  await using node = nodeAt(server.url);
  const index = new MempoolIndex(node, { maxTransactions: 3 });
  await expect(index.refresh(request)).resolves.toEqual({ added: 3, removed: 0, left: 1 });
  server.pool.delete(1);
  await expect(index.refresh(request)).resolves.toEqual({ added: 1, removed: 1, left: 0 });
  expect(index.size).toBe(3);
});

test("keeps no more bytes than allowed, and fetches the others when they are asked for", async () => {
  await using server = await mempool(1, 2);
  await using node = nodeAt(server.url);
  const index = new MempoolIndex(node, { maxBytes: bytesOf(1).length });
  await index.refresh(request);
  expect(index.bytes).toBe(bytesOf(1).length);
  const found = await index.byWtxid([wtxidOf(1), wtxidOf(2)], request);
  expect(found.map((one) => one?.bytes)).toEqual([bytesOf(1), bytesOf(2)]);
  expect(fetchedBy(server)).toBe(3);
});

test("has nothing for a transaction whose bytes have left or changed since", async () => {
  await using server = await mempool(1, 2);
  await using node = nodeAt(server.url);
  const index = new MempoolIndex(node, { maxBytes: 0 });
  await index.refresh(request);
  server.pool.delete(1);
  expect(await index.byWtxid([wtxidOf(1)], request)).toEqual([undefined]);
  server.on("getrawtransaction", () => ({ result: hex(bytesOf(3)) }));
  expect(await index.byWtxid([wtxidOf(2)], request)).toEqual([undefined]);
});

test("does without a transaction that leaves between the list and its bytes", async () => {
  await using server = await mempool(1);
  await using node = nodeAt(server.url);
  server.on("getrawmempool", () => ({ result: [displayHash(idOf(1)), displayHash(idOf(2))] }));
  await expect(new MempoolIndex(node).refresh(request)).resolves.toEqual({ added: 1, removed: 0, left: 0 });
});

test("keeps what it has when a refresh fails halfway", async () => {
  const seeds = Array.from({ length: 300 }, (_, at) => at);
  await using server = await mempool(...seeds);
  await using node = nodeAt(server.url);
  const index = new MempoolIndex(node);
  let answered = 0;
  server.on("getrawtransaction", ({ params }) => {
    answered += 1;
    if (answered > 256) return { error: { code: -28, message: "Loading" } };
    const seed = seeds.find((one) => displayHash(idOf(one)) === params[0]) ?? 0;
    return { result: hex(bytesOf(seed)) };
  });
  expect((await nodeErrorOf(index.refresh(request))).code).toBe("warming-up");
  expect(index.size).toBe(256);
});
