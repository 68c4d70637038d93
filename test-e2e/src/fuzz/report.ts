import type { Tally } from "./campaign.ts";

/** The outcome of a campaign as a Markdown table. */
export function reportOf(tallies: readonly Tally[]): string {
  const rows = tallies.map(({ target, by, executions, ms, slowestMs, growth, corpus, faults }) => {
    const perSecond = Math.round((executions / ms) * 1000);
    const grew = growth === null ? "" : `${Math.max(0, Math.round(growth / 1024))}`;
    const reached = corpus === null ? "" : String(corpus);
    const slowest = Number.isFinite(slowestMs) ? slowestMs.toFixed(0) : "";
    return `| ${target} | ${by} | ${executions} | ${perSecond} | ${slowest} | ${grew} | ${reached} | ${faults.length} |`;
  });
  const head = "| target | by | inputs | a second | slowest, ms | growth, KiB | corpus | findings |";
  return [head, "|---|---|--:|--:|--:|--:|--:|--:|", ...rows].join("\n");
}
