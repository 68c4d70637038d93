import { meetsTarget, sha256d } from "@adit/bitcoin";
import { compress, INITIAL_STATE, type Words } from "./compress.ts";

const HEADER_SIZE = 80;
const NONCE_AT = 76;
const PADDING_BIT = 0x80000000;

/**
 * Searches nonces of one block header. The header's first 64 bytes are hashed once (the midstate); a nonce then costs
 * two compressions and one comparison of the hash's top 32 bits, and only what passes that is hashed again in full and
 * compared with the whole target.
 */
export class NonceSearch {
  readonly #header: Uint8Array;
  readonly #target: Uint8Array;
  /** Largest value that the top 32 bits of a hash may have. */
  readonly #top: number;
  readonly #midstate: Words = new Int32Array(8);
  /** Last 16 bytes of the header and their padding: word 3 is the nonce. */
  readonly #tail: Words = new Int32Array(16);
  /** The first digest and its padding. */
  readonly #digest: Words = new Int32Array(16);
  readonly #result: Words = new Int32Array(8);

  /**
   * @param header 80 bytes; the nonce in it does not matter
   * @param target 32 bytes, little-endian
   * @throws RangeError for other sizes.
   */
  constructor(header: Uint8Array, target: Uint8Array) {
    if (header.length !== HEADER_SIZE) throw new RangeError(`a header has 80 bytes, not ${header.length}`);
    if (target.length !== 32) throw new RangeError(`a target has 32 bytes, not ${target.length}`);
    this.#header = header.slice();
    this.#target = target.slice();
    this.#top = new DataView(this.#target.buffer).getUint32(28, true);
    const view = new DataView(this.#header.buffer);
    const first = Int32Array.from({ length: 16 }, (_, word) => view.getInt32(word * 4));
    compress(INITIAL_STATE, first, this.#midstate);
    for (let word = 0; word < 3; word++) this.#tail[word] = view.getInt32(64 + word * 4);
    this.#tail[4] = PADDING_BIT;
    this.#tail[15] = HEADER_SIZE * 8;
    this.#digest[8] = PADDING_BIT;
    this.#digest[15] = 32 * 8;
  }

  /** The first nonce from `start` up to, not including, `end` whose header hash meets the target; -1 for none. */
  find(start: number, end: number): number {
    for (let from = start; from < end; ) {
      const nonce = this.#candidate(from, end);
      if (nonce === -1 || this.#meets(nonce)) return nonce;
      from = nonce + 1;
    }
    return -1;
  }

  #candidate(start: number, end: number): number {
    const midstate = this.#midstate;
    const tail = this.#tail;
    const digest = this.#digest;
    const result = this.#result;
    const top = this.#top;
    for (let nonce = start; nonce < end; nonce++) {
      tail[3] = reversed(nonce);
      compress(midstate, tail, digest);
      compress(INITIAL_STATE, digest, result);
      if (reversed(result[7] as number) >>> 0 <= top) return nonce;
    }
    return -1;
  }

  #meets(nonce: number): boolean {
    new DataView(this.#header.buffer).setUint32(NONCE_AT, nonce, true);
    return meetsTarget(sha256d(this.#header), this.#target);
  }
}

/** The word with its four bytes turned around: SHA-256 reads big-endian, headers and targets are little-endian. */
function reversed(word: number): number {
  return (word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
}
