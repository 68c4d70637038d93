import type { FrameOpener, FrameSealer } from "./frames.ts";

/** A source of random bytes: returns `length` fresh, unpredictable bytes in an array the caller may overwrite. */
export type Entropy = (length: number) => Uint8Array;

/** A peer's public key in both forms it is used in, decoded once. */
export interface EllSwiftPublicKey {
  /** The ElligatorSwift encoding as sent on the wire, 64 bytes (BIP324). */
  readonly publicKey: Uint8Array;
  /** The X coordinate that `publicKey` encodes, 32 bytes big-endian (BIP340). */
  readonly xOnly: Uint8Array;
}

/** A secp256k1 key pair whose public key is encoded with ElligatorSwift (spec 4.3.1.1). */
export interface EllSwiftKeypair extends EllSwiftPublicKey {
  /** The scalar, 32 bytes big-endian, in 1..n-1. */
  readonly secretKey: Uint8Array;
}

/** One direction's ChaCha20-Poly1305 (RFC 8439) with its key and nonce counter inside: the CipherState of spec 4.4.1. */
export interface Aead {
  /**
   * Encrypts with the next nonce and returns the ciphertext followed by its 16-byte MAC.
   * Throws NoiseError `nonce-exhausted`.
   */
  seal(plaintext: Uint8Array, ad?: Uint8Array): Uint8Array;
  /**
   * Checks the MAC at the end of `ciphertext` and returns the plaintext. Throws NoiseError `decrypt-failed`
   * (the nonce counter then stays), `bad-length` when there is no room for a MAC, `nonce-exhausted`.
   */
  open(ciphertext: Uint8Array, ad?: Uint8Array): Uint8Array;
  /** Like `seal`, without associated data, into `destination`, which is 16 bytes longer than `plaintext`. */
  sealInto(destination: Uint8Array, plaintext: Uint8Array): void;
  /** Like `open`, without associated data, into `destination`, which is 16 bytes shorter than `ciphertext`. */
  openInto(destination: Uint8Array, ciphertext: Uint8Array): void;
}

/** The cryptography that a handshake and a session need. Implementations agree to the byte. */
export interface NoiseCrypto {
  /** Names the implementation, for logs and benchmarks. */
  readonly name: string;
  /** Makes a key pair from `entropy` alone. Throws NoiseError `bad-key` when the entropy never yields a key. */
  generateKeypair(entropy: Entropy): EllSwiftKeypair;
  /**
   * `v2_ecdh` of spec 4.4.2 and BIP324: 32 bytes that both sides compute alike. `initiator` says on which side `ours` is.
   * Throws NoiseError `bad-key` when a key is not one.
   */
  ecdh(ours: EllSwiftKeypair, theirs: EllSwiftPublicKey, initiator: boolean): Uint8Array;
  /** Decodes any 64 bytes to the X coordinate they stand for, 32 bytes big-endian. Throws NoiseError `bad-length`. */
  xOnlyOf(ellswift: Uint8Array): Uint8Array;
  /**
   * Signs a 32-byte message as in BIP340; `aux` is 32 random bytes. Returns 64 bytes.
   * Throws NoiseError `bad-key` when `secretKey` is out of range.
   */
  sign(message: Uint8Array, secretKey: Uint8Array, aux: Uint8Array): Uint8Array;
  /** Verifies a BIP340 signature over a 32-byte message; false for a wrong signature and for an invalid key alike. */
  verify(signature: Uint8Array, message: Uint8Array, xOnlyPublicKey: Uint8Array): boolean;
  /** SHA-256, 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** HMAC-SHA256 (RFC 2104), 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** A cipher with a 32-byte key, its counter at zero; it keeps its own copy of the key. */
  aead(key: Uint8Array): Aead;
  /** One direction of a session: seals whole frames with a 32-byte key. */
  frameSealer(key: Uint8Array): FrameSealer;
  /** The other end of a `frameSealer` with the same key. */
  frameOpener(key: Uint8Array): FrameOpener;
}
