/** A small seeded generator (sfc32): the same numbers for the same seed and index on every machine. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  /** Keeps arrays and sequences short. */
  readonly small: boolean;

  constructor(seed: number, index: number, small = false) {
    this.#a = seed | 0;
    this.#b = index | 0;
    this.#c = 0x9e3779b9 | 0;
    this.small = small;
    for (let round = 0; round < 12; round += 1) this.uint32();
  }

  /** A number of 32 bits. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** A whole number from 0 to `most`, which is below 2^32. */
  upTo(most: number): number {
    return this.uint32() % (most + 1);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.upTo(times - 1) === 0;
  }

  /** One of the values. */
  pick<T>(values: readonly T[]): T {
    return values[this.upTo(values.length - 1)] as T;
  }

  /** Bytes, all zero or all ones now and then. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const kind = this.upTo(7);
    if (kind === 0) return bytes;
    if (kind === 1) return bytes.fill(0xff);
    for (let at = 0; at < length; at += 1) bytes[at] = this.uint32();
    return bytes;
  }

  /** A length or count: often 0, 1 or `most`, the latter less often when that is much more than `usual`. */
  length(most: number, usual: number): number {
    const rarity = most > 2 * usual ? 16 : 1;
    const kind = this.upTo(7);
    if (kind === 0) return 0;
    if (kind === 1) return 1;
    if (kind === 2 && this.oneIn(rarity)) return most;
    if (kind === 3 && this.oneIn(rarity)) return this.upTo(most);
    return this.upTo(Math.min(most, usual));
  }

  /** A well-formed string of exactly `length` bytes of UTF-8. */
  text(length: number): string {
    let text = "";
    for (let left = length; left > 0; ) {
      const kind = this.upTo(9);
      let next = String.fromCharCode(0x20 + this.upTo(94));
      if (kind === 0) next = String.fromCodePoint(this.upTo(0x10ffff));
      if (kind === 1) next = this.pick(["\0", "\n", '"', "\\", "\ufeff", "é", "€", "🔥", "\u{10ffff}"]);
      const size = Buffer.byteLength(next);
      if (/\p{Surrogate}/u.test(next) || size > left) continue;
      text += next;
      left -= size;
    }
    return text;
  }
}
