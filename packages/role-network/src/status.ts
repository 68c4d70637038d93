import type { ConnectionInfo, ListenerStatus } from "@adit/network-helpers";
import type { RpcConnectionInfo } from "@adit/network-helpers/rpc";

/** The network part of a role's status document. */
export interface NetworkStatus {
  readonly listeners: readonly Readonly<Record<string, unknown>>[];
  readonly connections: readonly Readonly<Record<string, unknown>>[];
  /** Operators that are connected over Iroh. */
  readonly rpc_connections: readonly Readonly<Record<string, unknown>>[];
}

/** A listener as the status document shows it. */
export function listenerStatus(status: ListenerStatus): Readonly<Record<string, unknown>> {
  return {
    transport: status.transport,
    state: status.state,
    address: status.address,
    endpoint_id: status.endpointId,
    ticket: status.ticket,
    error: status.error,
  };
}

/** A connection as the status document shows it. */
export function connectionStatus(
  info: ConnectionInfo,
  direction: "upstream" | "downstream",
): Readonly<Record<string, unknown>> {
  return {
    id: info.id,
    direction,
    transport: info.transport,
    encryption: info.encryption,
    peer: info.peer,
    endpoint_id: info.endpointId,
    path: info.path,
    rtt_ms: info.rttMs,
    since: info.since,
    bytes_in: info.bytesIn,
    bytes_out: info.bytesOut,
    frames_in: info.framesIn,
    frames_out: info.framesOut,
    streams: info.streams,
    frames_held: info.holds.now,
    frames_held_total: info.holds.total,
    longest_hold_ms: info.holds.longestMs,
  };
}

/** A connection of an operator as the status document shows it. */
export function rpcConnectionStatus(info: RpcConnectionInfo): Readonly<Record<string, unknown>> {
  return {
    id: info.id,
    peer: info.peer,
    path: info.path,
    rtt_ms: info.rttMs,
    since: info.since,
    bytes_in: info.bytesIn,
    bytes_out: info.bytesOut,
  };
}
