import { type Finding, writeFinding } from "./finding.ts";
import { MOST_GROWTH } from "./growth.ts";
import type { JobResult } from "./messages.ts";
import { type Patience, runJob } from "./run-job.ts";
import { smallerByReplay } from "./shrinking.ts";
import { isGuided } from "./targets.ts";

type Manner = "generator" | "coverage";

/** What came of all searches of one target in one manner. */
export interface Tally {
  readonly target: string;
  readonly by: Manner;
  readonly executions: number;
  readonly ms: number;
  readonly slowestMs: number;
  /** The most that one search grew by, in bytes; null when none could tell. */
  readonly growth: number | null;
  readonly corpus: number | null;
  /** What went wrong, each with the file it was written to or the seed that repeats it. */
  readonly faults: readonly string[];
}

/** How a campaign goes about it. */
export interface Campaign extends Patience {
  readonly targets: readonly string[];
  readonly seed: number;
  /** Milliseconds over all targets. */
  readonly ms: number;
  /** Where findings are written. */
  readonly findings: string;
  readonly say: (line: string) => void;
  /** Processes at a time; one when left out. */
  readonly atOnce?: number;
  /** Leaves the searches by coverage out, which take seconds to get anywhere. */
  readonly generatedOnly?: boolean;
}

/** Longest search without a break: every target has its turn soon, and a leak is measured in a process of its own. */
const TURN_MS = 20_000;

/** Searches all targets in turn, over and over until the time is over. */
export async function runCampaign(campaign: Campaign): Promise<readonly Tally[]> {
  const turns = turnsOf(campaign.targets).filter(({ by }) => by === "generator" || campaign.generatedOnly !== true);
  const rounds = Math.max(1, Math.round(campaign.ms / (turns.length * TURN_MS)));
  const ms = Math.round(campaign.ms / (turns.length * rounds));
  const tallies = new Map<string, Tally>();
  const waiting = Array.from({ length: rounds * turns.length }, (_, index) => index);
  const takeTurns = async (): Promise<void> => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const turn = turns[index % turns.length];
      if (turn === undefined) return;
      const seed = (campaign.seed + index) & 0x7fff_ffff;
      const tally = await search(campaign, { ...turn, seed, ms });
      const key = `${turn.target} ${turn.by}`;
      tallies.set(key, sumOf(tallies.get(key), tally));
      const faults = tally.faults.map((fault) => `\n  ${fault}`).join("");
      campaign.say(`${key}: ${tally.executions} inputs, seed ${seed}${faults}`);
    }
  };
  await Promise.all(Array.from({ length: campaign.atOnce ?? 1 }, takeTurns));
  return [...tallies.values()];
}

interface Turn {
  readonly target: string;
  readonly by: Manner;
}

function turnsOf(targets: readonly string[]): readonly Turn[] {
  return targets.flatMap((target): readonly Turn[] => {
    const generated = { target, by: "generator" } as const;
    return isGuided(target) ? [generated, { target, by: "coverage" }] : [generated];
  });
}

async function search(campaign: Campaign, turn: Turn & { readonly seed: number; readonly ms: number }): Promise<Tally> {
  const result = await runJob({ type: "search", ...turn }, campaign);
  const faults = [];
  if (result.fault !== null) faults.push(await kept(campaign, turn, result.fault));
  else if (isLeak(result)) {
    const again = await runJob({ type: "search", ...turn }, campaign);
    if (isLeak(again)) faults.push(`grew by ${again.growth} bytes; seed ${turn.seed} for ${turn.ms} ms does it again`);
  }
  const { executions, slowestMs, growth, corpus } = result;
  return { target: turn.target, by: turn.by, ms: turn.ms, executions, slowestMs, growth, corpus, faults };
}

async function kept(
  campaign: Campaign,
  { target, seed }: { readonly target: string; readonly seed: number },
  fault: NonNullable<JobResult["fault"]>,
): Promise<string> {
  const { input, shown, error } = await smallerByReplay(target, fault, campaign);
  const finding: Finding = { target, seed, fault: error, ...input, shown };
  return `${error.split("\n")[0]}: ${writeFinding(campaign.findings, finding)}`;
}

function isLeak({ growth }: JobResult): boolean {
  return growth !== null && growth > MOST_GROWTH;
}

function sumOf(before: Tally | undefined, tally: Tally): Tally {
  if (before === undefined) return tally;
  const growth = Math.max(before.growth ?? -Infinity, tally.growth ?? -Infinity);
  return {
    ...tally,
    executions: before.executions + tally.executions,
    ms: before.ms + tally.ms,
    slowestMs: Math.max(before.slowestMs, tally.slowestMs),
    growth: Number.isFinite(growth) ? growth : null,
    corpus: tally.corpus === null ? null : Math.max(before.corpus ?? 0, tally.corpus),
    faults: [...before.faults, ...tally.faults],
  };
}
