import type { Aead } from "./crypto.ts";
import { NoiseError } from "./errors.ts";

/** Length of the Poly1305 MAC that ends every ciphertext (RFC 8439). */
export const MAC_SIZE = 16;

/** The bare ChaCha20-Poly1305 of a library, under the counter that `CipherState` keeps. */
export interface AeadFunctions {
  /** Writes ciphertext and MAC to `destination`, which has exactly the room. */
  encrypt(destination: Uint8Array, plaintext: Uint8Array, parameters: AeadParameters): void;
  /** Writes the plaintext to `destination`, which has exactly the room; false when the MAC is wrong. */
  decrypt(destination: Uint8Array, ciphertext: Uint8Array, parameters: AeadParameters): boolean;
}

/** What ChaCha20-Poly1305 takes besides the text. */
export interface AeadParameters {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 32 zero bits and a little-endian u64 (spec 4.4.1): 12 bytes, valid during the call only. */
  readonly nonce: Uint8Array;
  /** Associated data; empty for session messages. */
  readonly ad: Uint8Array;
}

const NONCE_SIZE = 12;
const COUNTER_OFFSET = 4;
const EMPTY = new Uint8Array(0);

/**
 * Key and nonce counter of one direction (spec 4.4.1), over any library's ChaCha20-Poly1305. The counter advances with
 * every success and never otherwise. Its last value, 2^64-1, is never used, as the Noise framework demands (section 5.1).
 */
export class CipherState implements Aead {
  readonly #functions: AeadFunctions;
  readonly #key: Uint8Array;
  /** The nonce itself is the counter, incremented in place. */
  readonly #nonce: Uint8Array = new Uint8Array(NONCE_SIZE);

  /** `key` is 32 bytes and copied, so the caller may wipe it. Throws NoiseError `bad-key`. */
  constructor(functions: AeadFunctions, key: Uint8Array) {
    if (key.length !== 32) throw new NoiseError("bad-key", `a cipher key must be 32 bytes, got ${key.length}`);
    this.#functions = functions;
    this.#key = key.slice();
  }

  seal(plaintext: Uint8Array, ad: Uint8Array = EMPTY): Uint8Array {
    const ciphertext = new Uint8Array(plaintext.length + MAC_SIZE);
    this.#seal(ciphertext, plaintext, ad);
    return ciphertext;
  }

  open(ciphertext: Uint8Array, ad: Uint8Array = EMPTY): Uint8Array {
    const plaintext = new Uint8Array(Math.max(0, ciphertext.length - MAC_SIZE));
    this.#open(plaintext, ciphertext, ad);
    return plaintext;
  }

  sealInto(destination: Uint8Array, plaintext: Uint8Array): void {
    this.#seal(destination, plaintext, EMPTY);
  }

  openInto(destination: Uint8Array, ciphertext: Uint8Array): void {
    this.#open(destination, ciphertext, EMPTY);
  }

  #seal(destination: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): void {
    checkLengths(plaintext, destination);
    this.#expectNonceLeft();
    this.#functions.encrypt(destination, plaintext, { key: this.#key, nonce: this.#nonce, ad });
    this.#advance();
  }

  #open(destination: Uint8Array, ciphertext: Uint8Array, ad: Uint8Array): void {
    checkLengths(destination, ciphertext);
    this.#expectNonceLeft();
    if (!this.#functions.decrypt(destination, ciphertext, { key: this.#key, nonce: this.#nonce, ad })) {
      throw new NoiseError("decrypt-failed", "the message authentication code does not match; close the connection");
    }
    this.#advance();
  }

  #expectNonceLeft(): void {
    for (let i = NONCE_SIZE - 1; i >= COUNTER_OFFSET; i--) if (this.#nonce[i] !== 0xff) return;
    throw new NoiseError("nonce-exhausted", "this session has used all its nonces; reconnect for new keys");
  }

  #advance(): void {
    for (let i = COUNTER_OFFSET; i < NONCE_SIZE; i++) {
      const byte = ((this.#nonce[i] ?? 0) + 1) & 0xff;
      this.#nonce[i] = byte;
      if (byte !== 0) return;
    }
  }
}

function checkLengths(plaintext: Uint8Array, ciphertext: Uint8Array): void {
  if (ciphertext.length !== plaintext.length + MAC_SIZE) {
    throw new NoiseError(
      "bad-length",
      `${plaintext.length} bytes of plaintext do not fit a ciphertext of ${ciphertext.length}`,
    );
  }
}
