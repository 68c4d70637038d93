import { appendFileSync, readFileSync, rmSync, statSync } from "node:fs";
import { fromHex, hex } from "@adit/bitcoin";
import type { BlockRow } from "@adit/share-store";

/** A store that takes no blocks fills this with a thousand of them. */
const MAX_BYTES = 1024 * 1024;

/**
 * Blocks that the share store has not got yet, in a file beside it. A block leaves for the template provider before its
 * row is committed, so a pool that is killed in between would have a block in the chain and no record of it. A line is
 * written before the block leaves and without waiting for the disk: that outlives the process, and a power cut is the
 * store's matter, whose commit follows in a moment.
 */
export class BlockJournal {
  readonly #path: string;
  #bytes: number;

  /** `path`: the file; it is there only while it holds something. */
  constructor(path: string) {
    this.#path = path;
    this.#bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** The rows that a former process left, oldest first. What is no whole line was never followed by a block. */
  read(): readonly BlockRow[] {
    if (this.#bytes === 0) return [];
    return readFileSync(this.#path, "utf8")
      .split("\n")
      .flatMap((line) => rowOf(line) ?? []);
  }

  /** Writes a row down. Throws errors of the file system as they are, and RangeError when the file is full. */
  add(row: BlockRow): void {
    const line = lineOf(row);
    if (this.#bytes + line.length > MAX_BYTES) throw new RangeError(`${this.#path} is full`);
    appendFileSync(this.#path, line);
    this.#bytes += line.length;
  }

  /** The store has every row. */
  clear(): void {
    if (this.#bytes === 0) return;
    rmSync(this.#path, { force: true });
    this.#bytes = 0;
  }
}

const byteFields = ["hash", "header", "coinbase", "prevHash"] as const;

/** Starts with a newline, so that it is whole whatever a torn line before it lacks. */
function lineOf(row: BlockRow): string {
  const bytes = Object.fromEntries(byteFields.map((field) => [field, hex(row[field])]));
  return `\n${JSON.stringify({ ...row, ...bytes, templateId: row.templateId?.toString() ?? null })}\n`;
}

function rowOf(line: string): BlockRow | undefined {
  try {
    const row = JSON.parse(line) as Omit<Record<keyof BlockRow, never>, "declaredBy"> &
      Partial<Pick<BlockRow, "declaredBy">>;
    // Versions before job declaration wrote no declaredBy.
    const { hash, header, coinbase, prevHash, templateId, declaredBy = null } = row;
    const bytes = {
      hash: fromHex(hash),
      header: fromHex(header),
      coinbase: fromHex(coinbase),
      prevHash: fromHex(prevHash),
    };
    return { ...row, ...bytes, declaredBy, templateId: templateId === null ? null : BigInt(templateId) };
  } catch {
    return undefined;
  }
}
