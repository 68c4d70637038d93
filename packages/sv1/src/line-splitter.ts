import { Sv1Error } from "./sv1-error.ts";

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Cuts a byte stream into lines. A line ends with "\n" or "\r\n"; empty lines are skipped.
 *
 * Holds at most `maxLine` bytes whatever arrives, and looks at each byte once. After it has thrown it stays broken:
 * every later `push` throws the same error, since the place of the next line is unknown.
 */
export class LineSplitter {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #partial: Uint8Array;
  #length = 0;
  #broken: Sv1Error | undefined;

  /** `maxLine`: the longest line accepted, in bytes, its terminator not counted. Miners get 4,096. */
  constructor(maxLine: number) {
    if (!Number.isSafeInteger(maxLine) || maxLine < 1)
      throw new RangeError(`maxLine must be 1 or more, got ${maxLine}`);
    // One byte more than a line, for the "\r" that may precede the newline.
    this.#partial = new Uint8Array(maxLine + 1);
  }

  /**
   * Takes the bytes that arrived and returns the lines they complete, without terminators.
   * Throws `Sv1Error` `line-too-long` or `not-utf8`; lines before the fault in the same bytes are given up with it.
   */
  push(bytes: Uint8Array): readonly string[] {
    if (this.#broken !== undefined) throw this.#broken;
    const lines: string[] = [];
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      const line = this.#complete(bytes.subarray(start, end));
      if (line !== "") lines.push(line);
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  #complete(tail: Uint8Array): string {
    let line = tail;
    if (this.#length > 0) {
      this.#keep(tail);
      line = this.#partial.subarray(0, this.#length);
      this.#length = 0;
    }
    if (line.at(-1) === CARRIAGE_RETURN) line = line.subarray(0, -1);
    if (line.length >= this.#partial.length) this.#fail(new Sv1Error("line-too-long", `byte ${line.length}`));
    try {
      return this.#decoder.decode(line);
    } catch (cause) {
      return this.#fail(new Sv1Error("not-utf8", "line", { cause }));
    }
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    const buffer = this.#partial;
    if (length > buffer.length) this.#fail(new Sv1Error("line-too-long", `byte ${length}`));
    buffer.set(bytes, this.#length);
    if (length === buffer.length && buffer.at(-1) !== CARRIAGE_RETURN) {
      this.#fail(new Sv1Error("line-too-long", `byte ${length}`));
    }
    this.#length = length;
  }

  #fail(error: Sv1Error): never {
    this.#broken = error;
    this.#length = 0;
    throw error;
  }
}
