import { fromHex } from "@adit/bitcoin";

const SHORT_HEX = /^[0-9a-fA-F]{1,8}$/;
const HEX = /^(?:[0-9a-fA-F]{2})*$/;

/** A 32-bit number in 1 to 8 hex digits, most significant first; some firmware leaves out leading zeros. */
export function readUint32(value: unknown): number | undefined {
  return typeof value === "string" && SHORT_HEX.test(value) ? Number.parseInt(value, 16) : undefined;
}

/** A 32-bit number as 8 hex digits, most significant first. */
export function uint32Hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** Bytes in hex, strictly: an even number of digits of either case, nothing else. */
export function readBytes(value: unknown): Uint8Array | undefined {
  return typeof value === "string" && HEX.test(value) ? fromHex(value) : undefined;
}
