import type { ByteStream, Transport } from "./byte-stream.ts";
import { Deadline } from "./deadline.ts";
import { abortError, NetworkError } from "./errors.ts";
import { formatHostPort } from "./host-port.ts";

/** Where a client role dials (requirement A4), by TCP, Iroh, or both: then the preferred first, the other when it fails. */
export interface UpstreamAddress {
  readonly transport: "tcp" | "iroh" | "dual";
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
  /** Which of both is tried first; Iroh unless told. */
  readonly prefer?: "iroh" | "tcp";
}

/** What happened while an upstream was dialled, for the log (requirement A9). */
export type DialEvent =
  | { readonly type: "dialling"; readonly transport: "tcp" | "iroh"; readonly address: string; readonly reason: string }
  | { readonly type: "dialled"; readonly transport: "tcp" | "iroh"; readonly address: string; readonly reason: string }
  | {
      readonly type: "dial-failed";
      readonly transport: "tcp" | "iroh";
      readonly address: string;
      readonly reason: string;
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

/**
 * One attempt at an upstream: opens a stream by its transport, or by the first of both that works. Rejects with the
 * NetworkError of the only attempt, or with `connection-failed` and an AggregateError as its cause when both failed.
 * Trying again, with a Backoff, is the caller's.
 */
export async function dialUpstream(
  upstream: UpstreamAddress,
  transports: UpstreamTransports,
  options: DialUpstreamOptions,
): Promise<ByteStream> {
  const attempts = attemptsFor(upstream);
  const errors: NetworkError[] = [];
  for (const { kind, address, reason } of attempts) {
    const event = { transport: kind, address, reason };
    options.onEvent({ type: "dialling", ...event });
    try {
      const stream = await attempt(transports[kind], address, options);
      options.onEvent({ type: "dialled", ...event });
      return stream;
    } catch (cause) {
      const error = networkError(cause, address);
      options.onEvent({ type: "dial-failed", ...event, error });
      if (options.signal.aborted) throw abortError(options.signal, address, "dialling");
      errors.push(error);
    }
  }
  const [first] = errors;
  if (first !== undefined && errors.length === 1) throw first;
  const message = `no transport reaches the upstream: ${errors.map((error) => error.message).join("; ")}`;
  const cause = new AggregateError(errors);
  throw new NetworkError("connection-failed", { peer: first?.peer ?? "", message, cause });
}

interface Attempt {
  readonly kind: "tcp" | "iroh";
  readonly address: string;
  /** Why this one, and why now. */
  readonly reason: string;
}

function attemptsFor(upstream: UpstreamAddress): readonly Attempt[] {
  const address = { tcp: () => tcpAddress(upstream), iroh: () => irohAddress(upstream) };
  const { transport } = upstream;
  if (transport !== "dual") return [{ kind: transport, address: address[transport](), reason: "the only transport" }];
  const first = upstream.prefer ?? "iroh";
  const second = first === "iroh" ? "tcp" : "iroh";
  return [
    { kind: first, address: address[first](), reason: "preferred" },
    { kind: second, address: address[second](), reason: `${first} failed` },
  ];
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
    message: `${peer}: could not be dialled, see the cause`,
    cause,
  });
}
