import type { MiningServerStatus, Totals } from "@adit/channels";
import type { InUse, RouteState } from "@adit/network-helpers";
import type { CounterName } from "./effects.ts";
import type { UpstreamRoute } from "./jd-client-options.ts";

/** An upstream in the status document. */
export interface UpstreamStatus {
  readonly name: string;
  /** The best that any of its routes is: left alone for a while, being connected to, or ready to be mined for. */
  readonly state: RouteState["phase"];
  readonly in_use: boolean;
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
  readonly upstreams: readonly { readonly name: string }[];
  readonly inUse: InUse;
  readonly routes: readonly UpstreamRoute[];
  /** Of each route. */
  readonly states: ReadonlyMap<number, RouteState>;
  readonly cachedShares: number;
  readonly totals: Totals<CounterName>;
}

/** The status document. */
export function statusOf(parts: StatusParts): JdClientStatus {
  const { server, upstreams, cachedShares, totals } = parts;
  const total = (counter: CounterName, label?: string): number => {
    const byLabel = totals.get(counter) ?? new Map<string, number>();
    if (label !== undefined) return byLabel.get(label) ?? 0;
    return [...byLabel.values()].reduce((sum, count) => sum + count, 0);
  };
  return {
    mining_for: nameOf(parts.inUse, parts),
    upstreams: upstreams.map((_, upstream) => upstreamStatus(upstream, parts)),
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

/** What is mined for, by its name. */
export function nameOf(inUse: InUse, { upstreams, routes }: Pick<StatusParts, "upstreams" | "routes">): string {
  if (typeof inUse !== "number") return inUse;
  const upstream = routes[inUse]?.upstream;
  return upstream === undefined ? "" : (upstreams[upstream]?.name ?? "");
}

const PHASES = ["ready", "dialling", "resting"] as const;

function upstreamStatus(upstream: number, { upstreams, routes, states, inUse }: StatusParts): UpstreamStatus {
  const own = routes.flatMap((route, at) =>
    route.upstream === upstream
      ? [{ pool: route.pool, jds: route.jds, state: states.get(at)?.phase ?? "resting", in_use: at === inUse }]
      : [],
  );
  return {
    name: upstreams[upstream]?.name ?? "",
    state: PHASES.find((phase) => own.some(({ state }) => state === phase)) ?? "resting",
    in_use: own.some(({ in_use: inUseNow }) => inUseNow),
    routes: own,
  };
}
