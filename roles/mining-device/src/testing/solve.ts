import { NonceSearch } from "../hashing/nonce-search.ts";
import type { Share, Work } from "../work/work.ts";
import type { WorkCursor } from "../work/work-cursor.ts";

/** The next share that a cursor leads to, found here and now. */
export function solve(cursor: WorkCursor, work: Work, now: number): Share {
  for (;;) {
    const range = cursor.next(work, 64, now);
    if (range === undefined) throw new Error("the work is used up");
    const search = new NonceSearch(range.header, work.target);
    const nonce = search.find(range.nonceStart, range.nonceStart + range.nonceCount);
    if (nonce !== -1) return { ...range.found, nonce };
  }
}
