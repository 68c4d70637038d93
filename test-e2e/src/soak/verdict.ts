import type { Findings } from "./conductor.ts";
import { groups } from "./messages.ts";
import { disagreements } from "./reconcile.ts";
import type { Sample, Series } from "./sampling.ts";
import { lowerEnvelope, slopePerHour } from "./slope.ts";

const MB = 1_000_000;
const WARM_UP_MS = 10 * 60_000;
/** A shorter time behind the warm-up shows how a heap breathes, not whether it grows. */
const JUDGED_MS = 20 * 60_000;
const WINDOW_MS = 2 * 60_000;
const HEAP = { share: 0.15, bytes: 12 * MB };
const RSS = { share: 0.2, bytes: 48 * MB };
const FDS = 20;

/** How one process of a role did. */
export interface Growth {
  readonly name: Series["name"];
  readonly incarnation: number;
  readonly minutes: number;
  readonly heap: Trend;
  readonly rss: Trend;
  readonly fds: { readonly first: number; readonly last: number; readonly most: number };
  readonly handles: { readonly first: number; readonly last: number; readonly most: number };
  readonly lagMs: number;
  readonly verdict: "steady" | "growing" | "too short to say";
}

/** First and last lowest value of two minutes, and the slope between. */
export interface Trend {
  readonly first: number;
  readonly last: number;
  readonly slopePerHour: number | null;
}

/** Judges every process of every role that was sampled twice. */
export function growthOf({ series }: Findings): readonly Growth[] {
  return series.filter(({ samples }) => samples.length >= 2).map(judge);
}

function judge({ name, incarnation, samples }: Series): Growth {
  const from = samples[0]?.at ?? 0;
  const length = (samples.at(-1)?.at ?? from) - from;
  const warmUp = Math.min(WARM_UP_MS, length / 4);
  const warm = samples.filter(({ at }) => at >= from + warmUp);
  const heap = trend(warm, ({ heapBytes }) => heapBytes);
  const rss = trend(warm, ({ rssBytes }) => rssBytes);
  const fds = range(warm, (taken) => taken.fds);
  const isGrowing = grows(heap, { ...HEAP, ms: length - warmUp }) || grows(rss, { ...RSS, ms: length - warmUp });
  const isJudged = length - warmUp >= JUDGED_MS;
  return {
    name,
    incarnation,
    minutes: length / 60_000,
    heap,
    rss,
    fds,
    handles: range(warm, ({ handles }) => handles),
    lagMs: warm.reduce((most, { lagMs }) => Math.max(most, lagMs), 0),
    verdict: !isJudged ? "too short to say" : isGrowing || fds.last - fds.first > FDS ? "growing" : "steady",
  };
}

function trend(samples: readonly Sample[], pick: (sample: Sample) => number): Trend {
  const points = lowerEnvelope(
    samples.map((taken) => ({ at: taken.at, value: pick(taken) })),
    WINDOW_MS,
  );
  return { first: points[0]?.value ?? 0, last: points.at(-1)?.value ?? 0, slopePerHour: slopePerHour(points) };
}

function grows({ first, slopePerHour }: Trend, bound: { share: number; bytes: number; ms: number }): boolean {
  const growth = ((slopePerHour ?? 0) * bound.ms) / 3_600_000;
  return growth > Math.max(bound.bytes, bound.share * first);
}

function range(
  samples: readonly Sample[],
  pick: (sample: Sample) => number,
): { readonly first: number; readonly last: number; readonly most: number } {
  const values = samples.map(pick);
  return { first: values[0] ?? 0, last: values.at(-1) ?? 0, most: Math.max(0, ...values) };
}

/** Everything that makes the run a failure. */
export function failuresOf(findings: Findings): readonly string[] {
  const found = Object.entries(findings.failures).map(([what, count]) =>
    count > 1 ? `${what} (${count} times)` : what,
  );
  for (const [what, count] of Object.entries(findings.minerFaults)) found.push(`${what} (${count} times)`);
  for (const { name, incarnation, verdict } of growthOf(findings)) {
    if (verdict === "growing") found.push(`${name} ${incarnation}: its memory or its files grow`);
  }
  return [...found, ...unexpected(findings), ...books(findings)];
}

function unexpected({ tallies, accounts }: Findings): readonly string[] {
  const found: string[] = [];
  const reasons = (where: string, rejected: Readonly<Record<string, number>>): void => {
    for (const [reason, count] of Object.entries(rejected)) {
      // An honest miner's share may cross with a new block or with the loss of the upstream, as often as it likes.
      if (reason !== "stale-share") found.push(`${where}: ${count} shares rejected as ${reason}`);
    }
  };
  for (const group of groups) {
    const { rejected, ended, failed } = tallies[group].counts();
    reasons(group, rejected);
    for (const [cause, count] of [...Object.entries(ended), ...Object.entries(failed)]) {
      if (cause.startsWith("unexpected")) found.push(`${group}: ${count} connections lost or refused, ${cause}`);
    }
  }
  for (const transport of ["tcp", "iroh"] as const) {
    if (accounts !== undefined) reasons(`translator-${transport} at the pool`, accounts[transport].rejectedUpstream);
  }
  return found;
}

function books({ accounts, tallies, recoveries }: Findings): readonly string[] {
  if (accounts === undefined) return [];
  const kills = recoveries.filter(({ fault }) => fault === "kill-pool").length;
  const counts = Object.fromEntries(groups.map((group) => [group, tallies[group].counts()]));
  return disagreements(accounts, counts, kills);
}
