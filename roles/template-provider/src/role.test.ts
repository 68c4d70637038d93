import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { displayHash, encodeHeader, hex } from "@adit/bitcoin";
import { dialect } from "@adit/codec";
import { IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { describe, expect, test } from "vitest";
import { type RunningRole, startRole, temporaryFolder } from "./testing/running-role.ts";
import { reward, solve, type Work } from "./testing/solve.ts";
import { TemplateMiner } from "./testing/template-miner.ts";

const signal = new AbortController().signal;

interface ListenerDetails {
  readonly transport: string;
  readonly address: string;
}

async function tcpMiner(role: RunningRole): Promise<TemplateMiner> {
  const listeners = role.details["listeners"] as readonly ListenerDetails[];
  const address = listeners.find(({ transport }) => transport === "tcp")?.address ?? "";
  const stream = await tcp().dial(address, { signal });
  return await TemplateMiner.over(stream, role.details["authority_public_key"] as string);
}

describe("the template provider", () => {
  test("lets a client mine blocks over TCP, shows the last one, and goes on from it after a restart", async () => {
    await using folder = await temporaryFolder();
    let lastId: bigint;
    {
      await using role = await startRole(folder.path);
      expect(role.details).toMatchObject({ height: 0, endpoint_id: null, ticket: null });
      await using miner = await tcpMiner(role);
      await miner.constrain();
      await miner.mine(await miner.tip());
      const second = await miner.tip();
      expect(role.status().chain).toMatchObject({ height: 1, tip_hash: displayHash(second.prevHash.prevHash) });
      await miner.mine(second);
      const third = await miner.tip();
      lastId = third.template.templateId;
      const own = reward(second.template.coinbaseTxValueRemaining);
      expect(role.status()).toMatchObject({
        chain: { height: 2, bits: "200fffff", hashes_per_block: 16 },
        blocks: { accepted: 2, rejected: 0, elsewhere: 0 },
        last_block: {
          height: 2,
          hash: displayHash(third.prevHash.prevHash),
          coinbase: {
            height: 2,
            tag: "test",
            outputs: [
              {
                value: Number(own.value),
                type: "p2wpkh",
                address: expect.stringMatching(/^bcrt1q/),
                script: hex(own.script),
              },
              { value: 0, type: "witness-commitment" },
            ],
          },
          solved_by: "client",
        },
        clients: [{ templates_sent: 3, coinbase_output_max_additional_size: 100 }],
      });
    }
    await using again = await startRole(folder.path);
    expect(again.details).toMatchObject({ height: 2 });
    expect(again.status().last_block).toMatchObject({ height: 2, solved_by: "client" });
    await using miner = await tcpMiner(again);
    await miner.constrain();
    const work = await miner.tip();
    expect(work.template.templateId).toBeGreaterThan(lastId);
    await miner.mine(work);
    await miner.tip();
    expect(again.status().chain?.height).toBe(3);
  });

  test("takes a solution for a template that it sent before its restart, once, and calls an older one stale", async () => {
    await using folder = await temporaryFolder();
    const works: Work[] = [];
    for (const height of [0, 1]) {
      {
        await using role = await startRole(folder.path);
        await using miner = await tcpMiner(role);
        await miner.constrain();
        works.push(await miner.tip());
      }
      await using role = await startRole(folder.path);
      await using miner = await tcpMiner(role);
      await miner.constrain();
      const now = await miner.tip();
      const old = works.at(-1) ?? now;
      expect(now.template.merklePath).not.toEqual(old.template.merklePath);
      expect(now.template.templateId).toBeGreaterThan(old.template.templateId);
      for (const work of works) await miner.mine(work);
      await miner.mine(old);
      await miner.tip();
      await miner.connection.write({ name: "RequestTransactionData", templateId: old.template.templateId });
      expect(await miner.until("RequestTransactionDataError")).toMatchObject({ errorCode: "stale-template-id" });
      expect(role.status()).toMatchObject({
        chain: { height: height + 1 },
        blocks: { accepted: 1, rejected: height + 1, rejected_by_reason: { "stale-template": height + 1 } },
      });
    }
  });

  test("serves TCP and Iroh at once: a block found over one is news over the other", async () => {
    await using folder = await temporaryFolder();
    const iroh = ["[iroh]", `secret_key_path = "${folder.path}/iroh.key"`, 'bind = ["127.0.0.1:0"]'];
    await using role = await startRole(folder.path, { top: ['transport = "dual"', ...iroh] });
    await using node = await IrohNodeManager.start({
      relay: "disabled",
      bind: ["127.0.0.1:0"],
      allowedPeers: [],
      maxConnectionsPerPeer: 4,
      env: {},
      signal,
    });
    await using overTcp = await tcpMiner(role);
    const stream = await node.transport("sv2-tp").dial(role.details["ticket"] as string, { signal });
    await using overIroh = await TemplateMiner.over(stream, role.details["authority_public_key"] as string);
    await Promise.all([overTcp.constrain(), overIroh.constrain()]);
    const [work] = await Promise.all([overIroh.tip(), overTcp.tip()]);
    await overIroh.mine(work);
    const [a, b] = await Promise.all([overTcp.tip(), overIroh.tip()]);
    expect(a.prevHash.prevHash).toEqual(b.prevHash.prevHash);
    await overTcp.mine(a);
    const next = await overIroh.tip();
    expect(role.status().chain).toMatchObject({ height: 2, tip_hash: displayHash(next.prevHash.prevHash) });
  });

  test("refuses a wrong solution by its reason, says so in status and metrics, and keeps the client", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path);
    await using miner = await tcpMiner(role);
    await miner.constrain();
    const work = await miner.tip();
    await miner.connection.write(solve(work, { miss: true }));
    await miner.connection.write({ ...solve(work), templateId: 1n });
    await miner.mine(work);
    await miner.tip();
    expect(role.status().blocks).toEqual({
      accepted: 1,
      rejected: 2,
      rejected_by_reason: { "high-hash": 1, "unknown-template": 1 },
      elsewhere: 0,
    });
    const { body } = await role.metrics.expose();
    expect(body).toContain('sv2_template_provider_solutions_refused_total{reason="high-hash"} 1');
    expect(body).toContain('sv2_template_provider_blocks_total{solved_by="client"} 1');
    expect(body).toContain("sv2_template_provider_chain_height 1");
  });

  test("gives out the transactions of a template", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path);
    await using miner = await tcpMiner(role);
    await miner.constrain();
    const { template } = await miner.tip();
    await miner.connection.write({ name: "RequestTransactionData", templateId: template.templateId });
    expect((await miner.until("RequestTransactionDataSuccess")).transactionList).toHaveLength(12);
    await miner.connection.write({ name: "RequestTransactionData", templateId: 3n });
    expect(await miner.until("RequestTransactionDataError")).toMatchObject({ errorCode: "template-id-not-found" });
  });

  const constraints = dialect("template_distribution").encode({
    name: "CoinbaseOutputConstraints",
    coinbaseOutputMaxAdditionalSize: 1,
    coinbaseOutputMaxAdditionalSigops: 1,
  });
  const broken: readonly (readonly [string, Uint8Array])[] = [
    ["a message cut short", Uint8Array.of(0, 0, 0x70, 2, 0, 0, 1, 2)],
    ["a frame longer than any solution", Uint8Array.of(0, 0, 0x76, 0x16, 0x00, 0x01)],
    [
      "a message that is the server's",
      dialect("template_distribution").encode({ name: "RequestTransactionDataError", templateId: 1n, errorCode: "x" }),
    ],
    ["a message of another protocol", Uint8Array.of(0, 0, 0x50, 0, 0, 0)],
    [
      "a solution before its constraints",
      dialect("template_distribution").encode({
        name: "SubmitSolution",
        templateId: 1n,
        version: 1,
        headerTimestamp: 1,
        headerNonce: 1,
        coinbaseTx: encodeHeader({
          version: 1,
          prevHash: new Uint8Array(32),
          merkleRoot: new Uint8Array(32),
          ntime: 1,
          nbits: 1,
          nonce: 1,
        }),
      }),
    ],
    ["more room than a block has", constraints.with(9, 0xff)],
  ];
  test.each(broken)("closes the client that sends %s, and nobody else", async (_what, frame) => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path);
    await using good = await tcpMiner(role);
    await good.constrain();
    const work = await good.tip();
    await using bad = await tcpMiner(role);
    await bad.connection.writeFrames([frame]).catch(() => {});
    await expect(bad.next()).rejects.toThrow();
    await good.mine(work);
    await good.tip();
    expect(role.status()).toMatchObject({ chain: { height: 1 }, clients: [{ templates_sent: 2 }] });
  });

  test("sends better templates as fees rise, on the same tip", async () => {
    await using folder = await temporaryFolder();
    const embedded = [
      "template_interval_secs = 0.05",
      "min_interval = 0",
      "fee_threshold = 1",
      "mempool_transactions = 200",
    ];
    await using role = await startRole(folder.path, { embedded });
    await using miner = await tcpMiner(role);
    await miner.constrain();
    const { template } = await miner.tip();
    const better = await miner.until("NewTemplate");
    expect(better.futureTemplate).toBe(false);
    expect(better.coinbaseTxValueRemaining).toBeGreaterThan(template.coinbaseTxValueRemaining);
  });

  test("mines blocks from elsewhere by itself, which move its clients to a new tip", async () => {
    await using folder = await temporaryFolder();
    const embedded = ["block_elsewhere_interval_secs = 0.1", "hashes_per_block = 300"];
    await using role = await startRole(folder.path, { embedded });
    await using miner = await tcpMiner(role);
    await miner.constrain();
    const first = await miner.tip();
    const second = await miner.tip();
    expect(second.prevHash.prevHash).not.toEqual(first.prevHash.prevHash);
    const { blocks, last_block } = role.status();
    expect(blocks.elsewhere).toBeGreaterThan(0);
    expect(last_block).toMatchObject({ solved_by: "elsewhere", coinbase: { tag: "elsewhere" } });
  });

  test("stops with the reason when a block cannot be written, and tells nobody of it", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path);
    await using miner = await tcpMiner(role);
    await miner.constrain();
    const work = await miner.tip();
    await appendFile(join(folder.path, "chain", "blocks.dat"), "somebody else");
    await miner.mine(work);
    await expect(role.ended).rejects.toMatchObject({ name: "ChainFileError", code: "changed" });
    await expect(miner.until("SetNewPrevHash")).rejects.toThrow();
  });
});

