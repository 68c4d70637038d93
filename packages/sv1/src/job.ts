import { fromHex, type Hash, hash, hex } from "@adit/bitcoin";
import { uint32Hex } from "./hex-field.ts";

/** Work for one miner, as `mining.notify` carries it. */
export interface Sv1Job {
  /** Unique for the life of the connection: firmware ignores a job whose id it has seen. */
  readonly id: string;
  /** Hash of the block built upon, in internal order. */
  readonly prevHash: Hash;
  /** Coinbase without witness, up to the extranonce. */
  readonly coinb1: Uint8Array;
  /** Coinbase without witness, from the end of the extranonce. May start with filler that the miner shall not roll. */
  readonly coinb2: Uint8Array;
  /** Sibling hashes from the coinbase up, deepest first. */
  readonly merklePath: readonly Hash[];
  /** Block version before any rolling. */
  readonly version: number;
  /** Compact target of the block. */
  readonly nbits: number;
  /** Earliest timestamp a share may carry, in seconds since 1970. */
  readonly ntime: number;
  /** True: the miner must drop what it works on. */
  readonly clean: boolean;
  /** Whatever the host wants back with a share of this job. Never looked at here. */
  readonly upstream: unknown;
}

const WORD = 4;

/** Most seconds a job's time is moved on, as much as a share's time may lead its job's. */
const LONGEST_ROLL_SEC = 7200;

/**
 * A job that repeats another one to keep a miner's connection alive: miners drop a pool that is silent for a minute.
 * Derive it from the original job, with the seconds since that was made: time moves on and is never rewound.
 */
export function keepAliveJob(original: Sv1Job, options: { readonly id: string; readonly elapsedSec: number }): Sv1Job {
  const elapsed = Math.min(Math.max(Math.floor(options.elapsedSec), 0), LONGEST_ROLL_SEC);
  return { ...original, id: options.id, ntime: original.ntime + elapsed, clean: false };
}

/** The coinbase without witness that a miner hashed. */
export function coinbaseOf(
  job: Pick<Sv1Job, "coinb1" | "coinb2">,
  extranonce1: Uint8Array,
  extranonce2: Uint8Array,
): Uint8Array {
  const parts = [job.coinb1, extranonce1, extranonce2, job.coinb2];
  const coinbase = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    coinbase.set(part, at);
    at += part.length;
  }
  return coinbase;
}

/** A previous hash (internal order) as `mining.notify` spells it: each of its eight 4-byte words turned around. */
export function prevHashToSv1(prevHash: Uint8Array): string {
  return hex(swapWords(prevHash));
}

/** The inverse of `prevHashToSv1`. Throws `BitcoinError` or `RangeError` for what is no 64 hex digits. */
export function prevHashFromSv1(text: string): Hash {
  return hash(swapWords(fromHex(text)));
}

/** The params of `mining.notify` as JSON text: nine of them, all hex fields padded. */
export function notifyParams(job: Sv1Job, version: number, clean: boolean): string {
  const branches = job.merklePath.map((branch) => `"${hex(branch)}"`).join(",");
  const numbers = [version, job.nbits, job.ntime].map((value) => `"${uint32Hex(value)}"`).join(",");
  const coinbase = `"${hex(job.coinb1)}","${hex(job.coinb2)}"`;
  return `[${JSON.stringify(job.id)},"${prevHashToSv1(job.prevHash)}",${coinbase},[${branches}],${numbers},${clean}]`;
}

function swapWords(bytes: Uint8Array): Uint8Array {
  const swapped = bytes.slice();
  for (let at = 0; at < swapped.length; at += WORD) swapped.subarray(at, at + WORD).reverse();
  return swapped;
}
