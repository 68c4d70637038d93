import { table } from "../harness/table.ts";
import type { Findings, Kill } from "./conductor.ts";
import { isAcknowledged } from "./judge.ts";
import { plannedBirths, roleNames } from "./plan.ts";

/** The report, in markdown. */
export function reportText(findings: Findings): string {
  const { plan, kills, lengthMs, violations, audits, wasInterrupted } = findings;
  const processes = kills.reduce((sum, kill) => sum + kill.processes, 0);
  const verdict = violations.length > 0 ? `${violations.length} violations` : wasInterrupted ? "interrupted" : "ok";
  return [
    `Verdict: ${verdict}`,
    "",
    `${kills.length} kills (seed ${plan.seed}) of ${processes} processes in ${(lengthMs / 60_000).toFixed(1)} min, ${audits} audits of the files they left; before, ${plannedBirths(plan).length} first starts cut short.`,
    "",
    ...violations.map(({ code, detail }) => `- ${code}: ${detail}`),
    ...(violations.length > 0 ? [""] : []),
    table([
      ["role", "kills", "starts interrupted", "ready p50 / p99 s", "accepted share p50 / p99 / most s"],
      ...roleRows(kills),
    ]),
    "",
    ...(findings.books === undefined ? [] : [table([["what", "count"], ...bookRows(findings.books)])]),
  ].join("\n");
}

function roleRows(kills: readonly Kill[]): readonly (readonly string[])[] {
  return roleNames.map((name) => {
    const own = kills.filter(({ role }) => role === name);
    const ready = own.map(({ readyMs }) => readyMs ?? Number.POSITIVE_INFINITY);
    const recovered = own.map(({ recoveredMs }) => recoveredMs ?? Number.POSITIVE_INFINITY);
    return [
      name,
      String(own.length),
      String(own.filter(({ processes }) => processes > 1).length),
      [0.5, 0.99].map((share) => seconds(ready, share)).join(" / "),
      [0.5, 0.99, 1].map((share) => seconds(recovered, share)).join(" / "),
    ];
  });
}

function bookRows({
  miners,
  translator,
  store,
  chain,
}: NonNullable<Findings["books"]>): readonly (readonly string[])[] {
  const mined = [...miners.shares.values()];
  const direct = mined.filter(({ work }) => work !== undefined);
  const relayed = mined.filter(({ work }) => work === undefined);
  const stored = new Set(store.shares.map(({ hash }) => hash));
  const results = (result: string): number => store.blocks.filter((block) => block.result === result).length;
  const inDoubt = [
    ...direct.filter(({ acknowledged, refused }) => acknowledged === 0 && refused === undefined),
    ...relayed.filter(({ hash }) => translator.inDoubt.has(hash)),
  ];
  const wasSent = (hash: string): boolean =>
    translator.acknowledged.has(hash) || translator.refused.has(hash) || translator.inDoubt.has(hash);
  const accepted = relayed.filter(({ acknowledged }) => acknowledged > 0);
  const rows: readonly (readonly [string, number])[] = [
    ["shares sent by miners", mined.length],
    ["direct shares acknowledged", direct.filter((share) => isAcknowledged(share, translator)).length],
    ["shares acknowledged to the translator", translator.acknowledged.size],
    ["shares the translator told its miners are valid", accepted.length],
    ["of these sent to the pool, whose target is harder", accepted.filter(({ hash }) => wasSent(hash)).length],
    ["shares in doubt: sent, and no answer came", inDoubt.length],
    ["of these in the store", inDoubt.filter(({ hash }) => stored.has(hash)).length],
    ["shares refused", direct.filter(({ refused }) => refused !== undefined).length + translator.refused.size],
    ["shares in the store", store.shares.length],
    ["blocks in the chain", chain.length],
    ["blocks in the record", store.blocks.length],
    ["of these accepted", results("accepted")],
    ["of these superseded by another of ours", results("superseded")],
    ["of these decided while the pool was away, and not told apart", results("unknown")],
  ];
  return rows.map(([what, count]) => [what, String(count)]);
}

/** A value that `share` of all do not exceed, in seconds. */
function seconds(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  return value === undefined ? "-" : (value / 1000).toFixed(1);
}