describe("a template provider that stops", () => {
  test("answers what it was asked, puts the block it is given on the chain, and ends", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path);
    await using miner = await tcpMiner(role);
    await miner.constrain();
    const work = await miner.tip();
    const stopped = role.stop();
    await miner.mine(work);
    const next = await miner.tip();
    await miner.connection.write({ name: "RequestTransactionData", templateId: next.template.templateId });
    expect(await miner.until("RequestTransactionDataSuccess")).toMatchObject({ templateId: next.template.templateId });
    await expect(miner.next()).rejects.toThrow("the connection ended");
    await stopped;
    await using again = await startRole(folder.path);
    expect(again.details).toMatchObject({ height: 1 });
  });

  test("asks its clients to connect elsewhere first, and serves them until they have gone", async () => {
    await using folder = await temporaryFolder();
    await using role = await startRole(folder.path, { top: ['move_clients_to = "tp2.example:8442"'] });
    await using miner = await tcpMiner(role);
    await miner.constrain();
    const work = await miner.tip();
    const stopped = role.stop();
    expect(await miner.until("Reconnect")).toMatchObject({ newHost: "tp2.example", newPort: 8442 });
    await miner.mine(work);
    await miner.tip();
    expect(role.status()).toMatchObject({ chain: { height: 1 }, clients: [{ templates_sent: 2 }] });
    await miner[Symbol.asyncDispose]();
    await stopped;
  });
});
