import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { schnorr, secp256k1 } from "@noble/curves/secp256k1.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "@noble/hashes/utils.js";
import { type AeadFunctions, CipherState } from "./cipher-state.ts";
import type { Aead, NoiseCrypto } from "./crypto.ts";
import { decodeEllSwift, drawKeypair, EVEN_Y, taggedEcdhHash } from "./elligator-swift.ts";
import { NoiseError } from "./errors.ts";
import { aeadFrameOpener, aeadFrameSealer } from "./frames.ts";

/** @noble's ChaCha20-Poly1305, the IETF variant of RFC 8439. */
export const pureAead: AeadFunctions = {
  encrypt: (destination, plaintext, { key, nonce, ad }) => {
    chacha20poly1305(key, nonce, ad).encrypt(plaintext, destination);
  },
  decrypt: (destination, ciphertext, { key, nonce, ad }) => {
    try {
      chacha20poly1305(key, nonce, ad).decrypt(ciphertext, destination);
      return true;
    } catch {
      return false;
    }
  },
};

const aead = (key: Uint8Array): Aead => new CipherState(pureAead, key);

/** Noise cryptography in TypeScript alone (@noble, @scure): always there, and the oracle for every faster implementation. */
export const pureCrypto: NoiseCrypto = {
  name: "pure",
  generateKeypair: (entropy) => drawKeypair(entropy, schnorr.getPublicKey),
  ecdh: (ours, theirs, initiator) => {
    let shared: Uint8Array;
    try {
      shared = secp256k1.getSharedSecret(ours.secretKey, concatBytes(EVEN_Y, theirs.xOnly)).subarray(1);
    } catch {
      throw new NoiseError("bad-key", "no shared secret can be computed with these keys");
    }
    const secret = initiator ? taggedEcdhHash(shared, ours, theirs) : taggedEcdhHash(shared, theirs, ours);
    shared.fill(0);
    return secret;
  },
  xOnlyOf: decodeEllSwift,
  sign: (message, secretKey, aux) => {
    try {
      return schnorr.sign(message, secretKey, aux);
    } catch {
      throw new NoiseError("bad-key", "cannot sign with this key");
    }
  },
  verify: (signature, message, xOnlyPublicKey) => {
    try {
      return schnorr.verify(signature, message, xOnlyPublicKey);
    } catch {
      return false;
    }
  },
  sha256: (data) => sha256(data),
  hmacSha256: (key, data) => hmac(sha256, key, data),
  aead,
  frameSealer: (key) => aeadFrameSealer(aead(key)),
  frameOpener: (key) => aeadFrameOpener(aead(key)),
};
