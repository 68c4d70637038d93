import type { Brand } from "./brand.ts";
import { hex } from "./hex.ts";

/** The largest number a hash may be to count. Larger is easier. From 1 to 2^256 - 1. */
export type Target = Brand<bigint, "Target">;

/** Expected number of hashes. Adds up exactly. */
export type Work = Brand<bigint, "Work">;

const TWO_256 = 1n << 256n;

/**
 * Marks a number as a target.
 *
 * @throws RangeError outside 1 to 2^256 - 1.
 */
export function target(value: bigint): Target {
  if (value < 1n || value >= TWO_256) throw new RangeError("a target lies between 1 and 2^256 - 1");
  return value as Target;
}

/** The easiest target: every hash meets it. */
export const MAX_TARGET: Target = target(TWO_256 - 1n);

/** The target that has difficulty 1: 0xffff * 2^208, compact 0x1d00ffff. */
export const DIFFICULTY_1: Target = target(0xffffn << 208n);

/**
 * Reads a target from 32 little-endian bytes (U256 on the wire).
 *
 * @throws RangeError when there are not 32 bytes, or all are zero.
 */
export function targetFromBytes(le: Uint8Array): Target {
  if (le.length !== 32) throw new RangeError(`a target has 32 bytes, not ${le.length}`);
  return target(BigInt(`0x${hex(le.toReversed())}`));
}

/** The target as 32 little-endian bytes (U256 on the wire). */
export function targetToBytes(target: Target): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let word = 0; word < 4; word++) {
    view.setBigUint64(word * 8, BigInt.asUintN(64, target >> BigInt(word * 64)), true);
  }
  return bytes;
}

/**
 * Reads the compact form of a block header (`nBits`), by the rules of Bitcoin Core's `arith_uint256::SetCompact`.
 *
 * @throws RangeError where Core refuses the block: a negative, zero or overflowing target.
 */
export function targetFromBits(nbits: number): Target {
  const size = nbits >>> 24;
  const digits = BigInt(nbits & 0x007fffff);
  const value = size <= 3 ? digits >> BigInt(8 * (3 - size)) : digits << BigInt(8 * (size - 3));
  const name = `compact target 0x${(nbits >>> 0).toString(16).padStart(8, "0")}`;
  if (value === 0n) throw new RangeError(`${name} is zero`);
  if ((nbits & 0x00800000) !== 0) throw new RangeError(`${name} is negative`);
  if (value >= TWO_256) throw new RangeError(`${name} does not fit in 256 bits`);
  return target(value);
}

/** The compact form of a target, its low bits cut off, as Bitcoin Core's `arith_uint256::GetCompact`. Unsigned. */
export function bitsFromTarget(target: Target): number {
  let size = Math.ceil(bitLength(target) / 8);
  let digits = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)));
  // The highest digit bit is a sign, so a number that has it set moves down one byte.
  if ((digits & 0x00800000) !== 0) {
    digits >>= 8;
    size += 1;
  }
  return ((size << 24) | digits) >>> 0;
}

/**
 * Whether a hash (internal order) is at or below a target (32 little-endian bytes): one comparison a share, no bigint.
 *
 * @throws RangeError when either is not 32 bytes.
 */
export function meetsTarget(hash: Uint8Array, targetBytes: Uint8Array): boolean {
  if (hash.length !== 32 || targetBytes.length !== 32) throw new RangeError("a hash and a target have 32 bytes each");
  for (let at = 31; at >= 0; at--) {
    const difference = (hash[at] ?? 0) - (targetBytes[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return true;
}

/** Expected number of hashes to meet a target: floor(2^256 / (target + 1)), as Bitcoin Core's `GetBlockProof`. */
export function workOf(target: Target): Work {
  return (TWO_256 / (target + 1n)) as Work;
}

/**
 * {@link DIFFICULTY_1} divided by the target, for people and for Stratum V1.
 *
 * Rounded down, so `targetFromDifficulty(difficultyOf(t)) >= t`: a miner told this difficulty is never asked for more
 * than the target asks.
 */
export function difficultyOf(target: Target): number {
  return floorToNumber({ numerator: DIFFICULTY_1, denominator: target });
}

/**
 * The target of a difficulty: floor({@link DIFFICULTY_1} / difficulty).
 *
 * A double is an exact binary fraction and the division is done in integers. As hashes are whole numbers, exactly the
 * hashes that have at least this difficulty meet the result. It is kept between 1 and {@link MAX_TARGET}.
 *
 * @throws RangeError unless the difficulty is finite and above zero.
 */
export function targetFromDifficulty(difficulty: number): Target {
  const { numerator, denominator } = fractionOf(difficulty, "a difficulty");
  return clamped((DIFFICULTY_1 * denominator) / numerator);
}

/**
 * The target at which a hashrate (hashes a second) finds `sharesPerMinute` shares on average:
 * (2^256 - h) / (h + 1) with h = hashrate * 60 / sharesPerMinute hashes a share (spec 5.3.2, `nominal_hash_rate`).
 *
 * @throws RangeError unless both are finite and above zero.
 */
export function targetFromHashrate(hashrate: number, sharesPerMinute: number): Target {
  const rate = fractionOf(hashrate, "a hashrate");
  const shares = fractionOf(sharesPerMinute, "a number of shares a minute");
  const numerator = rate.numerator * 60n * shares.denominator;
  const denominator = rate.denominator * shares.numerator;
  return clamped((TWO_256 * denominator - numerator) / (numerator + denominator));
}

/**
 * The hashrate (hashes a second) that finds `sharesPerMinute` shares at a target: the inverse of
 * {@link targetFromHashrate}, rounded down.
 *
 * @throws RangeError unless `sharesPerMinute` is finite and above zero.
 */
export function hashrateFromTarget(target: Target, sharesPerMinute: number): number {
  const shares = fractionOf(sharesPerMinute, "a number of shares a minute");
  return floorToNumber({
    numerator: (TWO_256 - target) * shares.numerator,
    denominator: (target + 1n) * 60n * shares.denominator,
  });
}

function clamped(value: bigint): Target {
  if (value < 1n) return target(1n);
  return value > MAX_TARGET ? MAX_TARGET : target(value);
}

interface Fraction {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** The exact value of a positive IEEE 754 double: mantissa * 2^(exponent - 1075). */
function fractionOf(value: number, name: string): Fraction {
  if (!Number.isFinite(value) || value <= 0) throw new RangeError(`${name} is a finite number above 0, not ${value}`);
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const mantissa = BigInt.asUintN(52, bits) | (biased === 0 ? 0n : 1n << 52n);
  const exponent = Math.max(biased, 1) - 1075;
  return exponent < 0
    ? { numerator: mantissa, denominator: 1n << BigInt(-exponent) }
    : { numerator: mantissa << BigInt(exponent), denominator: 1n };
}

/** The largest double of 53 significant bits that is not above the fraction. */
function floorToNumber({ numerator, denominator }: Fraction): number {
  const shift = 53 - bitLength(numerator) + bitLength(denominator);
  const quotient =
    shift >= 0 ? (numerator << BigInt(shift)) / denominator : numerator / (denominator << BigInt(-shift));
  const excess = bitLength(quotient) - 53;
  return Number(quotient >> BigInt(excess)) * 2 ** (excess - shift);
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}
