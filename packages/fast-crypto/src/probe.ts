import { pureHashing } from "@adit/bitcoin";
import { pureCrypto } from "@adit/noise";
import { type Secp256k1, secp256k1Noise } from "./secp256k1.ts";
import { type SodiumNative, sodiumHashing, sodiumNoise } from "./sodium.ts";

const KEY = new Uint8Array(32).fill(1);
const TEXT = Uint8Array.from({ length: 200 }, (_, i) => i);
const AD = new Uint8Array(32).fill(2);

/** Throws unless sodium-native computes what @noble does: a broken binary must not go unnoticed into sessions and shares. */
export function probeSodium(sodium: SodiumNative): void {
  const fast = sodiumNoise(sodium);
  expectEqual(fast.sha256(TEXT), pureCrypto.sha256(TEXT), "SHA-256");
  expectEqual(sodiumHashing(sodium).merkleRoot(TEXT, [KEY, AD]), pureHashing.merkleRoot(TEXT, [KEY, AD]), "SHA-256d");
  const sealed = fast.aead(KEY).seal(TEXT, AD);
  expectEqual(sealed, pureCrypto.aead(KEY).seal(TEXT, AD), "ChaCha20-Poly1305");
  expectEqual(fast.aead(KEY).open(sealed, AD), TEXT, "ChaCha20-Poly1305");
}

/** Throws unless tiny-secp256k1 computes what @noble does. */
export function probeSecp256k1(secp: Secp256k1): void {
  const fast = secp256k1Noise(secp);
  // Any 64 bytes are a public key.
  const theirs = { publicKey: TEXT.subarray(0, 64), xOnly: pureCrypto.xOnlyOf(TEXT.subarray(0, 64)) };
  const ours = { ...theirs, secretKey: KEY };
  expectEqual(fast.ecdh(ours, theirs, true), pureCrypto.ecdh(ours, theirs, true), "point multiplication");
  const signature = fast.sign(KEY, AD, KEY);
  expectEqual(signature, pureCrypto.sign(KEY, AD, KEY), "Schnorr signature");
  const xOnly = secp.xOnlyPointFromScalar(AD);
  const flipped = signature.map((byte, i) => (i === 63 ? byte ^ 1 : byte));
  if (!fast.verify(signature, KEY, xOnly) || fast.verify(flipped, KEY, xOnly)) {
    throw new Error("its Schnorr verification is wrong");
  }
}

function expectEqual(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (actual.length !== expected.length || actual.some((byte, i) => byte !== expected[i])) {
    throw new Error(`its ${what} is wrong`);
  }
}
