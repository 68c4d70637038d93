import { setTimeout as sleep } from "node:timers/promises";
import type { ShareHashing } from "@adit/bitcoin";
import { type ElsewhereCandidate, NonceSearch } from "./elsewhere.ts";

/** Nonces between two looks at the clock. */
const BATCH = 64;
/** Longest time the event loop is kept from everything else, in milliseconds. */
const SLICE_MS = 4;
/** Pause between slices in milliseconds: this miner takes at most a part of one core. */
const PAUSE_MS = 4;

/** Mines blocks from elsewhere in small slices between the process's real work. */
export class ElsewhereMiner {
  readonly #hashing: ShareHashing;
  readonly #onSolved: (candidate: ElsewhereCandidate, nonce: number) => Promise<void>;
  #stop = new AbortController();

  constructor(hashing: ShareHashing, onSolved: (candidate: ElsewhereCandidate, nonce: number) => Promise<void>) {
    this.#hashing = hashing;
    this.#onSolved = onSolved;
  }

  /** Gives up the candidate in work, if there is one. */
  stop(): void {
    this.#stop.abort();
  }

  /** Works on this candidate in place of any other. Resolves when it is solved or given up. */
  async mine(candidate: ElsewhereCandidate): Promise<void> {
    this.stop();
    const { signal } = (this.#stop = new AbortController());
    const search = new NonceSearch(candidate, this.#hashing);
    while (!signal.aborted && !search.exhausted) {
      const nonce = searchFor(SLICE_MS, search);
      if (nonce !== undefined) {
        await this.#onSolved(candidate, nonce);
        return;
      }
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }
}

function searchFor(durationMs: number, search: NonceSearch): number | undefined {
  const end = performance.now() + durationMs;
  let nonce: number | undefined;
  do nonce = search.advance(BATCH);
  while (nonce === undefined && !search.exhausted && performance.now() < end);
  return nonce;
}
