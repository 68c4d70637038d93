import type { FileHandle } from "node:fs/promises";
import { sha256d } from "@adit/bitcoin";
import type { SolvedBlock, SolvedBy } from "../template/solved-block.ts";

/** A block as the chain's file keeps it. */
export type StoredBlock = Pick<SolvedBlock, "bytes" | "solvedBy">;

const CHECKSUM_SIZE = 8;
/** Length of the block (u32, little-endian) and who solved it (one byte). */
const RECORD_START_SIZE = 4 + 1;
/** The start has its own checksum, so that a damaged length is not taken for a record cut short. Then the block's. */
const RECORD_HEADER_SIZE = RECORD_START_SIZE + 2 * CHECKSUM_SIZE;
const solvers: readonly SolvedBy[] = ["client", "elsewhere", "rpc"];

/** What a file has at some place: a whole record, one that was cut short, or one that is damaged. */
export type ReadRecord =
  | { readonly kind: "whole"; readonly block: Uint8Array; readonly solvedBy: SolvedBy; readonly end: number }
  | { readonly kind: "torn" | "damaged" };

/** Reads the record that begins at `at` in a file of `size` bytes. */
export async function readRecord(file: FileHandle, at: number, size: number): Promise<ReadRecord> {
  const header = await read(file, at, Math.min(RECORD_HEADER_SIZE, size - at));
  if (header.length < RECORD_HEADER_SIZE) return { kind: "torn" };
  const start = header.subarray(0, RECORD_START_SIZE);
  const sums = header.subarray(RECORD_START_SIZE);
  const solvedBy = solvers[start[4] ?? solvers.length];
  if (solvedBy === undefined || !fits(start, sums.subarray(0, CHECKSUM_SIZE))) {
    // A power cut may leave a file that has grown but was not filled.
    return { kind: (await isZero(file, at, size)) ? "torn" : "damaged" };
  }
  const length = new DataView(start.buffer, start.byteOffset).getUint32(0, true);
  const end = at + RECORD_HEADER_SIZE + length;
  if (end > size) return { kind: "torn" };
  const block = await read(file, at + RECORD_HEADER_SIZE, length);
  if (fits(block, sums.subarray(CHECKSUM_SIZE))) return { kind: "whole", block, solvedBy, end };
  // Only the last record can have been interrupted, and then it was never announced.
  return { kind: end === size ? "torn" : "damaged" };
}

/** A block as a record. */
export function encodeRecord({ bytes, solvedBy }: StoredBlock): Uint8Array {
  const start = new Uint8Array(RECORD_START_SIZE);
  new DataView(start.buffer).setUint32(0, bytes.length, true);
  start[4] = solvers.indexOf(solvedBy);
  const record = new Uint8Array(RECORD_HEADER_SIZE + bytes.length);
  record.set(start);
  record.set(checksum(start), RECORD_START_SIZE);
  record.set(checksum(bytes), RECORD_START_SIZE + CHECKSUM_SIZE);
  record.set(bytes, RECORD_HEADER_SIZE);
  return record;
}

function checksum(bytes: Uint8Array): Uint8Array {
  return sha256d(bytes).subarray(0, CHECKSUM_SIZE);
}

function fits(bytes: Uint8Array, sum: Uint8Array): boolean {
  return checksum(bytes).every((byte, at) => byte === sum[at]);
}

async function isZero(file: FileHandle, from: number, to: number): Promise<boolean> {
  const chunk = 64 * 1024;
  for (let at = from; at < to; at += chunk) {
    const bytes = await read(file, at, Math.min(chunk, to - at));
    if (bytes.some((byte) => byte !== 0)) return false;
  }
  return true;
}

/** Reads so many bytes, or fewer where the file ends. */
export async function read(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** Writes all bytes at a place. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}
