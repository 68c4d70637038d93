/** A connection as the roles' status documents show it. */
export interface ConnectionStatus {
  readonly id: number;
  readonly direction: "upstream" | "downstream";
  readonly transport: string | null;
  readonly peer: string | null;
  /** Over Iroh: `direct` or `relay`. */
  readonly path: string | null;
  readonly rtt_ms: number | null;
  readonly streams: number;
  readonly state?: string;
  readonly since: number | null;
  /** Mining device. */
  readonly connection_id?: number | null;
}

/** The parts of `/api/v1/status` that the scenarios read; which of them are there depends on the role. */
export interface RoleStatus {
  readonly listeners: readonly { readonly endpoint_id: string | null; readonly ticket: string | null }[];
  readonly role: string;
  readonly connections: readonly ConnectionStatus[];
  readonly shares_accepted: number;
  readonly shares_rejected: number;
  readonly shares_rejected_by_reason: Readonly<Record<string, number>>;
  /** Pool. */
  readonly channels: readonly {
    readonly transport: string | null;
    readonly kind: string;
    readonly user_identity: string;
    readonly shares_accepted: number;
    readonly extranonce_prefix_hex: string;
  }[];
  readonly template_provider: {
    readonly state: string;
    /** Pool: of the block that is mined. */
    readonly height?: number | null;
  };
  readonly blocks_found: number;
  /** Pool and template provider. */
  readonly last_block: {
    readonly height: number;
    readonly hash: string;
    readonly result?: string;
    /** Pool: who has found it, and who has chosen its transactions. */
    readonly user_identity?: string;
    readonly declared_by?: string | null;
  } | null;
  /** Pool: the newest blocks, newest first, and the node that says what becomes of them. */
  readonly recent_blocks: readonly {
    readonly height: number;
    readonly hash: string;
    readonly result: string;
    readonly confirmations: number | null;
  }[];
  readonly block_judge: { readonly node: string | null; readonly trouble: string | null; readonly open: number } | null;
  /** Pool: custom jobs taken, and shares credited on them. */
  readonly custom_jobs: number;
  readonly custom_job_shares: number;
  /** Template provider. */
  readonly chain: { readonly height: number; readonly tip_hash: string };
  readonly blocks: {
    readonly accepted: number;
    readonly rejected: number;
    readonly rejected_by_reason: Readonly<Record<string, number>>;
  };
  readonly clients: readonly { readonly id: number }[];
  /** Template provider on Bitcoin nodes. */
  readonly nodes: readonly { readonly name: string; readonly state: string; readonly error: string | null }[];
  /** The newest blocks that went to nodes, newest first. */
  readonly submissions: readonly {
    readonly height: number;
    readonly hash: string;
    readonly outcome: string;
    readonly file: string | null;
    readonly nodes: readonly { readonly name: string; readonly attempts: number; readonly answer: string | null }[];
  }[];
  /** Translator. */
  readonly upstream: { readonly state: string; readonly reason: string | null; readonly transport: string | null };
  readonly upstream_routes: readonly { readonly name: string; readonly in_use: boolean; readonly listed: boolean }[];
  readonly miners: readonly { readonly id: number; readonly user_name: string | null; readonly since: number }[];
  readonly shares_below_upstream_target: number;
  readonly shares_acknowledged: number;
  readonly shares_unanswered: number;
  readonly shares_rejected_upstream_by_reason: Readonly<Record<string, number>>;
  /** jd-client: what is mined for, by the names of its upstreams or `solo`. */
  readonly mining_for: string;
  readonly upstreams: readonly { readonly name: string; readonly state: string; readonly in_use: boolean }[];
  readonly switches: number;
  readonly declared_jobs: number;
  /** jd-server. */
  readonly declarations: { readonly declared: number; readonly refused: number };
  /** jd-client. */
  readonly shares_submitted: number;
  readonly cached_shares: number;
  /** Of the block that is mined. */
  readonly height: number | null;
  /** Mining device. */
  readonly hashes: number;
}
