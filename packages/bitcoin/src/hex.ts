import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { BitcoinError } from "./errors.ts";

/** Lower-case hexadecimal, two digits a byte, in the order of the bytes. */
export function hex(bytes: Uint8Array): string {
  return bytesToHex(bytes);
}

/**
 * The bytes written as hexadecimal, upper or lower case.
 *
 * @throws BitcoinError `bad-hex` for anything else: an odd number of digits, a `0x`, a space.
 */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new BitcoinError("bad-hex", `${text.length} digits do not make whole bytes`);
  if (!/^[0-9a-fA-F]*$/.test(text)) throw new BitcoinError("bad-hex", "only the digits 0-9 and a-f are allowed");
  return hexToBytes(text);
}
