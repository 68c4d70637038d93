import { secp256k1 } from "@noble/curves/secp256k1.js";
import { bytesToNumberBE, numberToBytesBE } from "@noble/curves/utils.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { elligatorSwift } from "@scure/btc-signer/p2p.js";
import type { EllSwiftKeypair, EllSwiftPublicKey, Entropy } from "./crypto.ts";
import { expectLength, NoiseError } from "./errors.ts";

/** Length of an ElligatorSwift encoding. */
const ELLSWIFT_SIZE = 64;
/** Length of secret keys and of X coordinates. */
export const KEY_SIZE = 32;
/** SEC1's prefix of a compressed point with an even Y; the parity does not matter where only X is used. */
export const EVEN_Y: Uint8Array = Uint8Array.of(2);

const FIELD_PRIME = secp256k1.Point.Fp.ORDER;
const ECDH_TAG = sha256(utf8ToBytes("bip324_ellswift_xonly_ecdh"));
const ECDH_PREFIX = concatBytes(ECDH_TAG, ECDH_TAG);

/** A random choice gives an encoding once in four times, so 320 choices all fail once in 2^132 runs. */
const MAX_ENCODING_TRIES = 320;
/** A random 256-bit number is no secret key once in 2^128 tries. */
const MAX_KEY_TRIES = 4;

/**
 * Encodes an X coordinate (32 bytes big-endian) as 64 bytes that look random to whoever does not know the key: `XElligatorSwift`
 * of BIP324 with its random choices drawn from `entropy`. Throws NoiseError `bad-key` when no encoding is found because
 * the entropy repeats itself.
 */
export function encodeEllSwift(xOnly: Uint8Array, entropy: Entropy): Uint8Array {
  expectLength(xOnly, KEY_SIZE, "an X coordinate");
  const x = bytesToNumberBE(xOnly);
  for (let tries = 0; tries < MAX_ENCODING_TRIES; tries++) {
    const random = draw(entropy, KEY_SIZE + 1);
    const u = bytesToNumberBE(random.subarray(0, KEY_SIZE)) % FIELD_PRIME;
    // scure's own `encode` draws from the system's randomness; its inverse map lets the caller's entropy decide.
    const t = u === 0n ? undefined : elligatorSwift._inv(x, u, (random[KEY_SIZE] ?? 0) & 7);
    if (t) return concatBytes(numberToBytesBE(u, KEY_SIZE), numberToBytesBE(t, KEY_SIZE));
  }
  throw new NoiseError("bad-key", "the entropy source yields no ElligatorSwift encoding for this key");
}

/**
 * Decodes any 64 bytes to the X coordinate they encode, 32 bytes big-endian: `XSwiftEC` of BIP324, which has a result for
 * every input. Throws NoiseError `bad-length`.
 */
export function decodeEllSwift(ellswift: Uint8Array): Uint8Array {
  expectLength(ellswift, ELLSWIFT_SIZE, "an ElligatorSwift public key");
  try {
    return elligatorSwift.decode(ellswift);
  } catch (cause) {
    throw new NoiseError("bad-key", "this ElligatorSwift public key cannot be decoded", { cause });
  }
}

/** Draws a key pair: `publicKeyOf` gives the X coordinate of a secret key and throws for numbers outside 1..n-1. */
export function drawKeypair(entropy: Entropy, publicKeyOf: (secretKey: Uint8Array) => Uint8Array): EllSwiftKeypair {
  for (let tries = 0; tries < MAX_KEY_TRIES; tries++) {
    const secretKey = draw(entropy, KEY_SIZE);
    let xOnly: Uint8Array;
    try {
      xOnly = publicKeyOf(secretKey);
    } catch {
      continue;
    }
    return { secretKey, publicKey: encodeEllSwift(xOnly, entropy), xOnly };
  }
  throw new NoiseError("bad-key", "the entropy source yields no secret key");
}

/**
 * The end of `v2_ecdh` (spec 4.4.2): hashes both encodings, the initiator's first, and the X coordinate of the shared point.
 */
export function taggedEcdhHash(
  sharedX: Uint8Array,
  initiator: EllSwiftPublicKey,
  responder: EllSwiftPublicKey,
): Uint8Array {
  const preimage = concatBytes(ECDH_PREFIX, initiator.publicKey, responder.publicKey, sharedX);
  const secret = sha256(preimage);
  preimage.fill(0);
  return secret;
}

/** `length` bytes of `entropy`; a source that returns too few must not weaken a key silently. */
export function draw(entropy: Entropy, length: number): Uint8Array {
  const bytes = entropy(length);
  if (bytes.length !== length) {
    throw new NoiseError("bad-key", `the entropy source returned ${bytes.length} bytes instead of ${length}`);
  }
  return bytes;
}
