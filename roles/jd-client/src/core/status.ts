import type { MiningServerStatus, Totals } from "@adit/channels";
import type { InUse, RouteState, RouteTable } from "@adit/network-helpers";
import type { CounterName } from "./effects.ts";
import type { UpstreamRoute } from "./upstream-plan.ts";

/** An upstream in the status document. */
export interface UpstreamStatus {
  readonly name: string;
  /** The best that any of its routes is: left alone for a while, being connected to, or ready to be mined for. */
  readonly state: RouteState["phase"];
  readonly in_use: boolean;
  /** Whether the config has it. One that was taken out while in use stays until another can take its place. */
  readonly listed: boolean;
  /** The ways to it, in order of preference. */
  readonly routes: readonly RouteStatus[];
}

/** A way to an upstream in the status document. */
export interface RouteStatus {
  /** What the pool and the job declarator are reached over. */
  readonly pool: "tcp" | "iroh";
  readonly jds: "tcp" | "iroh";
  readonly state: RouteState["phase"];
  readonly in_use: boolean;
}

/** The status document of a jd-client. */
export interface JdClientStatus {
  /** What is mined for: an upstream's name, `solo`, or `nothing` while the first is awaited. */
  readonly mining_for: string;
  readonly upstreams: readonly UpstreamStatus[];
  /** Jobs that a job declarator, and then jobs that a pool, has taken. */
  readonly declared_jobs: number;
  readonly custom_jobs: number;
  /** Shares sent to pools, and of them credited and rejected. */
  readonly shares_submitted: number;
  readonly shares_acknowledged: number;
  readonly shares_rejected_upstream: number;
  /** Shares that wait for a pool to take their job. */
  readonly cached_shares: number;
  readonly discarded_shares: number;
  readonly blocks_found: number;
  /** How often something else was mined for. */
  readonly switches: number;
  /** Miners' channels, and the sum of their hashrates in H/s. */
  readonly channels: number;
  readonly hashrate: number;
  /** Height of the block that is mined; null when there is none, or it is not known. */
  readonly height: number | null;
}

/** What the status is made of. */
export interface StatusParts {
  readonly server: MiningServerStatus;
  readonly inUse: InUse;
  readonly table: RouteTable<UpstreamRoute>;
  /** Of each route that is listed or in use, by its id. */
  readonly states: ReadonlyMap<number, RouteState>;
  readonly cachedShares: number;
  readonly totals: Totals<CounterName>;
}

/** The status document. */
export function statusOf(parts: StatusParts): JdClientStatus {
  const { server, table, states, inUse, cachedShares, totals } = parts;
  const known = table.all.filter(({ id }) => states.has(id));
  const upstreams = [...new Set(known.map(({ upstream }) => upstream))];
  const total = (counter: CounterName, label?: string): number => {
    const byLabel = totals.get(counter) ?? new Map<string, number>();
    if (label !== undefined) return byLabel.get(label) ?? 0;
    return [...byLabel.values()].reduce((sum, count) => sum + count, 0);
  };
  return {
    mining_for: table.nameOf(inUse),
    upstreams: upstreams.map((upstream) => upstreamStatus(upstream, parts)),
    declared_jobs: total("jobs", "declared"),
    custom_jobs: total("jobs", "accepted"),
    shares_submitted: total("sharesSubmitted"),
    shares_acknowledged: total("sharesAcknowledged"),
    shares_rejected_upstream: total("sharesRejectedUpstream"),
    cached_shares: cachedShares,
    discarded_shares: total("sharesDiscarded"),
    blocks_found: total("blocksFound"),
    switches: total("switches"),
    channels: server.channels,
    hashrate: server.hashrate,
    height: server.activeJob?.height ?? null,
  };
}

const PHASES = ["ready", "dialling", "resting"] as const;

function upstreamStatus(upstream: number, { table, states, inUse }: StatusParts): UpstreamStatus {
  const own = table.all.filter((route) => route.upstream === upstream);
  const ways = own.map(({ id, pool, jds }) => {
    return { pool, jds, state: states.get(id)?.phase ?? "resting", in_use: id === inUse };
  });
  return {
    name: own[0]?.rules.name ?? "",
    state: PHASES.find((phase) => ways.some(({ state }) => state === phase)) ?? "resting",
    in_use: ways.some(({ in_use: inUseNow }) => inUseNow),
    listed: own.some(({ id }) => table.isListed(id)),
    routes: ways,
  };
}
