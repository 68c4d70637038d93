const EMPTY = new Uint8Array(0);
const MIN_CAPACITY = 512;

/**
 * Bytes pulled from a source and not yet taken, in one piece. Every byte is copied a bounded number of times however the
 * source cuts them up, and memory stays within a small multiple of what has really arrived.
 */
export class Inbox {
  readonly #source: AsyncIterator<Uint8Array>;
  /** Bytes `#start` to `#end` are waiting; those before may have been handed out and are never written again. */
  #buffer: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes waiting. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Pulls until at least `length` bytes wait; false when the source ends before. */
  async fill(length: number): Promise<boolean> {
    while (this.length < length) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#append(next.value);
    }
    return true;
  }

  /** Takes `length` waiting bytes, as a view that nobody else writes to. */
  take(length: number): Uint8Array {
    const taken = this.peek(length);
    if (taken.length < length) throw new RangeError(`${length} bytes asked for, ${taken.length} wait`);
    this.#start += length;
    return taken;
  }

  /** At most `length` waiting bytes, left where they are. */
  peek(length: number): Uint8Array {
    return this.#buffer.subarray(this.#start, Math.min(this.#start + length, this.#end));
  }

  #append(chunk: Uint8Array): void {
    if (this.length === 0) {
      // The chunk is ours: no copy. It has no room behind it, so nothing is ever written into it.
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    if (this.#buffer.length - this.#end < chunk.length) this.#grow(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  #grow(more: number): void {
    const waiting = this.peek(this.length);
    this.#buffer = new Uint8Array(Math.max(2 * (waiting.length + more), MIN_CAPACITY));
    this.#buffer.set(waiting);
    this.#start = 0;
    this.#end = waiting.length;
  }
}
