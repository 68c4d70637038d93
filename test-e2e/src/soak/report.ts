import { table } from "../harness/table.ts";
import type { Findings } from "./conductor.ts";
import { groups } from "./messages.ts";
import { Causes } from "./tally.ts";
import { failuresOf, type Growth, growthOf, type Trend } from "./verdict.ts";

const MB = 1_000_000;

/** The findings for people: tables that are Markdown and read well as they are. */
export function reportText(findings: Findings): string {
  const failures = failuresOf(findings);
  const verdict = failures.length === 0 ? "nothing found" : failures.map((failure) => `- ${failure}`).join("\n");
  return [
    headline(findings),
    "Memory, files and event loop, from behind the warm-up:",
    growthTable(growthOf(findings)),
    "Roles before the first miner and after the last:",
    idleTable(findings),
    "Milliseconds from submit to answer, and from the first miner that knew a new tip to the others:",
    latencyTable(findings),
    "Shares:",
    sharesTable(findings),
    "Connections:",
    connectionsTable(findings),
    "Losses of the upstream:",
    recoveryTable(findings),
    `Verdict: ${findings.wasInterrupted ? "interrupted; " : ""}${failures.length === 0 ? "" : "\n\n"}${verdict}`,
  ].join("\n\n");
}

/** The findings for programs, on one line. */
export function reportJson(findings: Findings): string {
  const { plan, loadMs, arrivalMs, recoveries, accounts, idle, minerFaults, wasInterrupted } = findings;
  const failures = failuresOf(findings);
  return JSON.stringify({
    ok: failures.length === 0 && !wasInterrupted,
    failures,
    interrupted: wasInterrupted,
    minutes: loadMs / 60_000,
    miners: plan.miners,
    arrival_ms: arrivalMs,
    processes: growthOf(findings),
    idle: idle.map(({ name, before, after }) => ({ name, before, after })),
    groups: Object.fromEntries(groups.map((group) => [group, groupJson(findings, group)])),
    miner_faults: minerFaults,
    recoveries,
    pool_since_last_start: accounts === undefined ? null : accounts.pool,
    translators: accounts === undefined ? null : { tcp: accounts.tcp, iroh: accounts.iroh },
    stored_shares: accounts === undefined ? null : storedShares(accounts),
    stored_rejections: accounts === undefined ? null : storedRejections(accounts),
  });
}

function storedShares({ store }: NonNullable<Findings["accounts"]>): number {
  return [...store.values()].reduce((sum, { shares }) => sum + shares, 0);
}

function storedRejections({ store }: NonNullable<Findings["accounts"]>): Readonly<Record<string, number>> {
  const sum = new Causes();
  for (const { rejected } of store.values()) sum.addAll(rejected);
  return sum.record();
}

function groupJson({ tallies }: Findings, group: (typeof groups)[number]): Readonly<Record<string, unknown>> {
  const tally = tallies[group];
  const { submitted, acknowledged, uncertain, connected, rejected, ended, failed } = tally.counts();
  return {
    submitted,
    acknowledged,
    uncertain,
    connected,
    rejected,
    ended,
    failed,
    latency_ms: percentiles(tally.latency),
    spread_ms: percentiles(tally.spread),
  };
}

function percentiles(histogram: Findings["tallies"]["sv2-tcp"]["latency"]): Readonly<Record<string, number | null>> {
  return {
    p50: histogram.percentile(0.5),
    p90: histogram.percentile(0.9),
    p99: histogram.percentile(0.99),
    max: histogram.count === 0 ? null : histogram.largest,
  };
}

function headline({ plan, loadMs, arrivalMs, startedAt }: Findings): string {
  const minutes = (loadMs / 60_000).toFixed(1);
  const rate = plan.churnPerSecond.toFixed(1);
  return `${plan.miners} miners for ${minutes} minutes from ${new Date(startedAt).toISOString()}; all had work ${seconds(
    arrivalMs,
  )} s after the first came; ${rate} left and came back each second.`;
}

