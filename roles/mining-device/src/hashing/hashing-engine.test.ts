import { decodeHeader, encodeHeader, meetsTarget, pureHashing } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { testWork } from "../work/testing/test-work.ts";
import type { Share, Work } from "../work/work.ts";
import { HashingEngine } from "./hashing-engine.ts";

const signal = AbortSignal.timeout(25_000);
/** One hash in 2^12 meets it. */
const EASY = new Uint8Array(32).fill(0xff);
EASY.set([0x0f, 0x00], 30);

const start = (options: { threads?: number; hashrateLimit?: number } = {}): Promise<HashingEngine> =>
  HashingEngine.start({ threads: 1, hashrateLimit: 0, random: () => 0.3, ...options }, { signal });

/** The work with performance.now() as its clock. */
const work = (changes: Partial<Work> = {}): Work =>
  testWork({ target: EASY, receivedAt: performance.now(), ...changes });

function hashOf({ work, extranonce, version, ntime, nonce }: Share): Uint8Array {
  const { prevHash, nbits } = work;
  return pureHashing.headerHash(
    encodeHeader({ version, prevHash, merkleRoot: work.merkleRoot(extranonce), ntime, nbits, nonce }),
  );
}

/** Resolves with the shares once there are `count`. */
function collect(count: number): { readonly shares: Promise<readonly Share[]>; readonly take: (share: Share) => void } {
  const found: Share[] = [];
  let done: (shares: readonly Share[]) => void = () => {};
  const shares = new Promise<readonly Share[]>((resolve) => {
    done = resolve;
  });
  const take = (share: Share): void => {
    found.push(share);
    if (found.length === count) done(found);
  };
  return { shares, take };
}

describe("a hashing engine", () => {
  test("finds shares that meet the target when hashed again, none twice, in all its threads", async () => {
    await using engine = await start({ threads: 2 });
    const { shares, take } = collect(100);
    using source = engine.attach(take);
    source.work(work());
    const found = (await shares).slice(0, 100);
    for (const share of found) expect(meetsTarget(hashOf(share), EASY)).toBe(true);
    expect(new Set(found.map((share) => hashOf(share).join())).size).toBe(found.length);
    expect(engine.hashes).toBeGreaterThan(0);
  });

  test("gives each connection's shares to that connection, with the work they were found for", async () => {
    await using engine = await start();
    const [one, two] = [collect(10), collect(10)];
    using first = engine.attach(one.take);
    using second = engine.attach(two.take);
    first.work(work({ job: "one" }));
    second.work(work({ job: "two", prevHash: new Uint8Array(32).fill(9) }));
    expect(new Set((await one.shares).map((share) => share.work.job))).toEqual(new Set(["one"]));
    expect(new Set((await two.shares).map((share) => share.work.job))).toEqual(new Set(["two"]));
  });

  test("stops at once when the tip changes: nothing of the old epoch comes out", async () => {
    await using engine = await start();
    let epoch = 0;
    const wrong: Share[] = [];
    const { shares, take } = collect(50);
    using source = engine.attach((share) => {
      if (share.work.epoch !== epoch) wrong.push(share);
      take(share);
      if (engine.hashes > 0 && epoch < 20) source.work(work({ epoch: ++epoch }));
    });
    source.work(work());
    await shares;
    expect(wrong).toEqual([]);
  });

  test("rests while paused or without work, and starts over when told", async () => {
    await using engine = await start();
    const one = collect(1);
    const two = collect(200);
    using source = engine.attach((share) => {
      one.take(share);
      two.take(share);
    });
    source.work(work());
    await one.shares;
    source.pause();
    source.noWork();
    source.work(work({ epoch: 1 }));
    source.resume();
    expect((await two.shares).length).toBeGreaterThanOrEqual(200);
  });

  test("holds a hashrate limit", async () => {
    await using engine = await start({ threads: 2, hashrateLimit: 200_000 });
    expect(await engine.measure(2_000, { signal })).toBeGreaterThan(150_000);
    expect(engine.hashrate()).toBeLessThan(260_000);
  });

  test("says a low limit is its hashrate without measuring", async () => {
    await using engine = await start({ hashrateLimit: 20 });
    expect(await engine.measure(60_000, { signal })).toBe(20);
  });

  test("ends its threads when disposed, busy or asleep", async () => {
    const engine = await start({ threads: 2 });
    const source = engine.attach(() => {});
    source.work(work({ target: new Uint8Array(32) }));
    await engine[Symbol.asyncDispose]();
    const { hashes } = engine;
    source[Symbol.dispose]();
    expect(engine.hashes).toBe(hashes);
    expect(decodeHeader(new Uint8Array(80)).nonce).toBe(0);
  });

  test("does not start when told to stop", async () => {
    const stopped = AbortSignal.abort(new Error("stopped"));
    await expect(
      HashingEngine.start({ threads: 1, hashrateLimit: 0, random: () => 0 }, { signal: stopped }),
    ).rejects.toThrow("stopped");
  });
});
