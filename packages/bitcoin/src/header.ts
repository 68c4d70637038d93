import { BitcoinError } from "./errors.ts";

/** Size of a block header in bytes. */
export const HEADER_SIZE = 80;

/** What a block header says. Integers are unsigned 32-bit. */
export interface HeaderFields {
  /** Version with its rolled bits, unsigned (Bitcoin Core prints it signed). */
  readonly version: number;
  /** Hash of the block before, 32 bytes, internal order. */
  readonly prevHash: Uint8Array;
  /** Merkle root of the transaction ids, 32 bytes, internal order. */
  readonly merkleRoot: Uint8Array;
  /** Time in Unix seconds. */
  readonly ntime: number;
  /** Target in compact form. */
  readonly nbits: number;
  /** What the miner varies first. */
  readonly nonce: number;
}

/**
 * The 80 bytes that are hashed. Integers are taken modulo 2^32.
 *
 * @throws RangeError when a hash is not 32 bytes.
 */
export function encodeHeader(fields: HeaderFields): Uint8Array {
  if (fields.prevHash.length !== 32 || fields.merkleRoot.length !== 32) {
    throw new RangeError("prevHash and merkleRoot have 32 bytes each");
  }
  const bytes = new Uint8Array(HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fields.version, true);
  bytes.set(fields.prevHash, 4);
  bytes.set(fields.merkleRoot, 36);
  view.setUint32(68, fields.ntime, true);
  view.setUint32(72, fields.nbits, true);
  view.setUint32(76, fields.nonce, true);
  return bytes;
}

/**
 * Reads an 80-byte header. The hashes are views into `bytes`.
 *
 * @throws BitcoinError `bad-header` when there are not exactly 80 bytes.
 */
export function decodeHeader(bytes: Uint8Array): HeaderFields {
  if (bytes.length !== HEADER_SIZE) throw new BitcoinError("bad-header", `a header has 80 bytes, not ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    version: view.getUint32(0, true),
    prevHash: bytes.subarray(4, 36),
    merkleRoot: bytes.subarray(36, 68),
    ntime: view.getUint32(68, true),
    nbits: view.getUint32(72, true),
    nonce: view.getUint32(76, true),
  };
}
