/*
 * Hexadecimal by Node's own means: a template or a block has megabytes of it, which takes `@adit/bitcoin`, written for
 * everywhere, many times as long, and both are waited for.
 */

/** Lower-case hexadecimal, two digits a byte. */
export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/**
 * The bytes written as hexadecimal, in memory of their own.
 *
 * @throws RangeError unless the text is an even number of hexadecimal digits.
 */
export function bytesOfHex(text: string): Uint8Array {
  // Not Buffer.from, whose small results share memory, so that one of them would keep the others.
  const buffer = Buffer.allocUnsafeSlow(text.length >>> 1);
  // Stops at the first pair that is none, but looks at the low byte of a character only.
  const written = buffer.write(text, "hex");
  if (written * 2 !== text.length || Buffer.byteLength(text) !== text.length) {
    throw new RangeError("the text is not an even number of hexadecimal digits");
  }
  return new Uint8Array(buffer.buffer);
}
