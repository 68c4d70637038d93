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

  /** Removes and returns the next block: everything waiting, up to the block size. Empty when nothing waits. */
  take(): Uint8Array {
    const block = new Uint8Array(Math.min(this.#bytes, this.#blockSize));
    let filled = 0;
    while (filled < block.length) {
      const chunk = this.#chunks[this.#first];
      if (chunk === undefined) break;
      const part = chunk.subarray(this.#offset, this.#offset + block.length - filled);
      block.set(part, filled);
      filled += part.length;
      this.#offset += part.length;
      if (this.#offset >= chunk.length) this.#dropFirst();
    }
    this.#bytes -= block.length;
    return block;
  }

  /** Forgets everything. */
  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#offset = 0;
    this.#bytes = 0;
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
