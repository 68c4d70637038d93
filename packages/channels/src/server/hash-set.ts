const WORDS = 4;
const FIRST_SLOTS = 64;

/**
 * A set of double SHA-256 hashes in 16 bytes a slot: it keeps the low 128 bits of each, the ones a proof of work
 * leaves random. Open addressing with linear probing, at most two thirds full, so 24 to 48 bytes a hash and no
 * object for any of them. Two different hashes are told apart unless they agree in all 128 bits.
 */
export class HashSet {
  #slots = new Uint32Array(FIRST_SLOTS * WORDS);
  #capacity = FIRST_SLOTS;
  #size = 0;

  /** Hashes held. */
  get size(): number {
    return this.#size;
  }

  /** Whether the hash is held. */
  has(hash: Uint8Array): boolean {
    return this.#isUsed(this.#find(keyOf(hash)));
  }

  /** Adds a hash; false when it was held already. */
  add(hash: Uint8Array): boolean {
    const key = keyOf(hash);
    const slot = this.#find(key);
    if (this.#isUsed(slot)) return false;
    this.#slots.set(key, slot * WORDS);
    this.#size += 1;
    if (this.#size * 3 > this.#capacity * 2) this.#grow();
    return true;
  }

  /** Removes a hash; false when it was not held. Later entries of its run move up, so no marks are left behind. */
  delete(hash: Uint8Array): boolean {
    let hole = this.#find(keyOf(hash));
    if (!this.#isUsed(hole)) return false;
    for (let slot = this.#after(hole); this.#isUsed(slot); slot = this.#after(slot)) {
      const distance = (slot - this.#home(slot)) & (this.#capacity - 1);
      const toHole = (slot - hole) & (this.#capacity - 1);
      if (distance >= toHole) {
        this.#slots.copyWithin(hole * WORDS, slot * WORDS, (slot + 1) * WORDS);
        hole = slot;
      }
    }
    this.#slots.fill(0, hole * WORDS, (hole + 1) * WORDS);
    this.#size -= 1;
    return true;
  }

  /** The slot that holds the key, or the free one where it belongs. */
  #find(key: Uint32Array): number {
    let slot = (key[0] ?? 0) & (this.#capacity - 1);
    while (this.#isUsed(slot) && !this.#holds(slot, key)) slot = this.#after(slot);
    return slot;
  }

  #after(slot: number): number {
    return (slot + 1) & (this.#capacity - 1);
  }

  #home(slot: number): number {
    return (this.#slots[slot * WORDS] ?? 0) & (this.#capacity - 1);
  }

  #isUsed(slot: number): boolean {
    const at = slot * WORDS;
    const slots = this.#slots;
    return ((slots[at] ?? 0) | (slots[at + 1] ?? 0) | (slots[at + 2] ?? 0) | (slots[at + 3] ?? 0)) !== 0;
  }

  #holds(slot: number, key: Uint32Array): boolean {
    const at = slot * WORDS;
    return key.every((word, index) => this.#slots[at + index] === word);
  }

  #grow(): void {
    const old = this.#slots;
    this.#capacity *= 2;
    this.#slots = new Uint32Array(this.#capacity * WORDS);
    for (let at = 0; at < old.length; at += WORDS) {
      const key = old.subarray(at, at + WORDS);
      if (key.some((word) => word !== 0)) this.#slots.set(key, this.#find(key) * WORDS);
    }
  }
}

/** The low 128 bits of a hash as words. An all-zero key would look like a free slot, so it becomes one. */
function keyOf(hash: Uint8Array): Uint32Array {
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  const key = Uint32Array.of(
    view.getUint32(0, true),
    view.getUint32(4, true),
    view.getUint32(8, true),
    view.getUint32(12, true),
  );
  if (key.every((word) => word === 0)) key[0] = 1;
  return key;
}
