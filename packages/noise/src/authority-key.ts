import { schnorr, secp256k1 } from "@noble/curves/secp256k1.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "@noble/hashes/utils.js";
import { createBase58check } from "@scure/base";
import { EVEN_Y, KEY_SIZE } from "./elligator-swift.ts";
import { NoiseError } from "./errors.ts";

/** The authority public key in the reference implementation's example configurations; its secret key is public as well. */
export const DEMO_AUTHORITY_PUBLIC_KEY: string = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

/** Version 1 as a little-endian U16 (spec 4.7). */
const VERSION_PREFIX = Uint8Array.of(1, 0);

const base58check = createBase58check(sha256);

/** The text form of an authority public key (X coordinate, 32 bytes) in URLs and configurations (spec 4.7). Throws NoiseError `bad-key`. */
export function encodeAuthorityPublicKey(xOnly: Uint8Array): string {
  expectPublicKey(xOnly);
  return base58check.encode(concatBytes(VERSION_PREFIX, xOnly));
}

/** The X coordinate, 32 bytes, of an authority public key in text form (spec 4.7). Throws NoiseError `bad-key`. */
export function decodeAuthorityPublicKey(text: string): Uint8Array {
  const bytes = decodeBase58check(text, "authority public key");
  const [low, high] = VERSION_PREFIX;
  if (bytes[0] !== low || bytes[1] !== high) {
    throw new NoiseError(
      "bad-key",
      "the authority public key has an unknown version prefix; copy it again from its source",
    );
  }
  const xOnly = bytes.slice(VERSION_PREFIX.length);
  expectPublicKey(xOnly);
  return xOnly;
}

/** The text form of an authority secret key (32 bytes) as the reference implementation writes it: base58check without a prefix. Throws NoiseError `bad-key`. */
export function encodeAuthoritySecretKey(secret: Uint8Array): string {
  expectSecretKey(secret);
  return base58check.encode(secret);
}

/** The 32 bytes of an authority secret key in text form. Throws NoiseError `bad-key`, whose message says nothing of the key. */
export function decodeAuthoritySecretKey(text: string): Uint8Array {
  const secret = decodeBase58check(text, "authority secret key");
  expectSecretKey(secret);
  return secret;
}

/** The public key (X coordinate, 32 bytes) of an authority secret key (32 bytes). Throws NoiseError `bad-key`. */
export function authorityPublicKey(secretKey: Uint8Array): Uint8Array {
  expectSecretKey(secretKey);
  return schnorr.getPublicKey(secretKey);
}

/** Throws NoiseError `bad-key` unless the 32 bytes are the X coordinate of a curve point. */
export function expectPublicKey(xOnly: Uint8Array): void {
  if (xOnly.length !== KEY_SIZE || !secp256k1.utils.isValidPublicKey(concatBytes(EVEN_Y, xOnly))) {
    throw new NoiseError(
      "bad-key",
      "the authority public key is not a point of secp256k1; copy it again from its source",
    );
  }
}

function expectSecretKey(secret: Uint8Array): void {
  if (secret.length !== KEY_SIZE || !secp256k1.utils.isValidSecretKey(secret)) {
    throw new NoiseError("bad-key", "the authority secret key is not a secp256k1 secret key of 32 bytes");
  }
}

function decodeBase58check(text: string, what: string): Uint8Array {
  try {
    return base58check.decode(text);
  } catch {
    // The cause is dropped, as it may quote a secret key.
    throw new NoiseError("bad-key", `the ${what} is not valid base58check; a character is wrong or missing`);
  }
}
