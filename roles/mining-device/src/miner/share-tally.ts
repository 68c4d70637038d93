import type { MinerEffect } from "./miner-effect.ts";
import type { LossReason, RejectReason } from "./reasons.ts";

/** The effects that say what became of shares. */
export type ShareNews = Extract<
  MinerEffect<unknown>,
  { readonly type: "submitted" | "accepted" | "rejected" | "lost" | "answered" }
>;

/** Counts what became of shares. */
export class ShareTally {
  submitted = 0;
  accepted = 0;
  readonly rejected = new Map<RejectReason, number>();
  readonly lost = new Map<LossReason, number>();

  count(news: ShareNews): void {
    switch (news.type) {
      case "submitted":
        this.submitted++;
        break;
      case "accepted":
        this.accepted += news.count;
        break;
      case "rejected":
        this.rejected.set(news.reason, (this.rejected.get(news.reason) ?? 0) + 1);
        break;
      case "lost":
        this.lost.set(news.reason, (this.lost.get(news.reason) ?? 0) + news.count);
        break;
      case "answered":
        break;
      default:
        news satisfies never;
    }
  }
}
