/** Longest worker name that extension 0x0002 carries, in bytes of UTF-8. */
const LONGEST = 32;

/**
 * The worker name in a Stratum V1 user name: what follows the first dot, or all of it when there is none. Cut to 32
 * bytes at a character's boundary; undefined when nothing is left.
 */
export function workerName(userName: string): string | undefined {
  const dot = userName.indexOf(".");
  const name = userName.slice(dot + 1) || userName;
  const encoded = new TextEncoder().encode(name);
  if (encoded.length <= LONGEST) return name === "" ? undefined : name;
  let end = LONGEST;
  // Bytes 10xxxxxx continue a character.
  while (((encoded[end] ?? 0) & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(encoded.subarray(0, end));
}
