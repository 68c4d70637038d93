import { hash } from "@adit/bitcoin";
import type { AcceptedShare } from "@adit/channels";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ShareCache } from "./share-cache.ts";

function share(workId: number, shareDifficulty: number): AcceptedShare {
  return {
    connection: 1,
    channelId: 1,
    sequenceNumber: 0,
    hash: hash(new Uint8Array(32)),
    prevHash: hash(new Uint8Array(32)),
    userIdentity: "alice",
    worker: undefined,
    work: 1n as AcceptedShare["work"],
    difficulty: 1,
    shareDifficulty,
    ntime: 0,
    nonce: 0,
    version: 0,
    extranonce: new Uint8Array(),
    isBlock: false,
    jobId: workId,
    workId,
    declaration: undefined,
    receivedAt: 0,
  };
}

const difficulties = (shares: readonly AcceptedShare[]): readonly number[] =>
  shares.map(({ shareDifficulty }) => shareDifficulty);

describe("the share cache", () => {
  test("hands over the shares of one job, best first, and once", () => {
    const cache = new ShareCache();
    for (const difficulty of [3, 9, 1]) cache.add(share(1, difficulty), 0);
    cache.add(share(2, 5), 0);
    expect(difficulties(cache.take(1))).toEqual([9, 3, 1]);
    expect([cache.take(1), cache.size]).toEqual([[], 1]);
  });

  test("forgets shares after a minute", () => {
    const cache = new ShareCache();
    cache.add(share(1, 1), 0);
    cache.add(share(1, 2), 1);
    expect(cache.expire(59_999)).toBe(0);
    expect([cache.expire(60_000), difficulties(cache.take(1))]).toEqual([1, [2]]);
  });

  test("keeps the best shares over all jobs when there are too many, and counts the others", () => {
    const shares = fc.array(fc.record({ workId: fc.nat(3), difficulty: fc.double({ min: 0, max: 1e9, noNaN: true }) }));
    fc.assert(
      fc.property(shares, fc.integer({ min: 1, max: 8 }), (added, max) => {
        const cache = new ShareCache(max);
        let dropped = 0;
        for (const { workId, difficulty } of added) dropped += cache.add(share(workId, difficulty), 0);
        const kept = [0, 1, 2, 3].flatMap((workId) => difficulties(cache.take(workId)));
        const best = added.map(({ difficulty }) => difficulty).toSorted((one, other) => other - one);
        expect(kept.toSorted((one, other) => other - one)).toEqual(best.slice(0, max));
        expect([dropped, cache.size]).toEqual([Math.max(0, added.length - max), 0]);
      }),
    );
  });
});
