import type { ByteStream, Transport } from "./byte-stream.ts";
import { Deadline } from "./deadline.ts";
import { abortError, NetworkError } from "./errors.ts";
import { formatHostPort } from "./host-port.ts";

/** Where a client role dials (requirement A4), and over which transport. */
export interface UpstreamAddress {
  readonly transport: "tcp" | "iroh";
  /** Host name or IP address, for TCP. */
  readonly address?: string;
  /** Port, for TCP. */
  readonly port?: number;
  /** Iroh endpoint id. */
  readonly endpointId?: string;
  /** Iroh ticket; takes the place of the endpoint id. A relay and direct addresses add to what it knows. */
  readonly ticket?: string;
  /** The relay the endpoint is reachable through. */
  readonly relayUrl?: string;
  /** `IP:PORT` addresses the endpoint is reachable at. */
  readonly directAddresses?: readonly string[];
}

/** What happened while an upstream was dialled, for the log (requirement A9). */
export type DialEvent =
  | { readonly type: "dialling" | "dialled"; readonly transport: "tcp" | "iroh"; readonly address: string }
  | {
      readonly type: "dial-failed";
      readonly transport: "tcp" | "iroh";
      readonly address: string;
      readonly error: NetworkError;
    };

/** How `dialUpstream` goes about it. */
export interface DialUpstreamOptions {
  readonly signal: AbortSignal;
  /** Time for each attempt, in milliseconds. */
  readonly dialTimeoutMs: number;
  /** Called at every choice. */
  readonly onEvent: (event: DialEvent) => void;
}

/** The transports at hand; Iroh is undefined where it is not installed or not configured. */
export interface UpstreamTransports {
  readonly tcp: Transport;
  readonly iroh: Transport | undefined;
}

/** One attempt at an upstream over its transport. Rejects with NetworkError. Trying again is the caller's. */
export async function dialUpstream(
  upstream: UpstreamAddress,
  transports: UpstreamTransports,
  options: DialUpstreamOptions,
): Promise<ByteStream> {
  const { transport } = upstream;
  const address = transport === "tcp" ? tcpAddress(upstream) : irohAddress(upstream);
  const event = { transport, address };
  options.onEvent({ type: "dialling", ...event });
  try {
    const stream = await attempt(transports[transport], address, options);
    options.onEvent({ type: "dialled", ...event });
    return stream;
  } catch (cause) {
    const error = options.signal.aborted
      ? abortError(options.signal, address, "dialling")
      : networkError(cause, address);
    options.onEvent({ type: "dial-failed", ...event, error });
    throw error;
  }
}

async function attempt(
  transport: Transport | undefined,
  address: string,
  options: DialUpstreamOptions,
): Promise<ByteStream> {
  if (transport === undefined) {
    const message = `${address}: Iroh is not available; install @number0/iroh and configure [iroh], or dial by TCP`;
    throw new NetworkError("iroh-unavailable", { peer: address, message });
  }
  using deadline = new Deadline(options.signal, options.dialTimeoutMs);
  return await transport.dial(address, { signal: deadline.signal });
}

function tcpAddress({ address, port }: UpstreamAddress): string {
  if (address === undefined || port === undefined) throw incomplete("TCP needs address and port");
  return formatHostPort({ host: address, port });
}

/** The address form of the Iroh transport: a ticket or an endpoint id, with a relay and addresses as a query. */
function irohAddress({ endpointId, ticket, relayUrl, directAddresses }: UpstreamAddress): string {
  const who = ticket ?? endpointId;
  if (who === undefined) throw incomplete("Iroh needs endpoint_id or ticket");
  const query = new URLSearchParams();
  if (relayUrl !== undefined) query.append("relay", relayUrl);
  for (const direct of directAddresses ?? []) query.append("addr", direct);
  return query.size === 0 ? who : `${who}?${query.toString()}`;
}

function incomplete(what: string): NetworkError {
  return new NetworkError("invalid-config", { peer: "", message: `the upstream cannot be dialled: ${what}` });
}

function networkError(cause: unknown, peer: string): NetworkError {
  if (cause instanceof NetworkError) return cause;
  return new NetworkError("connection-failed", {
    peer,
    message: `${peer}: could not be dialled (${cause instanceof Error ? cause.message : String(cause)}); check its address and this machine's network`,
    cause,
  });
}
