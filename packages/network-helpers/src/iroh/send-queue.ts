const EMPTY = new Uint8Array(0);

/** Bytes waiting to be sent, kept in order. Small writes are merged and large ones cut, so each native call carries one block. */
export class SendQueue {
  readonly #blockSize: number;
  #chunks: Uint8Array[] = [];
  #first = 0;
  #offset = 0;
  #bytes = 0;

  /** `blockSize`: the most bytes one `take` returns. */
  constructor(blockSize: number) {
    this.#blockSize = blockSize;
  }

  /** Bytes pushed and not yet taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds `bytes` at the end. They are kept, not copied: one frame broadcast to many connections is held once. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
  }

  /**
   * Removes and returns the next block: everything waiting, up to the block size. Empty when nothing waits. A block that lies in one
   * of the arrays pushed is a view of it.
   */
  take(): Uint8Array {
    const size = Math.min(this.#bytes, this.#blockSize);
    this.#bytes -= size;
    const first = this.#part(size);
    if (first.length === size) return first;
    const block = new Uint8Array(size);
    block.set(first);
    for (let filled = first.length; filled < size; ) {
      const part = this.#part(size - filled);
      block.set(part, filled);
      filled += part.length;
    }
    return block;
  }

  /** Forgets everything. */
  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#offset = 0;
    this.#bytes = 0;
  }

  /** Removes at most `most` bytes of the first array that waits. */
  #part(most: number): Uint8Array {
    const chunk = this.#chunks[this.#first];
    if (chunk === undefined) return EMPTY;
    const part = chunk.subarray(this.#offset, this.#offset + most);
    this.#offset += part.length;
    if (this.#offset >= chunk.length) this.#dropFirst();
    return part;
  }

  #dropFirst(): void {
    this.#first += 1;
    this.#offset = 0;
    // Dropping one by one with shift() would cost a move of the whole array each time.
    if (this.#first === this.#chunks.length || this.#first >= 1_024) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }
}
