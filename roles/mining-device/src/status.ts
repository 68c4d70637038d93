import { difficultyOf, targetFromBytes } from "@adit/bitcoin";
import type { StreamInfo } from "@adit/network-helpers";
import type { MiningDeviceConfig } from "./config.ts";
import type { ShareTally } from "./miner/share-tally.ts";
import type { Work } from "./work/work.ts";

/** Where a connection stands: dialling or setting up, hashing, or pausing before it tries again. */
export type ConnectionState = "connecting" | "mining" | "waiting";

/** What the status document tells of one connection. */
export interface ConnectionView {
  /** From 1. */
  readonly number: number;
  /** User name (V1) or identity (V2). */
  readonly user: string;
  readonly state: ConnectionState;
  /** Why it waits; null when it does not. */
  readonly reason: string | null;
  readonly tally: ShareTally;
  readonly work: Work | undefined;
  /** Undefined while there is no connection. */
  readonly stream: (StreamInfo & { readonly encryption?: string }) | undefined;
}

/** What the status document is made of. */
export interface StatusSources {
  readonly config: MiningDeviceConfig;
  readonly hashrate: number;
  readonly hashes: number;
  /** All connections. */
  readonly views: readonly ConnectionView[];
}

/** A load test has thousands of connections; the document shows these many and counts the rest. */
const MOST_SHOWN = 200;

/** The document behind `/api/v1/status`. */
export function statusOf({ config, hashrate, hashes, views }: StatusSources): Readonly<Record<string, unknown>> {
  const rejected = summed(views.map(({ tally }) => tally.rejected));
  const lost = summed(views.map(({ tally }) => tally.lost));
  return {
    protocol: config.protocol,
    threads: config.threads,
    hashrate,
    hashrate_limit: config.hashrateLimit,
    hashes,
    shares_submitted: views.reduce((sum, { tally }) => sum + tally.submitted, 0),
    shares_accepted: views.reduce((sum, { tally }) => sum + tally.accepted, 0),
    shares_rejected: total(rejected),
    shares_rejected_by_reason: rejected,
    shares_lost: total(lost),
    shares_lost_by_reason: lost,
    connections_total: views.length,
    connections_by_state: Object.fromEntries(countStates(views)),
    connections: views.slice(0, MOST_SHOWN).map(connectionOf),
  };
}

/** Connections in each state. */
export function countStates(views: readonly ConnectionView[]): ReadonlyMap<ConnectionState, number> {
  const counts = new Map<ConnectionState, number>([
    ["connecting", 0],
    ["mining", 0],
    ["waiting", 0],
  ]);
  for (const { state } of views) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

function connectionOf({ number, user, state, reason, tally, work, stream }: ConnectionView): Record<string, unknown> {
  return {
    id: number,
    direction: "upstream",
    state,
    reason,
    user_identity: user,
    difficulty: work === undefined ? null : difficultyOf(targetFromBytes(work.target)),
    shares_submitted: tally.submitted,
    shares_accepted: tally.accepted,
    shares_rejected_by_reason: Object.fromEntries(tally.rejected),
    shares_lost_by_reason: Object.fromEntries(tally.lost),
    ...(stream === undefined ? notConnected : streamOf(stream)),
  };
}

const notConnected = {
  connection_id: null,
  transport: null,
  encryption: null,
  peer: null,
  endpoint_id: null,
  path: null,
  rtt_ms: null,
  since: null,
  bytes_in: 0,
  bytes_out: 0,
} as const;

function streamOf(
  stream: StreamInfo & { readonly encryption?: string; readonly id?: number },
): Record<keyof typeof notConnected, unknown> {
  return {
    // What an operator breaks it off by; the connection's own number stays through reconnects.
    connection_id: stream.id ?? null,
    transport: stream.transport,
    encryption: stream.encryption ?? "plain",
    peer: stream.peer,
    endpoint_id: stream.endpointId,
    path: stream.path,
    rtt_ms: stream.rttMs,
    since: stream.since,
    bytes_in: stream.bytesIn,
    bytes_out: stream.bytesOut,
  };
}

function summed(counts: readonly ReadonlyMap<string, number>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const count of counts) for (const [key, value] of count) sums[key] = (sums[key] ?? 0) + value;
  return sums;
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
