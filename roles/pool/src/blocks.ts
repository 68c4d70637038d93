import {
  BitcoinError,
  type DecodedCoinbase,
  describeCoinbase,
  displayHash,
  hex,
  type Network,
  type ShareHashing,
} from "@adit/bitcoin";
import { BlockLedger, type FoundBlock, type LedgerInput } from "@adit/channels";
import type { SubmitSolution } from "@adit/codec";
import { peerText, type RoleContext } from "@adit/role-kit";
import type { BlockRow, ShareStore } from "@adit/share-store";
import type { BlockJournal } from "./block-journal.ts";
import { coinbaseFields, ledgerResult, type PoolBlockResult, resultLines } from "./block-results.ts";
import { BlockRows, isFinal } from "./block-rows.ts";
import { MAX_FOLLOWED } from "./burial/block-burial.ts";
import { BlockJudge, type ChainJudges, type JudgeStatus } from "./burial/block-judge.ts";
import type { PoolMetrics } from "./metrics.ts";

/** What {@link Blocks} works with. */
export interface BlocksOptions {
  readonly hashing: ShareHashing;
  readonly network: Network;
  readonly store: ShareStore;
  readonly journal: BlockJournal;
  readonly metrics: PoolMetrics;
  /** Who says what becomes of blocks, and after how many confirmations for good; undefined: the tips do, for now. */
  readonly judges: { readonly nodes: ChainJudges; readonly maturity: number } | undefined;
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

/** A block on record, for the status document. */
export interface BlockView {
  readonly row: BlockRow;
  /** Undefined when no node follows it, or none has told them yet. */
  readonly confirmations: number | undefined;
}

/** The newest rows that are taken up at the start; more only where they are open and nodes judge them. */
const MAX_RESTORED = 256;

/** Blocks from their discovery on: submits them, keeps their rows in the store, tells the operator of their fate. */
export class Blocks implements AsyncDisposable {
  readonly #options: BlocksOptions;
  readonly #ledger: BlockLedger;
  readonly #rows: BlockRows;
  /** Undefined without nodes. */
  readonly #judge: BlockJudge | undefined;
  /** Open blocks may be in the store that are not followed. */
  #isMoreOpen = false;
  #takingUp: Promise<void> | undefined;
  #last: LastBlock | undefined;

  constructor(options: BlocksOptions) {
    this.#options = options;
    const { store, journal, judges, log } = options;
    this.#ledger = new BlockLedger(options.hashing);
    this.#rows = new BlockRows({ store, journal, log });
    this.#judge =
      judges &&
      new BlockJudge({
        ...judges,
        onJudged: ({ hash, result, before, confirmations }) => this.#settle(hash, result, { before, confirmations }),
        onLeft: ({ hash }) => {
          this.#rows.forget(hash);
          this.#isMoreOpen = true;
        },
        log,
        now: () => performance.now(),
      });
  }

