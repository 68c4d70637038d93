import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Aead, NoiseCrypto } from "./crypto.ts";
import { NoiseError } from "./errors.ts";
import type { FrameOpener, FrameSealer } from "./frames.ts";

/** The Noise protocol name, whose hash starts every handshake (spec 4.5.1). */
const PROTOCOL_NAME = utf8ToBytes("Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256");

const EMPTY = new Uint8Array(0);

/** A session's two directions, as this side sees them. */
export interface Ciphers {
  /** Seals what this side sends. */
  readonly sealer: FrameSealer;
  /** Opens what the peer sent. */
  readonly opener: FrameOpener;
}

/** Handshake hash `h`, chaining key `ck` and cipher of a handshake under way (spec 4.4.2); both sides run one alike. */
export class SymmetricState {
  readonly #crypto: NoiseCrypto;
  #hash: Uint8Array;
  #chainingKey: Uint8Array;
  #cipher: Aead | undefined;

  constructor(crypto: NoiseCrypto) {
    this.#crypto = crypto;
    this.#chainingKey = crypto.sha256(PROTOCOL_NAME);
    this.#hash = crypto.sha256(this.#chainingKey);
  }

  /** `MixHash`: h = HASH(h || data). */
  mixHash(data: Uint8Array): void {
    this.#hash = this.#crypto.sha256(concatBytes(this.#hash, data));
  }

  /** `MixKey`: a new chaining key and a new cipher out of a shared secret, which is wiped. */
  mixKey(secret: Uint8Array): void {
    const [chainingKey, key] = this.#derive(secret);
    this.#chainingKey.fill(0);
    this.#chainingKey = chainingKey;
    this.#cipher = this.#crypto.aead(key);
    key.fill(0);
    secret.fill(0);
  }

  /** Act 1's `EncryptAndHash` and `DecryptAndHash` of an empty payload, without a key yet: both only mix its nothing in. */
  mixEmptyPayload(): void {
    this.mixHash(EMPTY);
  }

  /** `EncryptAndHash`, once a key is there. */
  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#keyed().seal(plaintext, this.#hash);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** `DecryptAndHash`, once a key is there. Throws NoiseError `decrypt-failed`. */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.#keyed().open(ciphertext, this.#hash);
    this.mixHash(ciphertext);
    return plaintext;
  }

  /** Ends the handshake: the session's ciphers for the initiator or the responder (spec 4.5.2.1, step 9). */
  split(role: "initiator" | "responder"): Ciphers {
    const [fromInitiator, fromResponder] = this.#derive(EMPTY);
    const [sealing, opening] = role === "initiator" ? [fromInitiator, fromResponder] : [fromResponder, fromInitiator];
    const ciphers = { sealer: this.#crypto.frameSealer(sealing), opener: this.#crypto.frameOpener(opening) };
    this.#chainingKey.fill(0);
    this.#hash.fill(0);
    fromInitiator.fill(0);
    fromResponder.fill(0);
    return ciphers;
  }

  #keyed(): Aead {
    if (this.#cipher === undefined) throw new NoiseError("step-reused", "the handshake has no key yet");
    return this.#cipher;
  }

  /** HKDF with two outputs (RFC 5869, no info). */
  #derive(inputKeyMaterial: Uint8Array): [Uint8Array, Uint8Array] {
    const crypto = this.#crypto;
    const temporaryKey = crypto.hmacSha256(this.#chainingKey, inputKeyMaterial);
    const output1 = crypto.hmacSha256(temporaryKey, Uint8Array.of(1));
    const output2 = crypto.hmacSha256(temporaryKey, concatBytes(output1, Uint8Array.of(2)));
    temporaryKey.fill(0);
    return [output1, output2];
  }
}
