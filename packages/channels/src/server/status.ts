import type { Target } from "@adit/bitcoin";
import type { Channel } from "./channel.ts";
import type { ServiceMode } from "./connection.ts";
import type { CustomJobErrorCode } from "./custom-job.ts";
import type { ConnectionId, ShareErrorCode } from "./effects.ts";
import type { ServerState } from "./server-state.ts";
import type { ShareCounts } from "./share-accounting.ts";

/** One channel, for monitoring. */
export interface ChannelStatus extends ShareCounts {
  /** Its id on its connection. */
  readonly channelId: number;
  /** Header-only or with a rollable extranonce. */
  readonly kind: "standard" | "extended";
  /** Identity named by the client: text from the network. */
  readonly userIdentity: string;
  /** Hashrate named by the client, H/s. */
  readonly nominalHashRate: number;
  /** Hashrate the target is made for, H/s. */
  readonly hashrate: number;
  /** Newest target. */
  readonly target: Target;
  /** The same as a difficulty. */
  readonly difficulty: number;
  /** Bytes every extranonce of the channel starts with. */
  readonly extranoncePrefix: Uint8Array;
  /** Bytes the client adds. */
  readonly extranonceSize: number;
}

/** One connection, for monitoring. */
export interface ConnectionStatus {
  /** The shell's number for it. */
  readonly connection: ConnectionId;
  /** How it is served. */
  readonly mode: ServiceMode;
  /** When it was set up, Unix milliseconds. */
  readonly since: number;
  /** Its channels. */
  readonly channels: readonly ChannelStatus[];
}

/** The server's state, for monitoring. Sizes follow from connections and channels; nothing here grows with peers' text. */
export interface MiningServerStatus {
  /** Connections that are set up. */
  readonly connections: readonly ConnectionStatus[];
  /** Channels over all connections. */
  readonly channels: number;
  /** Sum of the channels' estimated hashrates, H/s. */
  readonly hashrate: number;
  /** Shares recorded since start. */
  readonly accepted: number;
  /** Shares refused since start, by error code. */
  readonly rejected: ReadonlyMap<ShareErrorCode, number>;
  /** Work recorded since start. */
  readonly work: bigint;
  /** Blocks handed to the template provider since start. */
  readonly blocks: number;
  /** Custom jobs taken since start. */
  readonly customJobs: number;
  /** Custom jobs refused since start, by error code. */
  readonly refusedCustomJobs: ReadonlyMap<CustomJobErrorCode, number>;
  /** Custom jobs that wait for their tip. */
  readonly waitingCustomJobs: number;
  /** Shares recorded of custom jobs since start. */
  readonly customShares: number;
  /** Templates and tips since start that came too fast to be told at once. */
  readonly held: number;
  /** The tip mined on. */
  readonly tip: { readonly prevHash: Uint8Array; readonly nbits: number; readonly since: number } | undefined;
  /** The job mined now. */
  readonly activeJob: { readonly jobId: number; readonly height: number | undefined } | undefined;
  /** Jobs made since start. */
  readonly jobs: number;
  /** Header hashes remembered against duplicates. */
  readonly seenShares: number;
  /** Extranonce prefixes that are not free. */
  readonly extranoncesInUse: number;
  /** Open requests that wait for the first job. */
  readonly pendingOpens: number;
}

/** A snapshot of the server. */
export function statusOf(state: ServerState): MiningServerStatus {
  const connections = [...state.connections.values()].map(({ id, mode, since, channels }) => ({
    connection: id,
    mode,
    since,
    channels: [...channels.values()].map(channelStatus),
  }));
  const channels = connections.flatMap((connection) => connection.channels);
  const active = state.jobs.active;
  return {
    connections,
    channels: channels.length,
    hashrate: channels.reduce((sum, channel) => sum + channel.hashrate, 0),
    accepted: state.totals.accepted,
    rejected: new Map(state.totals.rejected),
    work: state.totals.work,
    blocks: state.totals.blocks,
    customJobs: state.totals.customJobs,
    refusedCustomJobs: new Map(state.totals.refusedCustomJobs),
    waitingCustomJobs: state.waitingCustomJobs.length,
    customShares: state.totals.customShares,
    held: state.totals.held,
    tip: state.tip,
    activeJob: active && { jobId: active.id, height: active.origin.height },
    jobs: state.nextJobId - 1,
    seenShares: state.seen.size,
    extranoncesInUse: state.allocator.inUse,
    pendingOpens: state.pendingOpens.length,
  };
}

function channelStatus(channel: Channel): ChannelStatus {
  return {
    ...channel.accounting.counts,
    channelId: channel.id,
    kind: channel.kind,
    userIdentity: channel.userIdentity,
    nominalHashRate: channel.nominalHashRate,
    hashrate: channel.hashrate,
    target: channel.terms.target,
    difficulty: channel.terms.difficulty,
    extranoncePrefix: channel.extranoncePrefix,
    extranonceSize: channel.extranonceSize,
  };
}
