/**
 * Work is a 256-bit integer and SQLite adds 64-bit ones. A sum is therefore kept in limbs of 40 bits, each in a column
 * of its own, so that SQL can add exactly: a column overflows only after 2^23 rows were added to it.
 */
const LIMB_BITS = 40n;
const LIMB_MASK = (1n << LIMB_BITS) - 1n;

/** Column names of the limbs, least significant first. Seven limbs hold 280 bits. */
export const limbColumns = ["w0", "w1", "w2", "w3", "w4", "w5", "w6"] as const;

/** The columns of one sum. */
export type Limbs = Record<(typeof limbColumns)[number], number>;

/** Splits a sum into its columns. @throws RangeError when it is negative or wider than 280 bits. */
export function toLimbs(sum: bigint): Limbs {
  if (sum < 0n || sum >> (LIMB_BITS * BigInt(limbColumns.length)) !== 0n) throw new RangeError("work out of range");
  const limbs: Partial<Limbs> = {};
  limbColumns.forEach((column, index) => {
    limbs[column] = Number((sum >> (LIMB_BITS * BigInt(index))) & LIMB_MASK);
  });
  return limbs as Limbs;
}

/** Joins columns back, whatever carries the additions left in them. */
export function fromLimbs(limbs: Limbs): bigint {
  return limbColumns.reduce((sum, column, index) => sum + (BigInt(limbs[column]) << (LIMB_BITS * BigInt(index))), 0n);
}
