import { fromHex } from "@adit/bitcoin";
import { BLOCK_BITS, HARD_BITS, newChain, TemplateServer } from "@adit/mining-shell/testing";
import { describe, expect, test, vi } from "vitest";
import { RunningClient, temporaryFolder } from "./testing/running-client.ts";
import { SocketUpstream } from "./testing/socket-upstream.ts";

/** For what has no message of its own to wait for. */
async function eventually(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 15_000, interval: 10 });
}

/** One input and one output, without a witness. */
const TRANSACTION = fromHex(`0200000001${"07".repeat(32)}0000000000ffffffff0101${"00".repeat(7)}015100000000`);

describe("a jd-client over real sockets", () => {
  test("declares the template of its provider, and its miners' shares and blocks go where they should", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(BLOCK_BITS), { transactions: [TRANSACTION] });
    provider.movesOn = false;
    await using pool = await SocketUpstream.start(0);
    pool.follow(provider);
    pool.upstream.missing = [0];
    await using client = await RunningClient.ready({
      folder: folder.path,
      templatePort: provider.port,
      upstreams: [pool.ports],
    });
    await using miner = await client.miner();
    const channel = await miner.open("extended", "bob");
    await eventually(() =>
      expect(client.status()).toMatchObject({ custom_jobs: 1, mining_for: expect.stringContaining("127.0.0.1") }),
    );
    const [revealed] = pool.upstream.named("ProvideMissingTransactionsSuccess");
    expect(revealed?.transactionList).toEqual([TRANSACTION]);
    await miner.submit(miner.find(channel, { block: true }), "left-corner");
    await eventually(() => expect([provider.blocks.length, pool.upstream.credited]).toEqual([1, 1]));
    expect(provider.faults).toEqual([]);
    const order = pool.upstream.received.map(({ name }) => name).filter((name) => /^(Push|Submit)/.test(name));
    expect(order).toHaveLength(2);
    expect(await client.metrics()).toContain("sv2_jd_client_blocks_found_total 1");
  });

  test("mines on when its pool dies, alone and then for the next one, on the same connection of the miner", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using backup = await SocketUpstream.start(1);
    backup.follow(provider);
    const first = await SocketUpstream.start(0);
    first.follow(provider);
    await using client = await RunningClient.ready({
      folder: folder.path,
      templatePort: provider.port,
      upstreams: [first.ports, backup.ports],
    });
    await using miner = await client.miner();
    const channel = await miner.open("extended", "bob");
    await miner.submit(miner.find(channel));
    await eventually(() => expect(first.upstream.credited).toBe(1));
    await first[Symbol.asyncDispose]();
    await eventually(() => expect(client.status()).toMatchObject({ custom_jobs: 2 }));
    await miner.submit(miner.find(channel));
    await eventually(() => expect(backup.upstream.credited).toBe(1));
    expect([miner.rejected, channel.open]).toEqual([[], true]);
    expect(miner.messages).toContain("SetExtranoncePrefix");
  });

  test("takes another list of upstreams over, and its miner mines on for the one that is new", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using first = await SocketUpstream.start(0);
    await using second = await SocketUpstream.start(1);
    for (const upstream of [first, second]) upstream.follow(provider);
    const options = { folder: folder.path, templatePort: provider.port, upstreams: [first.ports] };
    await using client = await RunningClient.ready(options);
    await using miner = await client.miner();
    const channel = await miner.open("extended", "bob");
    await miner.submit(miner.find(channel));
    await eventually(() => expect(first.upstream.credited).toBe(1));
    client.setUpstreams({ upstreams: [second.ports] });
    await eventually(() => expect(client.status()).toMatchObject({ custom_jobs: 2 }));
    await miner.submit(miner.find(channel));
    await eventually(() => expect(second.upstream.credited).toBe(1));
    expect([miner.rejected, channel.open]).toEqual([[], true]);
  });

  test("that was started to mine alone refuses a list of upstreams", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    const options = { folder: folder.path, templatePort: provider.port, mode: "SOLOMINING" } as const;
    await using client = await RunningClient.ready(options);
    expect(() => client.setUpstreams({ mode: "FULLTEMPLATE", upstreams: [[1, 2]] })).toThrow("restart it");
  });

  test("mines alone in solo mode, without a word to anybody but the template provider", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(BLOCK_BITS));
    await using client = await RunningClient.ready({
      folder: folder.path,
      templatePort: provider.port,
      mode: "SOLOMINING",
    });
    await using miner = await client.miner();
    const channel = await miner.open("standard", "bob");
    await miner.submit(miner.find(channel, { block: true }));
    await eventually(() => expect(provider.blocks).toHaveLength(1));
    expect(client.status()).toMatchObject({ mining_for: "solo", blocks_found: 1, upstreams: [] });
  });

  test("stops when its miners have gone and the pool has answered their last shares, and tells it goodbye", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using pool = await SocketUpstream.start(0);
    pool.follow(provider);
    const client = await RunningClient.ready({
      folder: folder.path,
      templatePort: provider.port,
      mode: "COINBASEONLY",
      upstreams: [pool.ports],
    });
    await using miner = await client.miner();
    const channel = await miner.open("extended", "bob");
    await eventually(() => expect(client.status()).toMatchObject({ custom_jobs: 1 }));
    pool.upstream.held.add("SubmitSharesExtended");
    for (let seed = 0; seed < 20; seed += 1) await miner.submit(miner.find(channel, { seed }));
    await eventually(() => expect(pool.upstream.named("SubmitSharesExtended")).toHaveLength(20));
    const stopping = client[Symbol.asyncDispose]();
    expect(await miner.ended).toBeUndefined();
    expect([miner.accepted, miner.messages.at(-1)]).toEqual([20, "Reconnect"]);
    expect(pool.upstream.named("CloseChannel")).toEqual([]);
    pool.upstream.release();
    await stopping;
    expect([pool.upstream.credited, pool.upstream.received.at(-1)?.name]).toEqual([20, "CloseChannel"]);
    expect(await client.metrics()).toMatch(/shares_acknowledged_total 20\n[^]*shares_unanswered_total 0\n/);
  });

  test("waits for a pool that answers nothing no longer than its stop timeout allows", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using pool = await SocketUpstream.start(0);
    pool.follow(provider);
    const client = await RunningClient.ready({
      folder: folder.path,
      templatePort: provider.port,
      mode: "COINBASEONLY",
      upstreams: [pool.ports],
      top: "shutdown_timeout_secs = 0.5",
    });
    await using miner = await client.miner();
    const channel = await miner.open("extended", "bob");
    await eventually(() => expect(client.status()).toMatchObject({ custom_jobs: 1 }));
    pool.upstream.held.add("SubmitSharesExtended");
    await miner.submit(miner.find(channel));
    await eventually(() => expect(pool.upstream.named("SubmitSharesExtended")).toHaveLength(1));
    await client[Symbol.asyncDispose]();
    await eventually(() => expect(pool.upstream.received.at(-1)?.name).toBe("CloseChannel"));
    expect(await client.metrics()).toContain("shares_unanswered_total 1\n");
  });
});
