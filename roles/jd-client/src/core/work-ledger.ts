import type { InUse } from "@adit/network-helpers";

/** Jobs whose purpose is remembered: as many as miners may still find shares for. */
const MAX_JOBS = 128;

/** Remembers what jobs were made for. */
export class WorkLedger {
  /** By `workId`; oldest first. */
  readonly #madeFor = new Map<number, InUse>();

  /** A job was made. */
  add(workId: number, purpose: InUse): void {
    this.#madeFor.set(workId, purpose);
    for (const oldest of this.#madeFor.keys()) {
      if (this.#madeFor.size <= MAX_JOBS) break;
      this.#madeFor.delete(oldest);
    }
  }

  /** Whether a job pays to the miner alone. */
  isSolo(workId: number): boolean {
    return this.#madeFor.get(workId) === "solo";
  }
}
