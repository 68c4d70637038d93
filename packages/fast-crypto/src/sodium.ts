import { encodeHeader, type Hash, hash, type ShareHashing } from "@adit/bitcoin";
import {
  type Aead,
  type AeadFunctions,
  aeadFrameOpener,
  aeadFrameSealer,
  CipherState,
  type NoiseCrypto,
} from "@adit/noise";

/** What this package uses of sodium-native, which ships no types. Every function throws when a buffer has the wrong size. */
export interface SodiumNative {
  /** Writes SHA-256 of `input` to `output`, 32 bytes. */
  crypto_hash_sha256(output: Uint8Array, input: Uint8Array): void;
  /** Writes ciphertext and MAC to `ciphertext`, 16 bytes longer than `message`; `secretNonce` must be null. */
  crypto_aead_chacha20poly1305_ietf_encrypt(
    ciphertext: Uint8Array,
    message: Uint8Array,
    ad: Uint8Array | null,
    secretNonce: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;
  /** Writes the plaintext to `message`, 16 bytes shorter than `ciphertext`; throws when the MAC is wrong. */
  crypto_aead_chacha20poly1305_ietf_decrypt(
    message: Uint8Array,
    secretNonce: null,
    ciphertext: Uint8Array,
    ad: Uint8Array | null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;
}

const HASH_SIZE = 32;
/** SHA-256's block, to which HMAC fills its key (RFC 2104). */
const BLOCK_SIZE = 64;

/** What sodium-native does faster than @noble of Noise's cryptography. */
type SodiumNoise = Pick<NoiseCrypto, "sha256" | "hmacSha256" | "aead" | "frameSealer" | "frameOpener">;

/** SHA-256, HMAC and frame sealing by sodium-native. */
export function sodiumNoise(sodium: SodiumNative): SodiumNoise {
  const functions = sodiumAead(sodium);
  const aead = (key: Uint8Array): Aead => new CipherState(functions, key);
  const sha256 = (data: Uint8Array): Uint8Array => {
    const digest = new Uint8Array(HASH_SIZE);
    sodium.crypto_hash_sha256(digest, data);
    return digest;
  };
  return {
    sha256,
    hmacSha256: (key, data) => hmac(sha256, key, data),
    aead,
    frameSealer: (key) => aeadFrameSealer(aead(key)),
    frameOpener: (key) => aeadFrameOpener(aead(key)),
  };
}

/** sodium-native's ChaCha20-Poly1305, the IETF variant of RFC 8439. */
export function sodiumAead(sodium: SodiumNative): AeadFunctions {
  return {
    encrypt: (destination, plaintext, { key, nonce, ad }) => {
      sodium.crypto_aead_chacha20poly1305_ietf_encrypt(destination, plaintext, ad, null, nonce, key);
    },
    decrypt: (destination, ciphertext, { key, nonce, ad }) => {
      try {
        sodium.crypto_aead_chacha20poly1305_ietf_decrypt(destination, null, ciphertext, ad, nonce, key);
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Share hashing by sodium-native. Intermediate hashes live in buffers made once, as a call never yields to another. */
export function sodiumHashing(sodium: SodiumNative): ShareHashing {
  const digest = new Uint8Array(HASH_SIZE);
  const pair = new Uint8Array(2 * HASH_SIZE);
  const left = pair.subarray(0, HASH_SIZE);

  const sha256dInto = (destination: Uint8Array, data: Uint8Array): void => {
    sodium.crypto_hash_sha256(digest, data);
    sodium.crypto_hash_sha256(destination, digest);
  };
  const sha256d = (data: Uint8Array): Hash => {
    const result = new Uint8Array(HASH_SIZE);
    sha256dInto(result, data);
    return hash(result);
  };
  /** Leaves the root in `left`, where each level's left half belongs. */
  const climb = (coinbase: Uint8Array, path: readonly Uint8Array[]): void => {
    sha256dInto(left, coinbase);
    for (const sibling of path) {
      pair.set(hash(sibling), HASH_SIZE);
      sha256dInto(left, pair);
    }
  };
  return {
    name: "sodium-native",
    sha256d,
    merkleRoot: (coinbase, path) => {
      climb(coinbase, path);
      return hash(left.slice());
    },
    headerHash: sha256d,
    shareHash: (share) => {
      climb(share.coinbase, share.merklePath);
      const header = encodeHeader({ ...share.header, merkleRoot: left });
      return { hash: sha256d(header), header };
    },
  };
}

function hmac(sha256: (data: Uint8Array) => Uint8Array, key: Uint8Array, data: Uint8Array): Uint8Array {
  const blockKey = key.length > BLOCK_SIZE ? sha256(key) : key;
  const inner = new Uint8Array(BLOCK_SIZE + data.length).fill(0x36, 0, BLOCK_SIZE);
  const outer = new Uint8Array(BLOCK_SIZE + HASH_SIZE).fill(0x5c, 0, BLOCK_SIZE);
  for (const [i, byte] of blockKey.entries()) {
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  inner.set(data, BLOCK_SIZE);
  outer.set(sha256(inner), BLOCK_SIZE);
  const mac = sha256(outer);
  inner.fill(0);
  outer.fill(0);
  return mac;
}
