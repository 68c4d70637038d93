import { DIFFICULTY_1, workOf } from "@adit/bitcoin";
import type { SubmitSharesSuccess } from "@adit/codec";
import type { AcceptedShare, ShareErrorCode } from "./effects.ts";

/** Expected hashes of a share of difficulty 1. */
export const WORK_OF_DIFFICULTY_1: bigint = workOf(DIFFICULTY_1);

const U64_MAX = 2n ** 64n - 1n;

/** What was counted on a channel since it was opened. */
export interface ShareCounts {
  /** Shares recorded. */
  readonly accepted: number;
  /** Shares refused, by error code. */
  readonly rejected: ReadonlyMap<ShareErrorCode, number>;
  /** Sum of the recorded shares' work. */
  readonly work: bigint;
  /** Greatest difficulty of a recorded share's hash. */
  readonly bestDifficulty: number;
  /** When the last recorded share came in, Unix milliseconds. */
  readonly lastShareAt: number | undefined;
  /** Recorded shares that were blocks. */
  readonly blocks: number;
}

/**
 * Counts the shares of one channel and batches their acknowledgement (spec 5.3.13). Only recorded shares are
 * acknowledged; refused ones help to fill a batch, as in the illustration of spec 5.3.14. The sum of difficulties of a batch is its work divided by that of difficulty 1; the remainder goes into the next batch,
 * so that over all batches nothing is lost.
 */
export class ShareAccounting {
  readonly #channelId: number;
  readonly #batchSize: number;
  readonly #rejected = new Map<ShareErrorCode, number>();
  #accepted = 0;
  #work = 0n;
  #bestDifficulty = 0;
  #lastShareAt: number | undefined;
  #blocks = 0;
  #batchCount = 0;
  #batchRejected = 0;
  #batchWork = 0n;
  #batchSince = 0;
  #lastSequenceNumber = 0;

  /** Nothing counted yet. */
  constructor(channelId: number, batchSize: number) {
    this.#channelId = channelId;
    this.#batchSize = batchSize;
  }

  /** What was counted so far. */
  get counts(): ShareCounts {
    return {
      accepted: this.#accepted,
      rejected: this.#rejected,
      work: this.#work,
      bestDifficulty: this.#bestDifficulty,
      lastShareAt: this.#lastShareAt,
      blocks: this.#blocks,
    };
  }

  /** Counts a recorded share: the acknowledgement, when it fills the batch or is a block. */
  recorded(share: AcceptedShare, now: number): SubmitSharesSuccess | undefined {
    this.#accepted += 1;
    this.#work += share.work;
    this.#bestDifficulty = Math.max(this.#bestDifficulty, share.shareDifficulty);
    this.#lastShareAt = share.receivedAt;
    if (share.isBlock) this.#blocks += 1;
    if (this.#batchCount === 0) this.#batchSince = now;
    this.#batchCount += 1;
    this.#batchWork += share.work;
    this.#lastSequenceNumber = share.sequenceNumber;
    return share.isBlock || this.#isFull ? this.#acknowledge() : undefined;
  }

  /** Counts a refused share: the acknowledgement, when it fills the batch. */
  rejected(errorCode: ShareErrorCode): SubmitSharesSuccess | undefined {
    this.#rejected.set(errorCode, (this.#rejected.get(errorCode) ?? 0) + 1);
    this.#batchRejected += 1;
    return this.#batchCount > 0 && this.#isFull ? this.#acknowledge() : undefined;
  }

  /** The acknowledgement of a batch whose first share waited `ackIntervalMs` or longer. */
  due(now: number, ackIntervalMs: number): SubmitSharesSuccess | undefined {
    const waits = this.#batchCount > 0 && now - this.#batchSince >= ackIntervalMs;
    return waits ? this.#acknowledge() : undefined;
  }

  get #isFull(): boolean {
    return this.#batchCount + this.#batchRejected >= this.#batchSize;
  }

  #acknowledge(): SubmitSharesSuccess {
    const whole = this.#batchWork / WORK_OF_DIFFICULTY_1;
    const newSharesSum = whole > U64_MAX ? U64_MAX : whole;
    this.#batchWork -= newSharesSum * WORK_OF_DIFFICULTY_1;
    const newSubmitsAcceptedCount = this.#batchCount;
    this.#batchCount = 0;
    this.#batchRejected = 0;
    return {
      name: "SubmitSharesSuccess",
      channelId: this.#channelId,
      lastSequenceNumber: this.#lastSequenceNumber,
      newSubmitsAcceptedCount,
      newSharesSum,
    };
  }
}