function growthTable(growths: readonly Growth[]): string {
  const rows = growths.map((growth) => [
    `${growth.name} ${growth.incarnation}`,
    growth.minutes.toFixed(1),
    trendText(growth.heap),
    trendText(growth.rss),
    rangeText(growth.fds),
    rangeText(growth.handles),
    growth.lagMs.toFixed(1),
    growth.verdict,
  ]);
  const head = ["process", "minutes", "heap MB", "RSS MB", "fds", "handles", "worst lag p99 ms", "verdict"];
  return table([head, ...rows]);
}

function trendText({ first, last, slopePerHour }: Trend): string {
  const slope = slopePerHour === null ? "?" : `${slopePerHour < 0 ? "" : "+"}${megabytes(slopePerHour)}`;
  return `${megabytes(first)} → ${megabytes(last)} (${slope} an hour)`;
}

function rangeText({ first, last, most }: Growth["fds"]): string {
  return `${first} → ${last} (most ${most})`;
}

function idleTable({ idle }: Findings): string {
  const rows = idle.map(({ name, before, after }) => [
    name,
    ...(["connections", "channels", "miners", "fds", "handles"] as const).map(
      (what) => `${before[what]} → ${after[what]}`,
    ),
    `${megabytes(before.heapBytes)} → ${megabytes(after.heapBytes)}`,
    `${megabytes(before.rssBytes)} → ${megabytes(after.rssBytes)}`,
  ]);
  return table([["role", "connections", "channels", "miners", "fds", "handles", "heap MB", "RSS MB"], ...rows]);
}

function latencyTable({ tallies }: Findings): string {
  const rows = groups.map((group) => [
    group,
    ...Object.values(percentiles(tallies[group].latency)).map(milliseconds),
    ...Object.values(percentiles(tallies[group].spread)).map(milliseconds),
  ]);
  const head = ["miners", "p50", "p90", "p99", "max", "tip p50", "tip p90", "tip p99", "tip max"];
  return table([head, ...rows]);
}

function sharesTable({ tallies, accounts }: Findings): string {
  const rows = groups.map((group) => {
    const { submitted, acknowledged, uncertain, rejected } = tallies[group].counts();
    return [group, `${submitted}`, `${acknowledged}`, causesText(rejected), `${uncertain}`];
  });
  for (const transport of ["tcp", "iroh"] as const) {
    const account = accounts?.[transport];
    if (account === undefined) continue;
    const { submitted, acknowledged, unanswered, rejectedUpstream } = account;
    const counts = [`${submitted}`, `${acknowledged}`, causesText(rejectedUpstream), `${unanswered}`];
    rows.push([`translator-${transport} at the pool`, ...counts]);
  }
  if (accounts !== undefined) {
    const { accepted, rejected } = accounts.pool;
    rows.push(["the pool since its last start", "", `${accepted}`, causesText(rejected), ""]);
    rows.push(["the pool's store", "", `${storedShares(accounts)}`, causesText(storedRejections(accounts)), ""]);
  }
  return table([["who", "submitted", "acknowledged", "rejected", "never answered"], ...rows]);
}

function connectionsTable({ tallies }: Findings): string {
  const rows = groups.map((group) => {
    const { connected, ended, failed } = tallies[group].counts();
    return [group, `${connected}`, causesText(ended), causesText(failed)];
  });
  return table([["miners", "connected", "ended", "failed attempts"], ...rows]);
}

function recoveryTable({ recoveries }: Findings): string {
  const rows = recoveries.map(({ fault, at, recoveredMs }) => [
    fault,
    (at / 60_000).toFixed(1),
    recoveredMs === null ? "never" : seconds(recoveredMs),
  ]);
  return table([["what", "at minute", "seconds from its return until every miner had new work"], ...rows]);
}

function causesText(causes: Readonly<Record<string, number>>): string {
  const parts = Object.entries(causes).map(([cause, count]) => `${cause} ${count}`);
  return parts.length === 0 ? "none" : parts.join(", ");
}

function megabytes(bytes: number): string {
  return (bytes / MB).toFixed(1);
}

function milliseconds(value: number | null): string {
  if (value === null) return "";
  return value < 10 ? value.toFixed(2) : value.toFixed(0);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