  /** The newest block that was ever found. */
  get last(): LastBlock | undefined {
    if (this.#last === undefined) return undefined;
    const { row, coinbase } = this.#last;
    return { row: this.#rows.get(row.hash) ?? row, coinbase };
  }

  /** The nodes that judge blocks; undefined without. */
  get judgeStatus(): JudgeStatus | undefined {
    return this.#judge?.status();
  }

  /** The newest blocks, newest first. */
  newest(limit: number): readonly BlockView[] {
    return this.#rows.newest(limit).map((row) => ({ row, confirmations: this.confirmations(row) }));
  }

  /** How deep a block is; undefined when no node follows it. */
  confirmations({ hash }: Pick<BlockRow, "hash">): number | undefined {
    return this.#judge?.confirmations(hash);
  }

  /** Takes up the blocks that a former run left: those that are pending, and with nodes all that are open. */
  async restore(): Promise<void> {
    const { store, journal, log } = this.#options;
    if (this.#judge === undefined) {
      log.warn(
        "no bitcoin_node is configured: what becomes of blocks is taken from tips, which tell of no reorganisation",
      );
    }
    const rows = (await store.blocks(MAX_RESTORED)).toReversed();
    await this.#takeUpOpen();
    const stored = new Set(rows.map(({ hash }) => hex(hash)));
    const unstored = journal.read().filter(({ hash }) => !stored.has(hex(hash)));
    for (const row of rows) this.#rows.stored(row);
    for (const row of unstored) this.#rows.unstored(row);
    for (const row of [...rows, ...unstored]) this.#restoreRow(row);
    const last = unstored.at(-1) ?? rows.at(-1);
    if (last !== undefined) this.#last = { row: last, coinbase: this.#describe(last.coinbase) };
    this.#rows.save();
  }

  /** A miner found a block. It leaves for the template provider as soon as it is written down. */
  found(block: FoundBlock): void {
    const { metrics, log, now } = this.#options;
    const { hash, header, coinbase, prevHash, height = null, userIdentity, worker = "" } = block;
    const found = { hash, height, header, coinbase, prevHash, userIdentity, worker, foundAt: now() };
    const declaredBy = block.declaration === undefined ? null : userIdentity;
    const templateId = block.templateId ?? null;
    const row: BlockRow = { ...found, templateId, declaredBy, result: "pending", resultAt: null };
    this.#rows.found(row);
    this.handle({ type: "found", block });
    this.#follow(row);
    this.#rows.save();
    metrics.blocksFound.inc({});
    this.#last = { row, coinbase: this.#describe(coinbase) };
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
          // Tips alone do not tell of what a chain was left for: a node does, where there is one.
          if (this.#judge === undefined) this.#settle(effect.hash, effect.result);
          break;
        default:
          effect satisfies never;
      }
    }
    if (input.type === "prev-hash") this.#judge?.tipTold(input.prevHash.prevHash);
  }

  /** Tries again to write what could not be written, and to judge what could not be judged. Call it once a second. */
  tick(): void {
    this.#rows.save();
    this.#judge?.tick();
    if (!this.#isMoreOpen || (this.#judge?.status().open ?? MAX_FOLLOWED) >= MAX_FOLLOWED) return;
    this.#takingUp ??= this.#takeUpOpen()
      .catch((error: unknown) => this.#options.log.warn({ error }, "open blocks not read; tried again each second"))
      .finally(() => {
        this.#takingUp = undefined;
      });
  }

  /** Asks no node any more. Resolves when every row that can be written is. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#judge?.[Symbol.asyncDispose]();
    await this.#takingUp;
    await this.#rows.flush();
  }

  /** Follows the newest blocks that are open on record, however old they are. */
  async #takeUpOpen(): Promise<void> {
    if (this.#judge === undefined) return;
    const rows = await this.#options.store.openBlocks(MAX_FOLLOWED);
    this.#isMoreOpen = rows.length === MAX_FOLLOWED;
    for (const row of rows.toReversed()) {
      // The row in memory may be newer.
      const kept = this.#rows.get(row.hash);
      if (kept === undefined) this.#rows.stored(row);
      this.#follow(kept ?? row);
    }
  }

  #follow(row: BlockRow): void {
    if (!isFinal(row)) this.#judge?.follow({ hash: row.hash, height: row.height ?? undefined, result: row.result });
  }

  #restoreRow(row: BlockRow): void {
    const { height, templateId } = row;
    const result = ledgerResult(row);
    if (result === "pending") {
      this.#options.log.warn({ hash: displayHash(row.hash), height }, "block still pending from before");
    }
    const block = { ...row, height: height ?? undefined, templateId: templateId ?? undefined };
    // Those that are settled tell of others at their height.
    this.handle({ type: "found", block, result });
    this.#follow(row);
  }

  #submit(solution: SubmitSolution, hash: Uint8Array): void {
    const { submit, metrics, log } = this.#options;
    submit(solution);
    metrics.solutionsSubmitted.inc({});
    log.info({ hash: displayHash(hash), templateId: solution.templateId.toString() }, "solution submitted");
  }

  #settle(hash: Uint8Array, result: PoolBlockResult, judged: Readonly<Record<string, unknown>> = {}): void {
    const { metrics, log, now } = this.#options;
    metrics.blocksSettled.inc({ result });
    const height = this.#rows.get(hash)?.height;
    const { level, text } = resultLines[result];
    log[level]({ hash: displayHash(hash), height, result, ...judged }, text);
    this.#rows.settle(hash, { result, resultAt: now() });
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
