import { CodecError, type CodecErrorCode } from "./codec-error.ts";

const INITIAL_CAPACITY = 4096;
const KEPT_CAPACITY = 65_536;

/** Writes little-endian values into a buffer that grows as needed, up to a limit, and is used again for the next frame. */
export class Writer {
  /** Path of the field being written; it becomes {@link CodecError.at}. */
  at = "";
  /** Most bytes that may be written before `frame-too-large`. */
  readonly #limit: number;
  #bytes: Uint8Array;
  #view: DataView;
  #offset = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#bytes = new Uint8Array(Math.min(limit, INITIAL_CAPACITY));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written since the last {@link start}. */
  get length(): number {
    return this.#offset;
  }

  /** Forgets what was written. A buffer that one large frame had blown up is let go. */
  start(at: string): void {
    this.at = at;
    this.#offset = 0;
    if (this.#bytes.length > KEPT_CAPACITY) this.#replaceBuffer(INITIAL_CAPACITY);
  }

  /** A copy of what was written since {@link start}. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#offset);
  }

  /** A {@link CodecError} about the field being written. */
  fault(code: CodecErrorCode): CodecError {
    return new CodecError(code, this.at);
  }

  /** One byte; `value-out-of-range` unless an integer of 0 to 0xff. */
  uint8(value: number): void {
    this.#check(value, 0xff);
    const start = this.#advance(1);
    this.#view.setUint8(start, value);
  }

  /** Two bytes, little-endian unless told; `value-out-of-range` unless an integer of 0 to 0xffff. */
  uint16(value: number, littleEndian = true): void {
    this.#check(value, 0xffff);
    const start = this.#advance(2);
    this.#view.setUint16(start, value, littleEndian);
  }

  /** Three bytes, little-endian; `value-out-of-range` unless an integer of 0 to 0xffffff. */
  uint24(value: number): void {
    this.#check(value, 0xffffff);
    this.patchUint24(this.#advance(3), value);
  }

  /** Four bytes, little-endian; `value-out-of-range` unless an integer of 0 to 0xffffffff. */
  uint32(value: number): void {
    this.#check(value, 0xffffffff);
    const start = this.#advance(4);
    this.#view.setUint32(start, value, true);
  }

  /** Eight bytes, little-endian; `value-out-of-range` unless a bigint of 0 to 2^64 - 1. */
  uint64(value: bigint): void {
    if (typeof value !== "bigint" || value < 0n || value > 0xffffffffffffffffn) throw this.fault("value-out-of-range");
    const start = this.#advance(8);
    this.#view.setBigUint64(start, value, true);
  }

  /** Four bytes, little-endian IEEE 754, rounded; `value-out-of-range` for a finite number that rounds to infinity. */
  float32(value: number): void {
    if (typeof value !== "number" || (Number.isFinite(value) && !Number.isFinite(Math.fround(value)))) {
      throw this.fault("value-out-of-range");
    }
    const start = this.#advance(4);
    this.#view.setFloat32(start, value, true);
  }

  /** The bytes as they are. */
  bytes(value: Uint8Array): void {
    const start = this.#advance(value.length);
    this.#bytes.set(value, start);
  }

  /** Overwrites three bytes written before, little-endian. */
  patchUint24(offset: number, value: number): void {
    this.#view.setUint16(offset, value & 0xffff, true);
    this.#view.setUint8(offset + 2, value >>> 16);
  }

  #check(value: number, max: number): void {
    if (!Number.isInteger(value) || value < 0 || value > max) throw this.fault("value-out-of-range");
  }

  /** Makes room and moves on. Call it before touching the view: it may replace the buffer. */
  #advance(length: number): number {
    const start = this.#offset;
    const end = start + length;
    if (end > this.#limit) throw this.fault("frame-too-large");
    if (end > this.#bytes.length) this.#replaceBuffer(Math.max(end, Math.min(this.#limit, this.#bytes.length * 2)));
    this.#offset = end;
    return start;
  }

  #replaceBuffer(capacity: number): void {
    const previous = this.#bytes;
    this.#bytes = new Uint8Array(capacity);
    this.#bytes.set(previous.subarray(0, this.#offset));
    this.#view = new DataView(this.#bytes.buffer);
  }
}
