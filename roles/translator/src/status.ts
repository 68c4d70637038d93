import { difficultyOf, hex } from "@adit/bitcoin";
import type { ClientChannel, Totals } from "@adit/channels";
import type { InUse, RouteState } from "@adit/network-helpers";
import { peerText } from "@adit/role-kit";
import type { CounterName } from "./effects.ts";
import type { Miner } from "./miner.ts";
import type { Uplink } from "./uplink.ts";
import type { UpstreamRoute } from "./upstream-side.ts";

/** The core's part of the status document, as JSON spells it. */
export interface TranslatorStatus {
  /** The ways to upstreams, in order of preference. */
  readonly upstream_routes: readonly RouteStatus[];
  readonly upstream_channels: readonly UplinkStatus[];
  readonly miners: readonly MinerStatus[];
  /** Hashes a second of all miners, as their shares of the last ten minutes prove. */
  readonly hashrate: number;
  readonly shares_accepted: number;
  readonly shares_rejected: number;
  readonly shares_rejected_by_reason: Readonly<Record<string, number>>;
  readonly shares_below_upstream_target: number;
  readonly shares_submitted: number;
  readonly shares_acknowledged: number;
  readonly shares_unanswered: number;
  readonly shares_rejected_upstream_by_reason: Readonly<Record<string, number>>;
  /** How often another upstream, or another transport to it, came into use. */
  readonly upstream_changes: number;
}

/** A way to an upstream. */
export interface RouteStatus {
  readonly name: string;
  readonly transport: "tcp" | "iroh";
  /** Left alone for a while, being tried, or standing. */
  readonly state: RouteState["phase"];
  readonly in_use: boolean;
}

/** One upstream channel, or the wish for one. */
export interface UplinkStatus {
  readonly state: "closed" | "opening" | "open";
  readonly channel_id: number | null;
  readonly group_channel_id: number | null;
  readonly user_identity: string | null;
  readonly extranonce_prefix: string | null;
  readonly extranonce_size: number | null;
  readonly difficulty: number | null;
  readonly job_id: number | null;
  readonly miners: number;
  readonly nominal_hashrate: number;
  readonly pending_submits: number;
}

/** One miner. */
export interface MinerStatus {
  readonly id: number;
  readonly peer: string;
  readonly user_name: string | null;
  readonly user_agent: string;
  readonly difficulty: number;
  readonly hashrate: number;
  readonly estimated_hashrate: number;
  readonly shares_accepted: number;
  readonly shares_rejected: number;
  readonly since: number;
  readonly last_share_at: number | null;
}

/** Makes the document afresh. */
export function statusOf(from: {
  readonly miners: Iterable<Miner>;
  readonly uplinks: Iterable<Uplink>;
  readonly routes: readonly UpstreamRoute[];
  readonly inUse: InUse;
  readonly states: ReadonlyMap<number, RouteState>;
  readonly totals: Totals<CounterName>;
}): TranslatorStatus {
  const miners = [...from.miners].map(minerStatus);
  const byLabel = (counter: CounterName): Readonly<Record<string, number>> =>
    Object.fromEntries(from.totals.get(counter) ?? []);
  const sum = (counter: CounterName): number =>
    Object.values(byLabel(counter)).reduce((total, count) => total + count, 0);
  return {
    upstream_routes: from.routes.map(({ name, transport }, at) => ({
      name,
      transport,
      state: from.states.get(at)?.phase ?? "resting",
      in_use: at === from.inUse,
    })),
    upstream_channels: [...from.uplinks].map(uplinkStatus),
    miners,
    hashrate: miners.reduce((total, { hashrate }) => total + hashrate, 0),
    shares_accepted: sum("sharesAccepted"),
    shares_rejected: sum("sharesRejected"),
    shares_rejected_by_reason: byLabel("sharesRejected"),
    shares_below_upstream_target: sum("sharesBelowUpstreamTarget"),
    shares_submitted: sum("sharesSubmitted"),
    shares_acknowledged: sum("sharesAcknowledged"),
    shares_unanswered: sum("sharesUnanswered"),
    shares_rejected_upstream_by_reason: byLabel("sharesRejectedUpstream"),
    upstream_changes: sum("switches"),
  };
}

function uplinkStatus(uplink: Uplink): UplinkStatus {
  const { active } = uplink;
  const channel = active?.channel;
  return {
    state: active?.state.phase ?? "closed",
    ...(channel === undefined ? noChannel : channelStatus(channel)),
    miners: uplink.miners.size,
    nominal_hashrate: uplink.nominalHashrate,
  };
}

const noChannel = {
  channel_id: null,
  group_channel_id: null,
  user_identity: null,
  extranonce_prefix: null,
  extranonce_size: null,
  difficulty: null,
  job_id: null,
  pending_submits: 0,
} as const;

function channelStatus(channel: ClientChannel): Omit<UplinkStatus, "state" | "miners" | "nominal_hashrate"> {
  return {
    channel_id: channel.channelId,
    group_channel_id: channel.groupChannelId,
    user_identity: channel.userIdentity,
    extranonce_prefix: hex(channel.extranoncePrefix),
    extranonce_size: channel.extranonceSize,
    difficulty: difficultyOf(channel.target),
    job_id: channel.activeJob?.jobId ?? null,
    pending_submits: channel.pendingSubmits,
  };
}

function minerStatus(miner: Miner): MinerStatus {
  const [userName] = miner.userNames;
  return {
    id: miner.id,
    peer: miner.peer,
    user_name: userName === undefined ? null : peerText(userName),
    user_agent: peerText(miner.userAgent),
    difficulty: miner.difficulty,
    hashrate: miner.hashrate,
    estimated_hashrate: miner.nominalHashrate,
    shares_accepted: miner.sharesAccepted,
    shares_rejected: miner.sharesRejected,
    since: miner.since,
    last_share_at: miner.lastShareAt ?? null,
  };
}
