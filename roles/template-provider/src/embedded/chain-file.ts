import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { decodeHeader, hex, meetsTarget, sha256d, targetFromBits, targetToBytes } from "@adit/bitcoin";
import { syncFolder } from "../sync-folder.ts";
import type { SolvedBlock, SolvedBy } from "../template/solved-block.ts";
import { type ChainTip, genesisTip, tipAfter } from "./chain-tip.ts";

/**
 * - `corrupt`: the file is damaged somewhere before its end
 * - `not-a-chain`: the file is something else, or of a newer version
 * - `changed`: another process writes to the same file
 * - `failed`: an earlier write failed, so that the end of the file is not known
 */
export type ChainFileErrorCode = "corrupt" | "not-a-chain" | "changed" | "failed";

/** A chain on disk that cannot be trusted or written to. The message says what to do. */
class ChainFileError extends Error {
  override readonly name = "ChainFileError";
  /** What went wrong, for programs. */
  readonly code: ChainFileErrorCode;
  /** Path of the file, and the byte in it when that helps. */
  readonly at: string;

  constructor(code: ChainFileErrorCode, { at, detail }: { readonly at: string; readonly detail: string }) {
    super(`${at}: ${detail}`);
    this.code = code;
    this.at = at;
  }
}

/** A block as the file keeps it. */
export type StoredBlock = Pick<SolvedBlock, "bytes" | "solvedBy">;

const FILE_NAME = "blocks.dat";
/** Names the format; its last digit is the version. */
const MAGIC: Uint8Array = new TextEncoder().encode("adit regtest chain 1\n");
const HEADER_SIZE = 80;
const CHECKSUM_SIZE = 8;
/** Length of the block (u32, little-endian) and who solved it (one byte). */
const RECORD_START_SIZE = 4 + 1;
/** The start has its own checksum, so that a damaged length is not taken for a record cut short. Then the block's. */
const RECORD_HEADER_SIZE = RECORD_START_SIZE + 2 * CHECKSUM_SIZE;
const solvers: readonly SolvedBy[] = ["client", "elsewhere"];

/**
 * The blocks above genesis in one file that only grows: a line that names the format, then a record a block.
 *
 * A record counts once it is whole and its checksum fits. What a crash left half written can only be the last record;
 * it is cut off at the next start. Any other damage is an error, for a block that was announced would be lost.
 */
export class ChainFile implements AsyncDisposable {
  /** Path of the file. */
  readonly path: string;
  /** Where the chain ended when it was opened. */
  readonly tip: ChainTip;
  /** Its last block then; undefined for an empty chain. */
  readonly last: StoredBlock | undefined;
  /** Bytes of a half-written record that were cut off at the end. */
  readonly droppedBytes: number;
  readonly #file: FileHandle;
  #size: number;
  #failed = false;

  private constructor(file: FileHandle, path: string, scan: Scan & { readonly droppedBytes: number }) {
    this.#file = file;
    this.path = path;
    this.tip = scan.tip;
    this.last = scan.last;
    this.droppedBytes = scan.droppedBytes;
    this.#size = scan.end;
  }

  /**
   * Opens the chain in a folder, or begins one there.
   *
   * @throws ChainFileError `corrupt` or `not-a-chain`; errors of the file system as they are.
   */
  static async open(folder: string): Promise<ChainFile> {
    await mkdir(folder, { recursive: true });
    const path = join(folder, FILE_NAME);
    const file = await openForUpdate(path);
    try {
      const { size } = await file.stat();
      await begin(file, { path, size });
      const scan = await scanRecords(file, path);
      const droppedBytes = Math.max(0, size - scan.end);
      if (droppedBytes > 0) {
        await file.truncate(scan.end);
        await file.sync();
      }
      return new ChainFile(file, path, { ...scan, droppedBytes });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Resolves when the block is on the disk itself. One call at a time.
   *
   * @throws ChainFileError `changed` when another process has written to the file, `failed` after an earlier error;
   *   errors of the file system as they are. After any of them nothing more can be appended.
   */
  async append(block: StoredBlock): Promise<void> {
    if (this.#failed) {
      throw new ChainFileError("failed", {
        at: this.path,
        detail: "an earlier write failed; free the disk and restart",
      });
    }
    this.#failed = true;
    const { size } = await this.#file.stat();
    if (size !== this.#size) {
      const detail = "another process writes to this chain; give each template provider its own data_path";
      throw new ChainFileError("changed", { at: this.path, detail });
    }
    const record = encodeRecord(block);
    await writeAll(this.#file, record, this.#size);
    await this.#file.datasync();
    this.#size += record.length;
    this.#failed = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

interface Scan {
  readonly tip: ChainTip;
  readonly last: StoredBlock | undefined;
  /** Where the last whole record ends. */
  readonly end: number;
}

async function openForUpdate(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return await open(path, "wx+");
  }
}

/** Writes the first line of a file that has none yet, or only part of one after a crash, and checks it otherwise. */
async function begin(
  file: FileHandle,
  { path, size }: { readonly path: string; readonly size: number },
): Promise<void> {
  const start = await read(file, 0, Math.min(size, MAGIC.length));
  if (!start.every((byte, at) => byte === MAGIC[at])) {
    const detail = "this is no chain of this version of the template provider; choose another data_path";
    throw new ChainFileError("not-a-chain", { at: path, detail });
  }
  if (start.length === MAGIC.length) return;
  await writeAll(file, MAGIC, 0);
  await file.sync();
  await syncFolder(dirname(path));
}

async function scanRecords(file: FileHandle, path: string): Promise<Scan> {
  const { size } = await file.stat();
  let scan: Scan = { tip: genesisTip, last: undefined, end: MAGIC.length };
  while (scan.end < size) {
    const record = await readRecord(file, scan.end, size);
    if (record.kind === "torn") return scan;
    const next = record.kind === "whole" ? connect(scan, record) : undefined;
    if (next === undefined) {
      const at = `${path} at byte ${scan.end}`;
      const detail = `block ${scan.tip.height + 1} is damaged; restore the file from a copy, or move it away to start a new chain`;
      throw new ChainFileError("corrupt", { at, detail });
    }
    scan = next;
  }
  return scan;
}

type ReadRecord =
  | { readonly kind: "whole"; readonly block: Uint8Array; readonly solvedBy: SolvedBy; readonly end: number }
  | { readonly kind: "torn" | "damaged" };

async function readRecord(file: FileHandle, at: number, size: number): Promise<ReadRecord> {
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

function connect(scan: Scan, { block, solvedBy, end }: ReadRecord & { readonly kind: "whole" }): Scan | undefined {
  if (block.length < HEADER_SIZE) return undefined;
  const header = block.subarray(0, HEADER_SIZE);
  const { prevHash, nbits } = decodeHeader(header);
  const meets = meetsTarget(sha256d(header), targetToBytes(targetFromBits(nbits)));
  if (!meets || hex(prevHash) !== hex(scan.tip.hash)) return undefined;
  return { tip: tipAfter(scan.tip, header), last: { bytes: block, solvedBy }, end };
}

function encodeRecord({ bytes, solvedBy }: StoredBlock): Uint8Array {
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

async function read(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}
