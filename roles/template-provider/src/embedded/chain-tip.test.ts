import { encodeHeader, hashFromDisplay, sha256d } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { type ChainTip, genesisTip, medianTimePast, startTime, tipAfter } from "./chain-tip.ts";

const header = (ntime: number): Uint8Array =>
  encodeHeader({
    version: 4,
    prevHash: new Uint8Array(32),
    merkleRoot: new Uint8Array(32),
    ntime,
    nbits: 0x207fffff,
    nonce: 0,
  });

describe("the chain's tip", () => {
  test("starts at the genesis block of regtest, whose header hashes to the tip", () => {
    const genesis = encodeHeader({
      version: 1,
      prevHash: new Uint8Array(32),
      merkleRoot: hashFromDisplay("4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"),
      ntime: 1_296_688_602,
      nbits: 0x207fffff,
      nonce: 2,
    });
    expect(genesisTip).toEqual({ height: 0, hash: sha256d(genesis), times: [1_296_688_602] });
  });

  test("has the median of the last eleven times as its median time past", () => {
    let tip: ChainTip = { height: 0, hash: genesisTip.hash, times: [5] };
    expect(medianTimePast(tip)).toBe(5);
    for (const time of [1, 2, 3, 4, 20, 30, 40, 50, 60, 70, 80, 90]) tip = tipAfter(tip, header(time));
    expect(tip.height).toBe(12);
    expect(tip.times).toEqual([2, 3, 4, 20, 30, 40, 50, 60, 70, 80, 90]);
    expect(medianTimePast(tip)).toBe(40);
  });

  test("starts miners at the present, or after the median while the clock is behind", () => {
    const tip: ChainTip = { height: 0, hash: genesisTip.hash, times: [1000] };
    expect(startTime(tip, 2_000_999)).toBe(2000);
    expect(startTime(tip, 900_000)).toBe(1001);
  });
});
