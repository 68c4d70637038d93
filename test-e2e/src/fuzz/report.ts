import { table } from "../harness/table.ts";
import type { Tally } from "./campaign.ts";

/** The outcome of a campaign as a Markdown table. */
export function reportOf(tallies: readonly Tally[]): string {
  const rows = tallies.map(({ target, by, executions, ms, slowestMs, growth, corpus, faults }) => [
    target,
    by,
    String(executions),
    String(Math.round((executions / ms) * 1000)),
    Number.isFinite(slowestMs) ? slowestMs.toFixed(0) : "",
    growth === null ? "" : String(Math.max(0, Math.round(growth / 1024))),
    corpus === null ? "" : String(corpus),
    String(faults.length),
  ]);
  return table([["target", "by", "inputs", "a second", "slowest, ms", "growth, KiB", "corpus", "findings"], ...rows]);
}
