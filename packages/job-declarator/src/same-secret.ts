/**
 * Whether two byte strings are the same, in a time that tells nothing of where they differ: for what a client has to know
 * and others must not guess.
 */
export function sameSecret(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (const [at, byte] of one.entries()) difference |= byte ^ (other[at] ?? 0);
  return difference === 0;
}
