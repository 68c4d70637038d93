import {
  BitcoinError,
  type DecodedCoinbase,
  describeCoinbase,
  displayHash,
  hex,
  type Network,
  type ShareHashing,
} from "@adit/bitcoin";
import { BlockLedger, type BlockResult, blockResults, type FoundBlock, type LedgerInput } from "@adit/channels";
import type { SubmitSolution } from "@adit/codec";
import { peerText, type RoleContext } from "@adit/role-kit";
import type { BlockRow, ShareStore } from "@adit/share-store";
import type { BlockJournal } from "./block-journal.ts";
import type { PoolMetrics } from "./metrics.ts";

/** What {@link Blocks} works with. */
export interface BlocksOptions {
  readonly hashing: ShareHashing;
  readonly network: Network;
  readonly store: ShareStore;
  readonly journal: BlockJournal;
  readonly metrics: PoolMetrics;
  /** Sends a solution to the connected template provider; never throws. */
  readonly submit: (solution: SubmitSolution) => void;
  readonly log: RoleContext["log"];
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The newest block, for the status document. */
export interface LastBlock {
  readonly row: BlockRow;
  /** Undefined when it cannot be read. */
  readonly coinbase: DecodedCoinbase | undefined;
}

/** Rows kept in memory, the newest ones; also how many the store is asked for at start. */
const MAX_ROWS = 256;

interface Kept {
  row: BlockRow;
  /** Whether the store has the row at all. */
  isInserted: boolean;
  /** Whether the store has not got its newest state. */
  isDirty: boolean;
  /** Whether it was told that the store failed. */
  isReported: boolean;
}

/** Blocks from their discovery on: submits them, keeps their rows in the store, tells the operator of their fate. */
export class Blocks {
  readonly #options: BlocksOptions;
  readonly #ledger: BlockLedger;
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  #saving: Promise<void> | undefined;
  #last: LastBlock | undefined;

  constructor(options: BlocksOptions) {
    this.#options = options;
    this.#ledger = new BlockLedger(options.hashing);
  }

  /** The newest block that was ever found. */
  get last(): LastBlock | undefined {
    return this.#last;
  }

