import { sha256 } from "@noble/hashes/sha2.js";
import type { Brand } from "./brand.ts";
import { BitcoinError } from "./errors.ts";
import { fromHex, hex } from "./hex.ts";

/** A 32-byte SHA-256d in internal order: as the hash puts it out and as it travels; little-endian as a number. */
export type Hash = Brand<Uint8Array, "Hash">;

/**
 * Marks 32 bytes in internal order as a hash. No copy.
 *
 * @throws RangeError when there are not 32 bytes.
 */
export function hash(bytes: Uint8Array): Hash {
  if (bytes.length !== 32) throw new RangeError(`a hash has 32 bytes, not ${bytes.length}`);
  return bytes as Hash;
}

/** The hash as explorers and Bitcoin Core print it: hexadecimal, bytes reversed. */
export function displayHash(hash: Uint8Array): string {
  return hex(hash.toReversed());
}

/**
 * Reads a hash as explorers and Bitcoin Core print it.
 *
 * @throws BitcoinError `bad-hash` unless the text is 64 hexadecimal digits.
 */
export function hashFromDisplay(text: string): Hash {
  if (text.length !== 64) throw new BitcoinError("bad-hash", `a hash has 64 hexadecimal digits, not ${text.length}`);
  try {
    return hash(fromHex(text).toReversed());
  } catch (cause) {
    throw new BitcoinError("bad-hash", "a hash has only hexadecimal digits", { cause });
  }
}

/** SHA-256 of the SHA-256 of `data`, in internal order. */
export function sha256d(data: Uint8Array): Hash {
  return hash(sha256(sha256(data)));
}
