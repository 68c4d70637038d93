import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { decodeHeader, hex, meetsTarget, sha256d, targetFromBits, targetToBytes } from "@adit/bitcoin";
import { syncFolder } from "@adit/role-nodes";
import { encodeRecord, type ReadRecord, read, readRecord, type StoredBlock, writeAll } from "./chain-record.ts";
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

const FILE_NAME = "blocks.dat";
/** Names the format; its last digit is the version. */
const MAGIC: Uint8Array = new TextEncoder().encode("adit regtest chain 1\n");
const HEADER_SIZE = 80;

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
  /** Headers of the blocks above genesis then, 80 bytes each. */
  readonly headers: readonly Uint8Array[];
  /** Bytes of a half-written record that were cut off at the end. */
  readonly droppedBytes: number;
  readonly #file: FileHandle;
  /** Where the record of each block begins; that of height 1 first. */
  readonly #starts: number[];
  #size: number;
  #failed = false;

  private constructor(file: FileHandle, path: string, scan: Scan & { readonly droppedBytes: number }) {
    this.#file = file;
    this.path = path;
    this.tip = scan.tip;
    this.last = scan.last;
    this.headers = scan.headers;
    this.#starts = [...scan.starts];
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
    this.#starts.push(this.#size);
    this.#size += record.length;
    this.#failed = false;
  }

  /**
   * The serialized block at a height, from 1 to the last one.
   *
   * @throws RangeError when there is none; ChainFileError `corrupt` when the disk gives back another than was written;
   *   errors of the file system as they are.
   */
  async read(height: number): Promise<Uint8Array> {
    const start = this.#starts[height - 1];
    if (start === undefined) throw new RangeError(`the file has no block of height ${height}`);
    const record = await readRecord(this.#file, start, this.#size);
    if (record.kind === "whole") return record.block;
    throw corrupt({ path: this.path, start, height });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** How far the file is read. */
interface Link {
  readonly tip: ChainTip;
  readonly last: StoredBlock | undefined;
  /** Where the last whole record ends. */
  readonly end: number;
}

interface Scan extends Link {
  readonly headers: readonly Uint8Array[];
  readonly starts: readonly number[];
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
  const headers: Uint8Array[] = [];
  const starts: number[] = [];
  let link: Link = { tip: genesisTip, last: undefined, end: MAGIC.length };
  while (link.end < size) {
    const start = link.end;
    const record = await readRecord(file, start, size);
    if (record.kind === "torn") break;
    const next = record.kind === "whole" ? connect(link, record) : undefined;
    if (next === undefined) throw corrupt({ path, start, height: link.tip.height + 1 });
    // Copied, as a view would keep the whole block.
    headers.push(next.last.bytes.slice(0, HEADER_SIZE));
    starts.push(start);
    link = next;
  }
  return { ...link, headers, starts };
}

function corrupt(record: { readonly path: string; readonly start: number; readonly height: number }): ChainFileError {
  const { path, start, height } = record;
  const detail = `block ${height} is damaged; restore the file from a copy, or move it away to start a new chain`;
  return new ChainFileError("corrupt", { at: `${path} at byte ${start}`, detail });
}

function connect(
  link: Link,
  { block, solvedBy, end }: ReadRecord & { readonly kind: "whole" },
): (Link & { readonly last: StoredBlock }) | undefined {
  if (block.length < HEADER_SIZE) return undefined;
  const header = block.subarray(0, HEADER_SIZE);
  const { prevHash, nbits } = decodeHeader(header);
  const meets = meetsTarget(sha256d(header), targetToBytes(targetFromBits(nbits)));
  if (!meets || hex(prevHash) !== hex(link.tip.hash)) return undefined;
  return { tip: tipAfter(link.tip, header), last: { bytes: block, solvedBy }, end };
}
