import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Aead, NoiseCrypto } from "./crypto.ts";
import { NoiseError } from "./errors.ts";
import type { FrameOpener, FrameSealer } from "./frames.ts";
import { spendable } from "./step.ts";

/** The Noise protocol name, whose hash starts every handshake (spec 4.5.1). */
const PROTOCOL_NAME = utf8ToBytes("Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256");

/** Sets the keys of a second stream apart from whatever else may be derived from a handshake one day. */
const SECOND_STREAM = utf8ToBytes("adit second stream");

const EMPTY = new Uint8Array(0);

/** The two directions of one stream, as this side sees them. */
export interface StreamCiphers {
  /** Seals what this side sends. */
  readonly sealer: FrameSealer;
  /** Opens what the peer sent. */
  readonly opener: FrameOpener;
}

/** What a handshake gives: the ciphers of the stream it ran over. */
export interface Ciphers extends StreamCiphers {
  /**
   * The ciphers of a second stream beside the first, with keys of their own, as both streams count nonces from zero and
   * have no order between them. Only the two sides of this very handshake can make them, so a second stream that opens with
   * them belongs to the first. Throws NoiseError `step-reused` when called again: the same keys with the same nonces would
   * be used twice.
   */
  secondStream(): StreamCiphers;
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

  /**
   * Ends the handshake: the session's ciphers for the initiator or the responder (spec 4.5.2.1, step 9). A third output of
   * the same HKDF, mixed with the handshake's hash and a label, is the secret of a second stream: what the Noise framework's
   * draft calls additional symmetric keys.
   */
  split(role: "initiator" | "responder"): Ciphers {
    const [fromInitiator, fromResponder, master] = this.#outputs(this.#chainingKey, EMPTY);
    const secret = this.#crypto.hmacSha256(master, concatBytes(this.#hash, SECOND_STREAM));
    for (const spent of [this.#chainingKey, this.#hash, master]) spent.fill(0);
    const spend = spendable("the second stream");
    return {
      ...this.#directions(role, [fromInitiator, fromResponder]),
      secondStream: () => {
        spend();
        const [first, second, unused] = this.#outputs(secret, EMPTY);
        for (const spent of [secret, unused]) spent.fill(0);
        return this.#directions(role, [first, second]);
      },
    };
  }

  /** The ciphers of two keys, the first for what the initiator sends. Wipes the keys. */
  #directions(role: "initiator" | "responder", keys: readonly [Uint8Array, Uint8Array]): StreamCiphers {
    const [sealing, opening] = role === "initiator" ? keys : [keys[1], keys[0]];
    const ciphers = { sealer: this.#crypto.frameSealer(sealing), opener: this.#crypto.frameOpener(opening) };
    for (const key of keys) key.fill(0);
    return ciphers;
  }

  #keyed(): Aead {
    if (this.#cipher === undefined) throw new NoiseError("step-reused", "the handshake has no key yet");
    return this.#cipher;
  }

  /** HKDF with two outputs. */
  #derive(inputKeyMaterial: Uint8Array): [Uint8Array, Uint8Array] {
    const [output1, output2, unused] = this.#outputs(this.#chainingKey, inputKeyMaterial);
    unused.fill(0);
    return [output1, output2];
  }

  /** HKDF with three outputs (RFC 5869, no info); the first two do not depend on whether there is a third. */
  #outputs(chainingKey: Uint8Array, inputKeyMaterial: Uint8Array): [Uint8Array, Uint8Array, Uint8Array] {
    const crypto = this.#crypto;
    const temporaryKey = crypto.hmacSha256(chainingKey, inputKeyMaterial);
    const output1 = crypto.hmacSha256(temporaryKey, Uint8Array.of(1));
    const output2 = crypto.hmacSha256(temporaryKey, concatBytes(output1, Uint8Array.of(2)));
    const output3 = crypto.hmacSha256(temporaryKey, concatBytes(output2, Uint8Array.of(3)));
    temporaryKey.fill(0);
    return [output1, output2, output3];
  }
}
