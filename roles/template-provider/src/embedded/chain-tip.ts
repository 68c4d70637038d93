import { decodeHeader, type Hash, hash, hashFromDisplay, sha256d } from "@adit/bitcoin";

/** The end of a chain: all that the next block's header depends on. */
export interface ChainTip {
  /** Height of the last block; the genesis block has 0. */
  readonly height: number;
  /** Its hash, internal order. */
  readonly hash: Hash;
  /** Header times of the last blocks in Unix seconds, newest last; eleven of them once there are as many. */
  readonly times: readonly number[];
}

/** BIP113 looks at this many blocks. */
const MEDIAN_TIME_SPAN = 11;

/** The genesis block of regtest, from Bitcoin Core's `chainparams.cpp`. */
export const genesisTip: ChainTip = {
  height: 0,
  hash: hashFromDisplay("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
  times: [1_296_688_602],
};

/** The tip once a block with this 80-byte header is on it. */
export function tipAfter(tip: ChainTip, header: Uint8Array): ChainTip {
  const times = [...tip.times, decodeHeader(header).ntime].slice(-MEDIAN_TIME_SPAN);
  return { height: tip.height + 1, hash: hash(sha256d(header)), times };
}

/** Median time past (BIP113) in Unix seconds: the next block's time must be above it. */
export function medianTimePast(tip: ChainTip): number {
  const sorted = tip.times.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The time a miner should start at, in Unix seconds: now, or the earliest valid one while the clock is behind it. */
export function startTime(tip: ChainTip, now: number): number {
  return Math.max(Math.floor(now / 1000), medianTimePast(tip) + 1);
}
