import type { PeerBookStats, PeerEvent } from "@adit/network-helpers/peers";
import { peerText } from "@adit/role-kit";

/** The connections to peers as the status document shows them. */
export function peersStatus({ connections, counts, peers }: PeerBookStats): Readonly<Record<string, unknown>> {
  return {
    connections,
    peers: peers.map((peer) => ({
      peer: peerText(peer.peer),
      connection: peer.connection,
      breaker: peer.breaker,
      failures: peer.failures,
      messages: peer.messages,
      buffered_bytes: peer.bufferedBytes,
      leases: peer.leases,
    })),
    totals: {
      dials: counts.dials,
      dial_failures: counts.dialFailures,
      delivered: counts.delivered,
      expired: counts.expired,
      refused: counts.refused,
      dropped: counts.dropped,
      leases_granted: counts.leasesGranted,
      leases_refused: counts.leasesRefused,
      breakers_opened: counts.breakersOpened,
      closed: counts.closed,
    },
  };
}

/** The part of a role's log that peers write to. */
type EventLog = Readonly<Record<"debug" | "info" | "warn", (fields: object, text: string) => void>>;

/** Writes what happens to peers to the log; the event's name is the line's text. */
export function peerLog(log: EventLog): (event: PeerEvent) => void {
  return ({ type, peer, ...fields }) => {
    log[levels[type]]({ event: type, peer: peerText(peer), ...fields }, type.replaceAll("-", " "));
  };
}

const levels = {
  "peer-connected": "debug",
  "peer-dial-failed": "debug",
  "peer-closed": "debug",
  "breaker-opened": "warn",
  "breaker-half-opened": "info",
  "breaker-closed": "info",
} as const satisfies Record<PeerEvent["type"], "debug" | "info" | "warn">;