  /** Takes up the blocks that a former run left pending. */
  async restore(): Promise<void> {
    const rows = (await this.#options.store.blocks(MAX_ROWS)).toReversed();
    for (const row of rows) this.#restoreRow(row, true);
    const stored = new Set(rows.map(({ hash }) => hex(hash)));
    const unstored = this.#options.journal.read().filter(({ hash }) => !stored.has(hex(hash)));
    for (const row of unstored) this.#restoreRow(row, false);
    const last = unstored.at(-1) ?? rows.at(-1);
    if (last !== undefined) this.#last = { row: last, coinbase: this.#describe(last.coinbase) };
    this.#save();
  }

  /** A miner found a block. It leaves for the template provider as soon as it is written down. */
  found(block: FoundBlock): void {
    const { metrics, log, now } = this.#options;
    const { hash, header, coinbase, prevHash, height = null, userIdentity, worker = "" } = block;
    const found = { hash, height, header, coinbase, prevHash, userIdentity, worker, foundAt: now() };
    const declaredBy = block.declaration === undefined ? null : userIdentity;
    const templateId = block.templateId ?? null;
    const row: BlockRow = { ...found, templateId, declaredBy, result: "pending", resultAt: null };
    this.#keep({ row, isInserted: false, isDirty: true, isReported: false });
    this.#journal(row);
    this.handle({ type: "found", block });
    this.#save();
    metrics.blocksFound.inc({});
    this.#last = { row: this.#kept.get(hex(hash))?.row ?? row, coinbase: this.#describe(coinbase) };
    const { connection, channelId, declaration } = block;
    const fields = {
      hash: displayHash(hash),
      height,
      templateId: templateId?.toString() ?? null,
      declaration: declaration === undefined ? null : hex(declaration.id),
      connection,
      channelId,
    };
    log.info({ ...fields, coinbase: coinbaseFields(this.#last.coinbase) }, "block found");
    log.debug({ hash: fields.hash, userIdentity: peerText(userIdentity), worker: peerText(worker) }, "block finder");
  }

  /** Takes what bears on the fate of blocks, and performs what follows in order. */
  handle(input: LedgerInput): void {
    for (const effect of this.#ledger.handle(input)) {
      switch (effect.type) {
        case "submit":
          this.#submit(effect.solution, effect.hash);
          break;
        case "settle":
          this.#settle(effect.hash, effect.result);
          break;
        default:
          effect satisfies never;
      }
    }
  }

  /** Tries again to write what could not be written. Call it once a second. */
  tick(): void {
    this.#save();
  }

  /** Resolves when every row that can be written is. */
  async flush(): Promise<void> {
    await this.#saving;
    this.#save();
    await this.#saving;
  }

  #restoreRow(row: BlockRow, isInserted: boolean): void {
    this.#keep({ row, isInserted, isDirty: !isInserted, isReported: false });
    const { height, templateId } = row;
    const result = blockResults.find((known) => known === row.result) ?? "unknown";
    if (result === "pending") {
      this.#options.log.warn({ hash: displayHash(row.hash), height }, "block still pending from before");
    }
    const block = { ...row, height: height ?? undefined, templateId: templateId ?? undefined };
    // Those that are settled tell of others at their height.
    this.handle({ type: "found", block, result });
  }

  /** A journal that fails delays no block: the store will have it all the same. */
  #journal(row: BlockRow): void {
    const { journal, log } = this.#options;
    try {
      journal.add(row);
    } catch (error) {
      log.error({ error, hash: displayHash(row.hash) }, "block not written to the journal");
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

  #submit(solution: SubmitSolution, hash: Uint8Array): void {
    const { submit, metrics, log } = this.#options;
    submit(solution);
    metrics.solutionsSubmitted.inc({});
    log.info({ hash: displayHash(hash), templateId: solution.templateId.toString() }, "solution submitted");
  }

  #settle(hash: Uint8Array, result: BlockResult): void {
    const { metrics, log, now } = this.#options;
    metrics.blocksSettled.inc({ result });
    const kept = this.#kept.get(hex(hash));
    const fields = { hash: displayHash(hash), height: kept?.row.height, result };
    if (result === "accepted") log.info(fields, "block accepted");
    else log.warn(fields, "block not in the chain");
    if (kept === undefined) return;
    kept.row = { ...kept.row, result, resultAt: now() };
    kept.isDirty = true;
    if (this.#last !== undefined && hex(this.#last.row.hash) === hex(hash))
      this.#last = { ...this.#last, row: kept.row };
    this.#save();
  }

  #keep(kept: Kept): void {
    this.#kept.set(hex(kept.row.hash), kept);
    if (this.#kept.size <= MAX_ROWS) return;
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      return;
    }
  }

  #save(): void {
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined;
    });
  }

  async #saveAll(): Promise<void> {
    // Rows that come while this runs are appended to the map, and so are still visited.
    for (const kept of this.#kept.values()) {
      while (kept.isDirty) if (!(await this.#saveRow(kept))) return;
    }
    this.#clearJournal();
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

  #describe(coinbase: Uint8Array): DecodedCoinbase | undefined {
    try {
      return describeCoinbase(coinbase, this.#options.network);
    } catch (error) {
      if (error instanceof BitcoinError) return undefined;
      throw error;
    }
  }
}

/** A coinbase as logs and the status document show it. */
export function coinbaseFields(coinbase: DecodedCoinbase | undefined): unknown {
  if (coinbase === undefined) return null;
  const outputs = coinbase.outputs.map(({ value, address, type }) => ({
    value: value.toString(),
    address: address ?? null,
    type,
  }));
  return { height: coinbase.height ?? null, tag: coinbase.tag, outputs };
}
