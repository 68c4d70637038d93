import { describe, expect, test } from "vitest";
import type { Findings } from "./conductor.ts";
import { type GroupCounts, groups } from "./messages.ts";
import { readPlan } from "./plan.ts";
import { type Accounts, disagreements, type TranslatorAccount } from "./reconcile.ts";
import type { Sample } from "./sampling.ts";
import { groupTallies } from "./tally.ts";
import { failuresOf, growthOf } from "./verdict.ts";

const MB = 1_000_000;
const HOUR_MS = 3_600_000;
const balanced: TranslatorAccount = {
  accepted: 0,
  rejected: {},
  submitted: 0,
  acknowledged: 0,
  unanswered: 0,
  rejectedUpstream: {},
};
const noAccounts: Accounts = {
  tcp: balanced,
  iroh: balanced,
  pool: { accepted: 0, rejected: {} },
  store: new Map(),
  seats: [],
};

function findings(changes: Partial<Findings>): Findings {
  return {
    plan: readPlan(["--miners", "100"]),
    startedAt: 0,
    loadMs: HOUR_MS,
    arrivalMs: 1_000,
    series: [],
    recoveries: [],
    idle: [],
    accounts: undefined,
    tallies: groupTallies(),
    minerFaults: {},
    wasInterrupted: false,
    failures: {},
    ...changes,
  };
}

/** A process's samples of `minutes`, with a heap and files that grow so much an hour under a sawtooth. */
function series(minutes: number, growth: { readonly heap?: number; readonly fds?: number }): Findings["series"] {
  const samples = Array.from({ length: minutes * 6 }, (_, index): Sample => {
    const hours = index / 360;
    return {
      at: hours * HOUR_MS,
      heapBytes: (60 + (growth.heap ?? 0) * hours + (index % 7) * 6) * MB,
      rssBytes: 300 * MB,
      fds: 200 + Math.round((growth.fds ?? 0) * hours),
      handles: 10,
      lagMs: 12,
      connections: 0,
      channels: 0,
      miners: 0,
    };
  });
  return [{ name: "pool", incarnation: 1, samples }];
}

describe("a process", () => {
  test.each([
    ["steady", series(60, {})],
    ["steady", series(60, { heap: 5 })],
    ["growing", series(60, { heap: 40 })],
    ["growing", series(60, { fds: 60 })],
    ["too short to say", series(15, { heap: 400 })],
  ] as const)("is %s when its heap and files are so", (verdict, given) => {
    const run = findings({ series: given });
    expect(growthOf(run).map((growth) => growth.verdict)).toEqual([verdict]);
    expect(failuresOf(run)).toHaveLength(verdict === "growing" ? 1 : 0);
  });
});

test("stale shares are no failure, unknown reasons and lost connections are", () => {
  const tallies = groupTallies();
  tallies["sv2-tcp"].rejected.add("stale-share", 50);
  tallies["sv2-tcp"].ended.add("churn: reset", 50);
  tallies["sv2-tcp"].ended.add("upstream loss", 50);
  expect(failuresOf(findings({ tallies }))).toEqual([]);
  tallies["sv2-tcp"].rejected.add("duplicate-share");
  tallies["sv2-iroh"].ended.add("unexpected: closed");
  tallies["sv1-via-tcp"].failed.add("unexpected: ECONNREFUSED");
  expect(failuresOf(findings({ tallies }))).toHaveLength(3);
});

describe("the books", () => {
  const seat = { identity: "sv2-tcp.1", submitted: 12, acknowledged: 10, uncertain: 2 };
  const counts = (changes: Partial<GroupCounts> = {}): Readonly<Record<string, GroupCounts>> =>
    Object.fromEntries(groups.map((group) => [group, { ...groupTallies()[group].counts(), ...changes }]));
  const stored = (shares: number): Accounts => ({
    ...noAccounts,
    seats: [seat],
    store: new Map([[seat.identity, { shares, rejected: {} }]]),
  });

  test.each([10, 11, 12])("agree when of ten acknowledged and two unknown shares %i are stored", (shares) => {
    expect(disagreements(stored(shares), counts(), 0)).toEqual([]);
  });

  test.each([0, 9, 13])("do not agree when %i are", (shares) => {
    expect(disagreements(stored(shares), counts(), 0)).toHaveLength(1);
  });

  test("do not agree when a miner knows of a rejection that its pool does not, but for what a kill took along", () => {
    const tallies = { ...counts(), "sv2-tcp": { ...counts()["sv2-tcp"], rejected: { "stale-share": 3 } } };
    expect(disagreements(noAccounts, tallies as Readonly<Record<string, GroupCounts>>, 0)).toHaveLength(1);
    expect(disagreements(noAccounts, tallies as Readonly<Record<string, GroupCounts>>, 1)).toEqual([]);
  });

  test("do not agree when a translator has an acknowledgement that the store knows nothing of", () => {
    const tcp = { ...balanced, submitted: 5, acknowledged: 5 };
    expect(disagreements({ ...noAccounts, tcp }, counts(), 5)).toHaveLength(1);
    const store = new Map([["translator-tcp", { shares: 5, rejected: {} }]]);
    expect(disagreements({ ...noAccounts, tcp, store }, counts(), 5)).toEqual([]);
  });

  test("do not agree when a translator has accepted more than its miners have sent and heard of", () => {
    const iroh = { ...balanced, accepted: 6 };
    const tallies = counts({ acknowledged: 5, uncertain: 1 });
    expect(disagreements({ ...noAccounts, tcp: { ...balanced, accepted: 5 }, iroh }, tallies, 0)).toEqual([]);
    expect(disagreements({ ...noAccounts, tcp: iroh, iroh: { ...iroh, accepted: 7 } }, tallies, 0)).toHaveLength(1);
  });
});
