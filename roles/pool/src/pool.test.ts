import { existsSync } from "node:fs";
import { hex } from "@adit/bitcoin";
import { dialect, REQUIRES_STANDARD_JOBS, REQUIRES_VERSION_ROLLING, REQUIRES_WORK_SELECTION } from "@adit/codec";
import { BLOCK_BITS, type FoundWork, HARD_BITS, newChain, TemplateServer } from "@adit/mining-shell/testing";
import { openSqliteStore, type ShareStore, ShareStoreError, type SqliteStoreOptions } from "@adit/share-store";
import { describe, expect, test, vi } from "vitest";
import { loopbackNode, RunningPool, temporaryFolder } from "./testing/running-pool.ts";

/** The real store, with each append and its outcome noted. */
function watchedStore(events: string[]): (options: SqliteStoreOptions) => Promise<ShareStore> {
  return async (options) => {
    const store = await openSqliteStore(options);
    const append: ShareStore["append"] = async (share) => {
      events.push("appended");
      const result = await store.append(share);
      events.push(result);
      return result;
    };
    return new Proxy(store, {
      get: (target, key) => {
        if (key === "append") return append;
        const member: unknown = Reflect.get(target, key);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  };
}

/** A store that takes blocks and no shares, as when its disk is full. */
function fullStore(state: { full: boolean }): (options: SqliteStoreOptions) => Promise<ShareStore> {
  return async (options) => {
    const store = await openSqliteStore(options);
    const fault = (): Promise<never> => Promise.reject(new ShareStoreError("disk-full", "no space left"));
    return new Proxy(store, {
      get: (target, key) => {
        if (state.full && (key === "append" || key === "recordBlock")) return fault;
        if (key === "stats") return () => ({ ...target.stats(), durable: !state.full });
        const member: unknown = Reflect.get(target, key);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  };
}

async function storedAfter(folder: string): Promise<{ readonly shares: number; readonly blocks: readonly string[] }> {
  await using store = await openSqliteStore({ path: `${folder}/shares.db` });
  const { shares } = await store.totals();
  return { shares, blocks: (await store.blocks(100)).map(({ hash, result }) => `${hex(hash)} ${result}`) };
}

/** For what has no message of its own to wait for. */
async function eventually(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 10_000, interval: 10 });
}

describe("a pool", () => {
  test("serves standard, extended and grouped channels over TCP and Iroh at once, in one status", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using pool = await RunningPool.ready({ folder: folder.path, templatePort: provider.port, transport: "dual" });
    await using node = await loopbackNode();
    await using overTcp = await pool.miner();
    await using overIroh = await pool.irohMiner(node);
    await using headerOnly = await pool.irohMiner(node, { flags: REQUIRES_STANDARD_JOBS });
    const channels = [
      await overTcp.open("standard", "a"),
      await overTcp.open("extended", "b"),
      await overIroh.open("extended", "c"),
      await headerOnly.open("standard", "d"),
    ];
    const miners = [overTcp, overTcp, overIroh, headerOnly];
    for (const [index, channel] of channels.entries()) await miners[index]!.submit(miners[index]!.find(channel));
    provider.raiseFees();
    await Promise.all(
      channels.map((channel, index) => miners[index]!.until(() => (channel.activeJob?.jobId ?? 0) > 1)),
    );
    await eventually(() => expect(pool.status()).toMatchObject({ shares_accepted: 4 }));
    const status = pool.status();
    expect(status["channels"]).toEqual(
      ["tcp", "tcp", "iroh", "iroh"].map((transport, index) =>
        expect.objectContaining({ transport, user_identity: "abcd"[index], shares_accepted: 1 }),
      ),
    );
    expect(channels.map(({ groupChannelId }) => groupChannelId)).toEqual([1, 1, 1, 0]);
    // One for the extended channel when it was opened, and one for the whole group.
    expect(overTcp.messages.filter((name) => name === "NewExtendedMiningJob").length).toBe(2);
    expect(status["template_provider"]).toMatchObject({ state: "connected", transport: "tcp", height: 101 });
    expect(provider.constraints).toBe(1);
  });

  test("acknowledges a share only after the commit that holds it", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    const events: string[] = [];
    await using pool = await RunningPool.ready({
      folder: folder.path,
      templatePort: provider.port,
      top: "share_commit_interval_ms = 300\nshare_batch_size = 5",
      surroundings: { openStore: watchedStore(events) },
    });
    await using miner = await pool.miner();
    const channel = await miner.open("extended", "a");
    const works = Array.from({ length: 10 }, (_, seed) => miner.find(channel, { seed }));
    const started = performance.now();
    for (const work of works) await miner.submit(work);
    const seen: { readonly acknowledged: number; readonly recorded: number }[] = [];
    await miner.until(() => {
      const recorded = events.filter((event) => event === "recorded").length;
      seen.push({ acknowledged: miner.accepted, recorded });
      return miner.accepted === 10;
    });
    // A timer may fire a millisecond early.
    expect(performance.now() - started).toBeGreaterThan(298);
    expect(seen.filter(({ acknowledged, recorded }) => acknowledged > recorded)).toEqual([]);
    expect(miner.rejected).toEqual([]);
  });

  test("credits a share once, whoever sends it again and over whatever transport", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    {
      await using pool = await RunningPool.ready({
        folder: folder.path,
        templatePort: provider.port,
        transport: "dual",
        minHashrate: 65_536,
        top: "share_batch_size = 1",
      });
      await using node = await loopbackNode();
      await using overTcp = await pool.miner();
      await using overIroh = await pool.irohMiner(node);
      const work = overTcp.find(await overTcp.open("extended", "a"));
      await overIroh.open("extended", "b");
      await overTcp.submit(work);
      await overTcp.until(() => overTcp.accepted === 1);
      await overTcp.submit(work);
      await overIroh.submit(work);
      await overTcp.until(() => overTcp.rejected.length === 1);
      await overIroh.until(() => overIroh.rejected.length === 1);
      expect(overTcp.rejected).toEqual(["duplicate-share"]);
      // Another channel has another extranonce prefix, so there it is another header, and no work at all.
      expect(overIroh.rejected).toEqual(["difficulty-too-low"]);
    }
    expect((await storedAfter(folder.path)).shares).toBe(1);
  });

  test("refuses a share of before its restart as a duplicate", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    // The same first extranonce index each time: the worst case, which chance makes rare.
    const options = { folder: folder.path, templatePort: provider.port, top: "share_batch_size = 1" };
    let work: FoundWork;
    {
      await using pool = await RunningPool.ready(options);
      await using miner = await pool.miner();
      work = miner.find(await miner.open("extended", "a"));
      await miner.submit(work);
      await miner.until(() => miner.accepted === 1);
    }
    {
      await using pool = await RunningPool.ready(options);
      await using miner = await pool.miner();
      await miner.open("extended", "a");
      await miner.submit(work);
      await miner.until(() => miner.messages.includes("SubmitSharesError"));
      expect(pool.status()).toMatchObject({ shares_accepted: 0, shares_rejected_by_reason: { "duplicate-share": 1 } });
    }
    expect((await storedAfter(folder.path)).shares).toBe(1);
  });

  test("hands a block over at once, records it as accepted when the chain builds on it, and shows its coinbase", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(BLOCK_BITS));
    const events: string[] = [];
    let work: FoundWork | undefined;
    {
      await using pool = await RunningPool.ready({
        folder: folder.path,
        templatePort: provider.port,
        surroundings: { openStore: watchedStore(events) },
      });
      await using miner = await pool.miner({ workers: true });
      const channel = await miner.open("extended", "payee");
      work = miner.find(channel, { block: true });
      await miner.submit(work, "rig-1");
      await miner.until(() => miner.accepted === 1);
      await eventually(() => expect(pool.status()["last_block"]).toMatchObject({ result: "accepted" }));
      expect(provider.faults).toEqual([]);
      expect(provider.blocks).toEqual([hex(work.hash)]);
      expect(pool.status()).toMatchObject({
        blocks_found: 1,
        last_block: {
          height: 101,
          user_identity: "payee",
          worker: "rig-1",
          coinbase: {
            height: 101,
            tag: "Adit",
            outputs: [
              { value: "5000000000", address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080" },
              { type: "witness-commitment" },
            ],
          },
        },
      });
      const exposed = await pool.metrics.expose();
      expect(exposed.body).toContain('sv2_pool_blocks_settled_total{result="accepted"} 1');
    }
    expect(await storedAfter(folder.path)).toEqual({ shares: 1, blocks: [`${hex(work.hash)} accepted`] });
  });

  test("keeps its miners while the template provider is away, and gives them new work when it is back", async () => {
    await using folder = await temporaryFolder();
    const chain = newChain(HARD_BITS);
    const provider = await TemplateServer.start(chain);
    const { port } = provider;
    await using pool = await RunningPool.ready({
      folder: folder.path,
      templatePort: port,
      top: "share_batch_size = 1",
    });
    await using miner = await pool.miner();
    const channel = await miner.open("extended", "a");
    await provider[Symbol.asyncDispose]();
    await pool.untilNotReady();
    await miner.submit(miner.find(channel));
    await miner.until(() => miner.accepted === 1);
    chain.height += 1;
    chain.tip = new Uint8Array(32).fill(9);
    await using _again = await TemplateServer.start(chain, { port });
    await miner.until(() => channel.activeJob?.prevHash[0] === 9);
    await miner.submit(miner.find(channel));
    await miner.until(() => miner.accepted === 2);
    await pool.untilReady();
  });

  test("submits a block again that was found while the template provider was away", async () => {
    await using folder = await temporaryFolder();
    const chain = newChain(BLOCK_BITS);
    const provider = await TemplateServer.start(chain);
    const { port } = provider;
    await using pool = await RunningPool.ready({ folder: folder.path, templatePort: port });
    await using miner = await pool.miner();
    const channel = await miner.open("extended", "a");
    await provider[Symbol.asyncDispose]();
    await pool.untilNotReady();
    const work = miner.find(channel, { block: true });
    await miner.submit(work);
    await miner.until(() => miner.accepted === 1);
    // The provider numbers its templates anew: only their merkle roots tell which one it was.
    await using again = await TemplateServer.start(chain, { port, firstId: 77n });
    await eventually(() => expect(again.blocks).toEqual([hex(work.hash)]));
    await eventually(() => expect(pool.status()["last_block"]).toMatchObject({ result: "accepted" }));
  });

  test("submits a block again that was pending when the pool was restarted", async () => {
    await using folder = await temporaryFolder();
    const chain = newChain(BLOCK_BITS);
    const provider = await TemplateServer.start(chain);
    const { port } = provider;
    let work: FoundWork;
    {
      await using pool = await RunningPool.ready({ folder: folder.path, templatePort: port });
      await using miner = await pool.miner();
      const channel = await miner.open("standard", "a");
      await provider[Symbol.asyncDispose]();
      await pool.untilNotReady();
      work = miner.find(channel, { block: true });
      await miner.submit(work);
      await miner.until(() => miner.accepted === 1);
    }
    expect((await storedAfter(folder.path)).blocks).toEqual([`${hex(work.hash)} pending`]);
    await using again = await TemplateServer.start(chain, { port, firstId: 50n });
    {
      await using pool = await RunningPool.ready({ folder: folder.path, templatePort: port });
      await eventually(() => expect(again.blocks).toEqual([hex(work.hash)]));
      await eventually(() => expect(pool.status()["last_block"]).toMatchObject({ result: "accepted" }));
    }
    expect((await storedAfter(folder.path)).blocks).toEqual([`${hex(work.hash)} accepted`]);
  });

  test("records a block after a restart that was submitted and never got into the store", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(BLOCK_BITS));
    let work: FoundWork;
    {
      const state = { full: false };
      const surroundings = { openStore: fullStore(state) };
      await using pool = await RunningPool.ready({ folder: folder.path, templatePort: provider.port, surroundings });
      await using miner = await pool.miner();
      const channel = await miner.open("extended", "finder");
      state.full = true;
      work = miner.find(channel, { block: true });
      await miner.submit(work);
      await eventually(() => expect(provider.blocks).toEqual([hex(work.hash)]));
    }
    expect((await storedAfter(folder.path)).blocks).toEqual([]);
    {
      await using pool = await RunningPool.ready({ folder: folder.path, templatePort: provider.port });
      await eventually(() => expect(pool.status()["last_block"]).toMatchObject({ result: "accepted" }));
    }
    expect((await storedAfter(folder.path)).blocks).toEqual([`${hex(work.hash)} accepted`]);
    expect(existsSync(`${folder.path}/shares.db-blocks`)).toBe(false);
  });

  test("answers what is wrong with the specification's errors, and nobody else notices", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using pool = await RunningPool.ready({
      folder: folder.path,
      templatePort: provider.port,
      minHashrate: 65_536,
      top: "share_batch_size = 1",
    });
    await using good = await pool.miner();
    const goodChannel = await good.open("extended", "good");
    await using bad = await pool.miner();
    const channel = await bad.open("extended", "bad");
    const { message } = bad.find(channel);
    const share = { ...message, name: "SubmitSharesExtended", extranonce: new Uint8Array(16) } as const;
    const wrong = [
      [{ ...share, channelId: 99 }, "invalid-channel-id"],
      [{ ...share, jobId: 9999 }, "invalid-job-id"],
      [{ ...share, extranonce: new Uint8Array(5) }, "bad-extranonce-size"],
      [{ ...share, ntime: 1 }, "invalid-share"],
      [{ ...share, nonce: share.nonce + 1 }, "difficulty-too-low"],
    ] as const;
    for (const [submit] of wrong) await bad.connection.write(submit);
    await bad.until(() => bad.messages.filter((name) => name === "SubmitSharesError").length === wrong.length);
    await eventually(() =>
      expect(pool.status()["shares_rejected_by_reason"]).toEqual(
        Object.fromEntries(wrong.map(([, errorCode]) => [errorCode, 1])),
      ),
    );
    // A payload that ends in the middle of a field, then one larger than any message of a miner.
    const frame = dialect("mining").encode(share);
    const short = frame.slice(0, 20);
    short[3] = 14;
    await bad.connection.writeFrames([short]);
    expect((await bad.ended)?.name).toBe("NetworkError");
    await using large = await pool.miner();
    const oversized = new Uint8Array(6 + 600);
    oversized.set([0, 0x80, 0x1b, 600 & 0xff, 600 >> 8, 0]);
    await large.connection.writeFrames([oversized]);
    expect((await large.ended)?.name).toBe("NetworkError");
    await good.submit(good.find(goodChannel));
    await good.until(() => good.accepted === 1);
    expect(good.rejected).toEqual([]);
    expect(pool.status()["channels"]).toHaveLength(1);
  });

  test("refuses work selection by its flag and grants version rolling", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using pool = await RunningPool.ready({ folder: folder.path, templatePort: provider.port });
    await using rolling = await pool.miner({ flags: REQUIRES_VERSION_ROLLING });
    expect(rolling.connection.accepted.flags).toBe(0);
    await expect(pool.miner({ flags: REQUIRES_WORK_SELECTION })).rejects.toMatchObject({ code: "setup-refused" });
  });

  test("has in its store exactly the shares it acknowledged, after a burst of a thousand and a drain", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    const pool = await RunningPool.ready({ folder: folder.path, templatePort: provider.port });
    await using miner = await pool.miner();
    const channel = await miner.open("extended", "a");
    const works = Array.from({ length: 1003 }, (_, seed) => miner.find(channel, { seed }));
    await Promise.all(works.map((work) => miner.submit(work)));
    await eventually(() => expect(pool.status()).toMatchObject({ shares_accepted: 1003 }));
    await pool[Symbol.asyncDispose]();
    expect(await miner.ended).toBeUndefined();
    // The last three shares filled no batch: they were acknowledged by the drain.
    expect(miner.accepted).toBe(1003);
    expect(miner.rejected).toEqual([]);
    expect(miner.events.at(-1)).toEqual({ type: "reconnect", host: "", port: 0 });
    expect((await storedAfter(folder.path)).shares).toBe(1003);
  });

  test("refuses shares that it cannot record, submits blocks all the same, and is not ready meanwhile", async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(BLOCK_BITS));
    const state = { full: false };
    let work: FoundWork;
    {
      await using pool = await RunningPool.ready({
        folder: folder.path,
        templatePort: provider.port,
        top: "share_batch_size = 1",
        surroundings: { openStore: fullStore(state) },
      });
      await using miner = await pool.miner();
      const channel = await miner.open("extended", "a");
      state.full = true;
      work = miner.find(channel, { block: true });
      await miner.submit(work);
      await miner.until(() => miner.rejected.length === 1);
      expect(miner.rejected).toEqual(["share-not-recorded"]);
      await eventually(() => expect(provider.blocks).toEqual([hex(work.hash)]));
      await pool.untilNotReady();
      expect(pool.status()["share_store"]).toMatchObject({ durable: false });
      state.full = false;
      await pool.untilReady();
      await miner.until(() => channel.activeJob?.prevHash[0] === work.hash[0]);
      await miner.submit(miner.find(channel, { seed: 7 }));
      await miner.until(() => miner.accepted === 1);
    }
    expect(await storedAfter(folder.path)).toMatchObject({
      shares: 1,
      blocks: expect.arrayContaining([`${hex(work.hash)} accepted`]) as string[],
    });
  });

  test("does not let miners in before there is work, and says why it is not ready", async () => {
    await using folder = await temporaryFolder();
    await using pool = new RunningPool({ folder: folder.path, templatePort: 1 });
    while (!/^no template provider: .*127\.0\.0\.1:1/.test(pool.readiness.at(-1) ?? "")) await pool.readinessChange();
    expect(pool.status()).toMatchObject({ listeners: [], template_provider: { state: "waiting" } });
  });
});
