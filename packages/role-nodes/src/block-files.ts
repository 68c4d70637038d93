import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BitcoinError, decodeBlock, displayHash, encodeHeader, type Hash, sha256d } from "@adit/bitcoin";
import { bytesOfHex, hexOf } from "@adit/bitcoin-node";
import { syncFolder } from "./sync-folder.ts";

/** A solved block as its file has it. */
export interface FiledBlock {
  readonly height: number;
  /** Internal order. */
  readonly hash: Hash;
  /** The whole block, serialized. */
  readonly bytes: Uint8Array;
}

/** What is written beside a block once it has been judged. */
export interface FiledOutcome {
  readonly height: number;
  readonly hash: string;
  readonly outcome: string;
  /** What each node said, by its name. */
  readonly nodes: Readonly<Record<string, string>>;
}

/** Blocks of a former process that are taken up again at most; older ones stay in their files. */
const MAX_TAKEN_UP = 64;
const NAME = /^(\d{1,10})-([0-9a-f]{64})\.hex$/;

/**
 * Solved blocks on disk, one file each: `HEIGHT-HASH.hex`, what `submitblock` takes. Once a node has judged the block,
 * `HEIGHT-HASH.json` says what came of it. Neither is ever deleted.
 */
export class BlockFiles {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens a folder, and makes it when it is missing. Errors of the file system as they are. */
  static async open(folder: string): Promise<BlockFiles> {
    await mkdir(folder, { recursive: true });
    return new BlockFiles(folder);
  }

  /** Where a block is kept. */
  path({ height, hash }: Pick<FiledBlock, "height" | "hash">): string {
    return join(this.#folder, `${height}-${displayHash(hash)}.hex`);
  }

  /**
   * Resolves when the block is on the disk itself; a file of that name is whole, or it is not there. One call at a time
   * for one block. Errors of the file system as they are.
   */
  async add(block: FiledBlock): Promise<void> {
    const path = this.path(block);
    const unfinished = `${path}.tmp`;
    try {
      await writeThrough(unfinished, `${hexOf(block.bytes)}\n`);
      await rename(unfinished, path);
    } catch (error) {
      // What a full disk took of it only stands in the way; the error that is told is the first one.
      await rm(unfinished, { force: true }).catch(() => {});
      throw error;
    }
    await syncFolder(this.#folder);
  }

  /** Writes what came of a block, in place of what was written before. Errors of the file system as they are. */
  async judge(block: Pick<FiledBlock, "height" | "hash">, outcome: FiledOutcome): Promise<void> {
    const path = outcomePath(this.path(block));
    await writeFile(`${path}.tmp`, `${JSON.stringify(outcome, undefined, 2)}\n`);
    await rename(`${path}.tmp`, path);
  }

  /**
   * The newest blocks that no node has judged yet, lowest first; the files that hold another thing than their block; and
   * how many older blocks are left alone.
   */
  async unjudged(): Promise<{
    readonly blocks: readonly FiledBlock[];
    readonly broken: readonly string[];
    readonly left: number;
  }> {
    const names = await readdir(this.#folder);
    const judged = new Set(names.filter((name) => name.endsWith(".json")).map((name) => name.replace(".json", ".hex")));
    const open = names.filter((name) => NAME.test(name) && !judged.has(name)).toSorted(byHeight);
    const blocks: FiledBlock[] = [];
    const broken: string[] = [];
    for (const name of open.slice(-MAX_TAKEN_UP)) {
      const path = join(this.#folder, name);
      const block = readBlock(name, await readFile(path, "latin1"));
      if (block === undefined) broken.push(path);
      else blocks.push(block);
    }
    return { blocks, broken, left: Math.max(0, open.length - MAX_TAKEN_UP) };
  }
}

async function writeThrough(path: string, text: string): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}

function outcomePath(path: string): string {
  return path.replace(/\.hex$/, ".json");
}

function byHeight(one: string, other: string): number {
  return Number.parseInt(one, 10) - Number.parseInt(other, 10);
}

/** Undefined when the text is not the whole block of that name: somebody or something has changed the file. */
function readBlock(name: string, text: string): FiledBlock | undefined {
  const [, height, displayed] = NAME.exec(name) ?? [];
  try {
    const bytes = bytesOfHex(text.trim());
    const hash = sha256d(encodeHeader(decodeBlock(bytes).header));
    return displayHash(hash) === displayed ? { height: Number(height), hash, bytes } : undefined;
  } catch (error) {
    if (error instanceof BitcoinError || error instanceof RangeError) return undefined;
    throw error;
  }
}
