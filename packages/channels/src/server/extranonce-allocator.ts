import type { ExtranonceBase, ExtranonceOptions } from "./effects.ts";

/** An extranonce prefix in use by one channel. */
export interface ExtranonceLease {
  /** Number of the prefix within the allocator. */
  readonly index: number;
  /** The prefix as an extended channel gets it: the prefix of all, then the index, big-endian. */
  readonly prefix: Uint8Array;
}

/**
 * Hands out extranonce prefixes `[prefix of all][index 1..3]` of one full extranonce size. It scans forward from a
 * given start, so that a prefix returns as late as possible, and a prefix given back stays taken until every job
 * that may have been mined under it is stale or forgotten. A prefix of only zeros is never handed out: some firmware
 * reads it as "none".
 */
export class ExtranonceAllocator {
  /** Bytes left to an extended channel. */
  readonly rollableSize: number;
  readonly #indexSize: number;
  readonly #capacity: number;
  readonly #taken: Uint8Array;
  #base: ExtranonceBase;
  #next: number;
  #inUse = 0;
  /** Given back, in order of the newest job made before that. */
  #retired: { index: number; newestJobId: number }[] = [];

  /** RangeError when the sizes do not fit (total at most 32 bytes, index 1 to 3, at least one byte to roll). */
  constructor(options: ExtranonceOptions) {
    const { totalSize, prefix, indexSize, start } = options;
    checkOptions(options);
    this.rollableSize = totalSize - prefix.length - indexSize;
    this.#indexSize = indexSize;
    this.#base = { totalSize, prefix: prefix.slice() };
    this.#capacity = 2 ** (8 * indexSize);
    this.#taken = new Uint8Array(Math.ceil(this.#capacity / 8));
    this.#next = start % this.#capacity;
    if (prefix.every((byte) => byte === 0)) this.#mark(0);
  }

  /** Bytes of the whole extranonce. */
  get totalSize(): number {
    return this.#base.totalSize;
  }

  /** Prefixes that are not free: leased, or given back while jobs under them live. */
  get inUse(): number {
    return this.#inUse;
  }

  /** A prefix that nobody uses, or undefined when there is none. */
  allocate(): ExtranonceLease | undefined {
    const index = this.#firstFree();
    if (index === undefined) return undefined;
    this.#mark(index);
    this.#inUse += 1;
    this.#next = (index + 1) % this.#capacity;
    return this.#leaseOf(index);
  }

  /**
   * Puts another prefix before the index of every lease from now on, the ones handed out included: see {@link moved}.
   * RangeError, and nothing changed, when that would leave another number of bytes to extended channels.
   */
  rebase({ totalSize, prefix }: ExtranonceBase): void {
    checkOptions({ totalSize, prefix, indexSize: this.#indexSize, start: 0 });
    const rollable = totalSize - prefix.length - this.#indexSize;
    if (rollable !== this.rollableSize) {
      throw new RangeError(`${this.rollableSize} bytes were left to extended channels, ${rollable} would be`);
    }
    this.#base = { totalSize, prefix: prefix.slice() };
  }

  /** A lease as it is after {@link rebase}. */
  moved(lease: ExtranonceLease): ExtranonceLease {
    return this.#leaseOf(lease.index);
  }

  /** The prefix padded with zeros to the full size, as a standard channel gets it. */
  padded(lease: ExtranonceLease): Uint8Array {
    const prefix = new Uint8Array(this.totalSize);
    prefix.set(lease.prefix);
    return prefix;
  }

  /** Gives a prefix back; it becomes free once no job up to `newestJobId` lives. Call in order of job ids. */
  retire(lease: ExtranonceLease, newestJobId: number): void {
    this.#retired.push({ index: lease.index, newestJobId });
  }

  /** Frees the prefixes whose jobs are all older than the oldest living one (undefined: none lives). */
  releaseRetired(oldestLiveJobId: number | undefined): void {
    const oldest = oldestLiveJobId ?? Number.POSITIVE_INFINITY;
    const kept = this.#retired.findIndex((entry) => entry.newestJobId >= oldest);
    const free = kept === -1 ? this.#retired.length : kept;
    for (const { index } of this.#retired.splice(0, free)) {
      this.#taken[index >>> 3] = this.#byte(index) & ~(1 << (index & 7));
      this.#inUse -= 1;
    }
  }

  #leaseOf(index: number): ExtranonceLease {
    const { prefix: base } = this.#base;
    const prefix = new Uint8Array(base.length + this.#indexSize);
    prefix.set(base);
    for (let at = prefix.length - 1, rest = index; at >= base.length; at -= 1, rest >>>= 8) prefix[at] = rest & 0xff;
    return { index, prefix };
  }

  #firstFree(): number | undefined {
    for (let tried = 0; tried < this.#capacity; ) {
      const index = (this.#next + tried) % this.#capacity;
      if ((index & 7) === 0 && this.#byte(index) === 0xff) tried += 8;
      else if ((this.#byte(index) & (1 << (index & 7))) === 0) return index;
      else tried += 1;
    }
    return undefined;
  }

  #mark(index: number): void {
    this.#taken[index >>> 3] = this.#byte(index) | (1 << (index & 7));
  }

  #byte(index: number): number {
    return this.#taken[index >>> 3] ?? 0;
  }
}

function checkOptions({ totalSize, prefix, indexSize, start }: ExtranonceOptions): void {
  if (!Number.isInteger(indexSize) || indexSize < 1 || indexSize > 3) {
    throw new RangeError(`extranonce index must be 1 to 3 bytes, got ${indexSize}`);
  }
  const least = prefix.length + indexSize + 1;
  if (!Number.isInteger(totalSize) || totalSize > 32 || totalSize < least) {
    throw new RangeError(`extranonce must be ${least} to 32 bytes, got ${totalSize}`);
  }
  if (!Number.isSafeInteger(start) || start < 0) throw new RangeError(`extranonce start must be >= 0, got ${start}`);
}
