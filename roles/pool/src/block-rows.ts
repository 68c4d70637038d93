import { displayHash, hex } from "@adit/bitcoin";
import type { RoleContext } from "@adit/role-kit";
import { type BlockRow, finalBlockResults, type ShareStore } from "@adit/share-store";
import type { BlockJournal } from "./block-journal.ts";

/** What {@link BlockRows} works with. */
export interface BlockRowsOptions {
  readonly store: ShareStore;
  readonly journal: BlockJournal;
  readonly log: RoleContext["log"];
}

/** Rows in memory, the newest ones and those that are open. */
const MAX_ROWS = 2_048;
/** Rows that are written with one commit, and that a failing store is told of at once. */
const MAX_AT_ONCE = 64;

interface Kept {
  row: BlockRow;
  /** Whether the store has the row at all. */
  isInserted: boolean;
  /** Whether the store has not got its newest state. */
  isDirty: boolean;
  /** Whether it was told that the store failed. */
  isReported: boolean;
}

/** Rows of blocks on their way to the share store: tried again until they are there. */
export class BlockRows {
  readonly #options: BlockRowsOptions;
  /** By hash, oldest first. */
  readonly #kept = new Map<string, Kept>();
  #saving: Promise<void> | undefined;

  constructor(options: BlockRowsOptions) {
    this.#options = options;
  }

  /** A row as it is now; undefined when it is not kept. */
  get(hash: Uint8Array): BlockRow | undefined {
    return this.#kept.get(hex(hash))?.row;
  }

  /** The newest rows, newest first. */
  newest(limit: number): readonly BlockRow[] {
    const rows = [...this.#kept.values()].map(({ row }) => row);
    return rows.toSorted((one, other) => other.foundAt - one.foundAt).slice(0, limit);
  }

  /** Takes a row that the store has. */
  stored(row: BlockRow): void {
    this.#keep({ row, isInserted: true, isDirty: false, isReported: false });
  }

  /** Takes the row of a block that is about to leave, which the journal has from here on. Call {@link save} then. */
  found(row: BlockRow): void {
    const { journal, log } = this.#options;
    this.unstored(row);
    try {
      journal.add(row);
    } catch (error) {
      // A journal that fails delays no block: the store will have it all the same.
      log.error({ error, hash: displayHash(row.hash) }, "block not written to the journal");
    }
  }

  /** Takes a row that the store has not got. Call {@link save} when it may be written. */
  unstored(row: BlockRow): void {
    this.#keep({ row, isInserted: false, isDirty: true, isReported: false });
  }

  /** Notes what became of a block; nothing for one whose row is not kept. */
  settle(hash: Uint8Array, { result, resultAt }: { readonly result: string; readonly resultAt: number }): void {
    const kept = this.#kept.get(hex(hash));
    if (kept === undefined) return;
    kept.row = { ...kept.row, result, resultAt };
    kept.isDirty = true;
    this.save();
  }

  /** Lets go of a row, unless the store has not got its newest state. */
  forget(hash: Uint8Array): void {
    if (this.#kept.get(hex(hash))?.isDirty === false) this.#kept.delete(hex(hash));
  }

  /** Writes what can be written. Returns at once. */
  save(): void {
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined;
    });
  }

  /** Resolves when every row that can be written is. */
  async flush(): Promise<void> {
    await this.#saving;
    this.save();
    await this.#saving;
  }

  #keep(kept: Kept): void {
    this.#kept.set(hex(kept.row.hash), kept);
    if (this.#kept.size <= MAX_ROWS) return;
    const all = [...this.#kept.values()];
    const stored = all.filter(({ isDirty }) => !isDirty);
    const dropped = stored.find(({ row }) => isFinal(row)) ?? stored[0] ?? all[0];
    if (dropped !== undefined) this.#kept.delete(hex(dropped.row.hash));
  }

  async #saveAll(): Promise<void> {
    for (let next = this.#dirty(); next.length > 0; next = this.#dirty()) {
      const saved = await Promise.all(next.map((kept) => this.#saveRow(kept)));
      if (saved.includes(false)) return;
    }
    this.#clearJournal();
  }

  /** What is written next, in one commit: a new block before what has become of others. */
  #dirty(): readonly Kept[] {
    const dirty = [...this.#kept.values()].filter(({ isDirty }) => isDirty);
    return dirty.toSorted((one, other) => Number(one.isInserted) - Number(other.isInserted)).slice(0, MAX_AT_ONCE);
  }

  async #saveRow(kept: Kept): Promise<boolean> {
    const { store, log } = this.#options;
    const { row } = kept;
    const { hash, result, resultAt } = row;
    try {
      if (!kept.isInserted) await store.recordBlock(row);
      else if (resultAt !== null) await store.setBlockResult({ hash, result, at: resultAt });
      kept.isInserted = true;
      kept.isDirty = kept.row !== row;
      return true;
    } catch (error) {
      if (!kept.isReported) {
        const bytes = { header: hex(row.header), coinbase: hex(row.coinbase) };
        log.error(
          { error, hash: displayHash(hash), ...bytes, result },
          "block row not written; tried again each second",
        );
      }
      kept.isReported = true;
      return false;
    }
  }

  #clearJournal(): void {
    const { journal, log } = this.#options;
    if ([...this.#kept.values()].some(({ isInserted }) => !isInserted)) return;
    try {
      journal.clear();
    } catch (error) {
      log.warn({ error }, "journal of blocks not cleared");
    }
  }
}

/** Whether nothing changes a block's result any more. */
export function isFinal({ result }: Pick<BlockRow, "result">): boolean {
  return finalBlockResults.some((final) => final === result);
}
