import { displayHash, hex, targetToBytes } from "@adit/bitcoin";
import type { ChannelStatus, MiningServerStatus } from "@adit/channels";
import type { TemplateClientStatus } from "@adit/mining-shell";
import { peerText } from "@adit/role-kit";
import type { NetworkStatus } from "@adit/role-network";
import type { StoreStats } from "@adit/share-store";
import { coinbaseFields } from "./block-results.ts";
import type { Blocks, BlockView } from "./blocks.ts";

/** What the status document is made of. */
export interface PoolStatusSources {
  readonly network: NetworkStatus;
  readonly server: MiningServerStatus;
  readonly templates: TemplateClientStatus;
  readonly blocks: Blocks;
  readonly store: StoreStats;
  /** The embedded job-declarator server's; null without one. */
  readonly jds: unknown;
}

/** Channels in the document at most; `channels_open` has their number. */
const MAX_CHANNELS = 1000;

/** Newest blocks in the document. */
const MAX_BLOCKS = 100;

/** The document behind `/api/v1/status`. Key names are the reference implementation's where it has one. */
export function poolStatus(sources: PoolStatusSources): Readonly<Record<string, unknown>> {
  const { network, server, store } = sources;
  return {
    ...network,
    template_provider: templateProvider(sources),
    channels_open: server.channels,
    channels: channels(server, network).slice(0, MAX_CHANNELS),
    shares_accepted: server.accepted,
    shares_rejected: sum(server.rejected),
    shares_rejected_by_reason: Object.fromEntries(server.rejected),
    share_work_sum: server.work.toString(),
    hashrate: server.hashrate,
    blocks_found: server.blocks,
    custom_jobs: server.customJobs,
    custom_jobs_refused: sum(server.refusedCustomJobs),
    custom_jobs_refused_by_reason: Object.fromEntries(server.refusedCustomJobs),
    custom_jobs_waiting: server.waitingCustomJobs,
    custom_job_shares: server.customShares,
    last_block: lastBlock(sources.blocks),
    block_judge: blockJudge(sources.blocks),
    recent_blocks: sources.blocks.newest(MAX_BLOCKS).map(blockFields),
    share_store: {
      durable: store.durable,
      queued: store.queued,
      commits: store.commits,
      last_commit_ms: store.lastCommitMs,
      failed: store.failed,
    },
    jds: sources.jds,
  };
}

function templateProvider({ templates, server }: PoolStatusSources): Readonly<Record<string, unknown>> {
  const { upstream, away, connection, lastTemplateAt, lastPrevHashAt } = templates;
  return {
    state: upstream.state,
    reason: away,
    retry_in_ms: upstream.state === "waiting" ? upstream.retryInMs : null,
    ...link(connection),
    templates: templates.templates,
    held: server.held,
    last_template_at: lastTemplateAt,
    last_prev_hash_at: lastPrevHashAt,
    height: server.activeJob?.height ?? null,
    prev_hash: server.tip === undefined ? null : displayHash(server.tip.prevHash),
  };
}

function link(connection: TemplateClientStatus["connection"]): Readonly<Record<string, unknown>> {
  if (connection === null) return { connection_id: null, transport: null, path: null, rtt_ms: null };
  const { id, transport, path, rttMs } = connection.info();
  return { connection_id: id, transport, path, rtt_ms: rttMs };
}

function channels(server: MiningServerStatus, network: NetworkStatus): readonly Readonly<Record<string, unknown>>[] {
  const transports = new Map(network.connections.map((connection) => [connection["id"], connection["transport"]]));
  return server.connections.flatMap(({ connection, channels }) =>
    channels.map((channel) => ({
      connection_id: connection,
      transport: transports.get(connection) ?? null,
      ...channelStatus(channel),
    })),
  );
}

function channelStatus(channel: ChannelStatus): Readonly<Record<string, unknown>> {
  return {
    channel_id: channel.channelId,
    kind: channel.kind,
    user_identity: peerText(channel.userIdentity, 255),
    nominal_hashrate: channel.nominalHashRate,
    hashrate: channel.hashrate,
    difficulty: channel.difficulty,
    target_hex: hex(targetToBytes(channel.target).toReversed()),
    extranonce_prefix_hex: hex(channel.extranoncePrefix),
    rollable_extranonce_size: channel.extranonceSize,
    shares_accepted: channel.accepted,
    shares_rejected: sum(channel.rejected),
    shares_rejected_by_reason: Object.fromEntries(channel.rejected),
    share_work_sum: channel.work.toString(),
    best_diff: channel.bestDifficulty,
    last_share_at: channel.lastShareAt ?? null,
    blocks_found: channel.blocks,
  };
}

function lastBlock(blocks: Blocks): Readonly<Record<string, unknown>> | null {
  const { last } = blocks;
  if (last === undefined) return null;
  const { row, coinbase } = last;
  return {
    ...blockFields({ row, confirmations: blocks.confirmations(row) }),
    user_identity: peerText(row.userIdentity, 255),
    worker: peerText(row.worker),
    declared_by: row.declaredBy === null ? null : peerText(row.declaredBy, 255),
    coinbase: coinbaseFields(coinbase),
  };
}

function blockFields({ row, confirmations }: BlockView): Readonly<Record<string, unknown>> {
  return {
    height: row.height,
    hash: displayHash(row.hash),
    result: row.result,
    result_at: row.resultAt,
    confirmations: confirmations ?? null,
    found_at: row.foundAt,
  };
}

function blockJudge({ judgeStatus }: Blocks): Readonly<Record<string, unknown>> | null {
  if (judgeStatus === undefined) return null;
  const { node, trouble, height, maturity, open } = judgeStatus;
  return { node, trouble, height, maturity, open };
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}
