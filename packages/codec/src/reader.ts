import { CodecError, type CodecErrorCode } from "./codec-error.ts";

/** Reads little-endian values from the start of `bytes` to its end, never past it. */
export class Reader {
  /** Path of the field being read; it becomes {@link CodecError.at}. */
  at: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array, at: string) {
    this.at = at;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#view.byteLength - this.#offset;
  }

  /** A {@link CodecError} about the field being read. */
  fault(code: CodecErrorCode, options?: ErrorOptions): CodecError {
    return new CodecError(code, this.at, options);
  }

  /** One byte. */
  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** Two bytes, little-endian unless told. */
  uint16(littleEndian = true): number {
    return this.#view.getUint16(this.#advance(2), littleEndian);
  }

  /** Three bytes, little-endian. */
  uint24(): number {
    const start = this.#advance(3);
    return this.#view.getUint16(start, true) | (this.#view.getUint8(start + 2) << 16);
  }

  /** Four bytes, little-endian. */
  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Eight bytes, little-endian. */
  uint64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** Four bytes, little-endian IEEE 754. */
  float32(): number {
    return this.#view.getFloat32(this.#advance(4), true);
  }

  /**
   * The next `length` bytes as a view. Always a plain `Uint8Array`, also over a Node `Buffer`, whose `slice` would not
   * copy.
   */
  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, length);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.#view.byteLength - start) throw this.fault("short-read");
    this.#offset = start + length;
    return start;
  }
}
