import { Histogram } from "./histogram.ts";
import { type Group, type GroupCounts, groups } from "./messages.ts";

/** More different causes than this are counted as `other`. */
const MAX_CAUSES = 64;

/** Counts by name, bounded. */
export class Causes {
  readonly #counts = new Map<string, number>();

  add(cause: string, by = 1): void {
    const key = this.#counts.has(cause) || this.#counts.size < MAX_CAUSES ? cause : "other";
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
  }

  addAll(causes: Readonly<Record<string, number>>): void {
    for (const [cause, count] of Object.entries(causes)) this.add(cause, count);
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  record(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** Running counts of one group. */
export class GroupTally {
  submitted = 0;
  acknowledged = 0;
  uncertain = 0;
  connected = 0;
  lastAcknowledgedAt = 0;
  readonly rejected = new Causes();
  readonly ended = new Causes();
  readonly failed = new Causes();
  readonly latency = new Histogram();
  readonly spread = new Histogram();

  merge(counts: GroupCounts): void {
    this.submitted += counts.submitted;
    this.acknowledged += counts.acknowledged;
    this.uncertain += counts.uncertain;
    this.connected += counts.connected;
    this.lastAcknowledgedAt = Math.max(this.lastAcknowledgedAt, counts.lastAcknowledgedAt);
    this.rejected.addAll(counts.rejected);
    this.ended.addAll(counts.ended);
    this.failed.addAll(counts.failed);
    this.latency.merge(counts.latency);
    this.spread.merge(counts.spread);
  }

  counts(): GroupCounts {
    const { submitted, acknowledged, uncertain, connected, lastAcknowledgedAt } = this;
    return {
      submitted,
      acknowledged,
      uncertain,
      connected,
      lastAcknowledgedAt,
      rejected: this.rejected.record(),
      ended: this.ended.record(),
      failed: this.failed.record(),
      latency: this.latency.counts(),
      spread: this.spread.counts(),
    };
  }
}

/** A tally for each group. */
export function groupTallies(): Readonly<Record<Group, GroupTally>> {
  return Object.fromEntries(groups.map((group) => [group, new GroupTally()])) as Record<Group, GroupTally>;
}
