import { concatBytes } from "@noble/hashes/utils.js";
import { BitcoinError } from "./errors.ts";
import { decodeHeader, HEADER_SIZE, type HeaderFields } from "./header.ts";
import { compactSize, decodeTransactions, type Transaction } from "./transaction.ts";

/** A block, taken apart. */
export interface Block {
  /** Its header. */
  readonly header: HeaderFields;
  /** Its transactions, the coinbase first. */
  readonly transactions: readonly Transaction[];
}

/**
 * Serializes a block.
 *
 * @param header 80 bytes
 * @param transactions each serialized with its witnesses, the coinbase first
 * @throws BitcoinError `bad-header` when the header is not 80 bytes.
 */
export function encodeBlock(header: Uint8Array, transactions: readonly Uint8Array[]): Uint8Array {
  if (header.length !== HEADER_SIZE)
    throw new BitcoinError("bad-header", `a header has 80 bytes, not ${header.length}`);
  return concatBytes(header, compactSize(transactions.length), ...transactions);
}

/**
 * Reads one block; nothing may follow it. Hashes of the header, scripts and witness items are views.
 *
 * @throws BitcoinError `bad-block`
 */
export function decodeBlock(bytes: Uint8Array): Block {
  try {
    return {
      header: decodeHeader(bytes.subarray(0, HEADER_SIZE)),
      transactions: decodeTransactions(bytes.subarray(HEADER_SIZE)),
    };
  } catch (cause) {
    throw new BitcoinError("bad-block", "the bytes are not one serialized block", { cause });
  }
}
