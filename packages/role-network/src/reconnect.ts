import { NetworkError, printable } from "@adit/network-helpers";
import type { DialledUpstream } from "./network.ts";

/** What a Reconnect message says: the peer's own text and number. */
export interface ReconnectTarget {
  /** Host name or IP address; Adit takes an Iroh endpoint id or ticket as well. Empty: the host as it is. */
  readonly newHost: string;
  /** TCP port; 0: the port as it is. */
  readonly newPort: number;
}

const HOST = /^[A-Za-z0-9][A-Za-z0-9.:_-]*$/;
const ENDPOINT_ID = /^[0-9a-f]{64}$/;
const TICKET = /^endpoint[a-z2-7]{20,}$/;

/** Whether a text is an Iroh endpoint id or ticket, which says all there is to say of where to connect. */
export function isIrohPeer(text: string): boolean {
  return ENDPOINT_ID.test(text) || TICKET.test(text);
}

/**
 * Where a Reconnect leads (spec 3.6.5): the upstream's entry with another address and everything else as it was, above
 * all the authority key. Without a key to check the new host would be anybody's, so only the address in the config is
 * gone to again.
 *
 * @throws NetworkError `refused` when the move cannot be checked, or names nothing that can be dialled.
 */
export function reconnectUpstream(upstream: DialledUpstream, target: ReconnectTarget): DialledUpstream {
  const { newHost, newPort } = target;
  const isSameHost = newHost === "" || newHost === upstream.address;
  if (isSameHost && (newPort === 0 || newPort === upstream.port)) return upstream;
  if (upstream.encryption !== "noise" || upstream.authorityPubkey === undefined) {
    throw refused(newHost, "it cannot be checked; set authority_pubkey to let the upstream move its miners");
  }
  return byIroh(upstream, newHost) ?? byTcp(upstream, target);
}

/** What was known of the first endpoint does not lead to another one. */
function byIroh(upstream: DialledUpstream, newHost: string): DialledUpstream | undefined {
  const { endpointId: _id, ticket: _ticket, relayUrl: _relay, ...rest } = upstream;
  const iroh = { ...rest, transport: "iroh", directAddresses: [] } as const;
  if (ENDPOINT_ID.test(newHost)) return { ...iroh, endpointId: newHost };
  return TICKET.test(newHost) ? { ...iroh, ticket: newHost } : undefined;
}

function byTcp(upstream: DialledUpstream, { newHost, newPort }: ReconnectTarget): DialledUpstream {
  const address = newHost === "" ? upstream.address : newHost;
  const port = newPort === 0 ? upstream.port : newPort;
  if (address === undefined || port === undefined || !HOST.test(address)) {
    throw refused(newHost, "it names no host and port that can be dialled");
  }
  return { ...upstream, transport: "tcp", address, port };
}

function refused(newHost: string, why: string): NetworkError {
  const message = `the upstream asks to be reached at "${printable(newHost)}", which is not followed: ${why}`;
  return new NetworkError("refused", { peer: newHost, message });
}
