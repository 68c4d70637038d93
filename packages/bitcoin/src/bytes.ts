export { concatBytes } from "@noble/hashes/utils.js";

/** Whether two byte strings are the same. For what is no secret: it stops at the first difference. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
