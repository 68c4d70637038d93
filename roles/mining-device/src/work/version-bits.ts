/** How many versions a mask allows: two to the number of its bits. */
export function versionCount(mask: number): number {
  let bits = 0;
  for (let rest = mask >>> 0; rest !== 0; rest >>>= 1) bits += rest & 1;
  return 2 ** bits;
}

/** `version` with its bits in `mask` replaced by the low bits of `index`, lowest first. Unsigned. */
export function rolledVersion(version: number, mask: number, index: number): number {
  let rolled = version & ~mask;
  let rest = index;
  for (let bit = 0; bit < 32; bit++) {
    if (((mask >>> bit) & 1) === 0) continue;
    rolled |= (rest & 1) << bit;
    rest >>>= 1;
  }
  return rolled >>> 0;
}
