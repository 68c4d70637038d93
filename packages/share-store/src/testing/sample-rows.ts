import { randomBytes } from "node:crypto";
import type { BlockRow, ShareRow } from "../share-store.ts";

/** What each sample share counts for; its bits fill the low and the high end of a sum. */
export const SAMPLE_WORK: bigint = 2n ** 200n + 123_456_789n;

/** A share with a new hash. */
export function sampleShare(change: Partial<ShareRow> = {}): ShareRow {
  return {
    hash: new Uint8Array(randomBytes(32)),
    prevHash: new Uint8Array(32).fill(7),
    userIdentity: "user",
    worker: "w1",
    work: SAMPLE_WORK,
    shareDifficulty: 3.5,
    at: 1_700_000_000_000,
    ...change,
  };
}

/** A pending block with a new hash. */
export function sampleBlock(change: Partial<BlockRow> = {}): BlockRow {
  return {
    hash: new Uint8Array(randomBytes(32)),
    height: 101,
    header: new Uint8Array(80),
    coinbase: new Uint8Array(150),
    prevHash: new Uint8Array(32),
    templateId: 2n ** 64n - 1n,
    declaredBy: null,
    userIdentity: "user",
    worker: "",
    foundAt: 5,
    result: "pending",
    resultAt: null,
    ...change,
  };
}
