import type { ConnectionStatus } from "../render.ts";

/** A coinbase as the roles' status documents decode it. */
export interface CoinbaseStatus {
  readonly height: number | null;
  readonly tag: string;
  readonly outputs: readonly { readonly address: string | null; readonly value: string; readonly type: string }[];
}

/** The parts of the roles' status documents that the demo reads. Each may be missing while a role starts. */
export interface RoleStatus {
  readonly connections?: readonly ConnectionStatus[];
  readonly hashrate?: number;
  readonly shares_accepted?: number;
  readonly shares_rejected?: number;
  readonly custom_job_shares?: number;
  readonly jds?: { readonly declarations: { readonly declared: number } } | null;
  readonly chain?: { readonly height: number };
  readonly blocks?: { readonly accepted: number; readonly elsewhere: number };
  readonly last_block?: { readonly height: number; readonly hash: string; readonly coinbase: CoinbaseStatus } | null;
}

/** One role at one moment. */
export interface RoleSnapshot {
  readonly name: string;
  readonly state: "starting" | "ready" | "ended";
  readonly status: RoleStatus;
}

/** The demo at one moment. */
export interface Snapshot {
  readonly seconds: number;
  readonly roles: readonly RoleSnapshot[];
}

/** What the demo reports: its last line of output, and what decides that it is done. */
export interface DemoResult {
  /** Blocks of this demo's miner that the template provider accepted since the demo started. */
  readonly blocks: number;
  /** Shares that the pool credited, and those it refused. */
  readonly shares_accepted: number;
  readonly shares_rejected: number;
  /** Jobs that the pool's job-declarator server has checked, and shares that the pool credited on such jobs. */
  readonly declared_jobs: number;
  readonly custom_job_shares: number;
  /** How the translator, or the jd-client, reaches the pool. */
  readonly upstream_transport: string | null;
  readonly upstream_path: string | null;
  readonly tip_height: number;
  readonly seconds: number;
}

/** Sums a snapshot up. */
export function resultOf(snapshot: Snapshot): DemoResult {
  const status = (name: string): RoleStatus => snapshot.roles.find((role) => role.name === name)?.status ?? {};
  const templateProvider = status("template-provider");
  const upstream = poolConnection(snapshot);
  return {
    blocks: templateProvider.blocks?.accepted ?? 0,
    ...creditOf(status("pool")),
    upstream_transport: upstream?.transport ?? null,
    upstream_path: upstream?.path ?? null,
    tip_height: templateProvider.chain?.height ?? 0,
    seconds: snapshot.seconds,
  };
}

/** What the pool has credited, refused and checked. */
function creditOf({
  shares_accepted = 0,
  shares_rejected = 0,
  jds,
  custom_job_shares = 0,
}: RoleStatus): Pick<DemoResult, "shares_accepted" | "shares_rejected" | "declared_jobs" | "custom_job_shares"> {
  return { shares_accepted, shares_rejected, declared_jobs: jds?.declarations.declared ?? 0, custom_job_shares };
}

/** The miner's side's connection to the pool: the translator's, or, where there is one, the jd-client's over Iroh. */
function poolConnection({ roles }: Snapshot): ConnectionStatus | undefined {
  const upstreamsOf = (name: string): readonly ConnectionStatus[] =>
    (roles.find((role) => role.name === name)?.status.connections ?? []).filter(
      ({ direction }) => direction === "upstream",
    );
  return upstreamsOf("jd-client").find(({ transport }) => transport === "iroh") ?? upstreamsOf("translator")[0];
}
