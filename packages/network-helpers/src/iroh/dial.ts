import { Deadline } from "../deadline.ts";
import { abortError, NetworkError } from "../errors.ts";
import { orAbort } from "../or-abort.ts";
import { type DialAddress, parseDialAddress } from "./address.ts";
import type { Iroh, NativeBiStream, NativeConnection, NativeEndpoint } from "./binding.ts";
import {
  type Discovery,
  DiscoveryFailure,
  type DiscoveryMeans,
  describeSteps,
  discover,
  hasOtherSources,
} from "./discovery.ts";
import { closeCodes, irohError } from "./fault.ts";
import type { IrohSettings } from "./settings.ts";

/** The node that dials. */
export interface DiallingNode {
  readonly iroh: Iroh;
  readonly endpoint: NativeEndpoint;
  readonly settings: IrohSettings;
  /** Endpoint ids that could not be reached by what is known of them: the local network is asked, too, the next time. */
  readonly unreached: Set<string>;
}

/** More endpoint ids than a config names. */
const MAX_UNREACHED = 1000;

/**
 * Finds the peer, connects and opens the connection's one stream, within the node's dial deadline. Rejects with
 * NetworkError; one for want of an answer says what was tried and what each gave.
 *
 * The local network is asked where nothing else is known, or when that has failed: iroh's handshake goes to whichever
 * address answers first, so a neighbour with a false one could spoil dials that work without him.
 */
export async function dialIroh(
  node: DiallingNode,
  request: { readonly alpn: string; readonly address: string; readonly signal: AbortSignal },
): Promise<{ readonly connection: NativeConnection; readonly bi: NativeBiStream }> {
  const target = parseDialAddress(request.address);
  const { endpointId } = target;
  const { dialTimeoutMs, onDiscovery } = node.settings;
  using deadline = new Deadline(request.signal, dialTimeoutMs);
  const { signal } = deadline;
  let discovery: Discovery | undefined;
  try {
    signal.throwIfAborted();
    discovery = await discover(target, { relay: node.settings.relay, lan: lanFor(node, target), signal });
    checkReachable(discovery, node.settings);
    const connection = await connect(node, discovery, { alpn: request.alpn, signal });
    const bi = await openStream(node.iroh, connection, signal);
    node.unreached.delete(endpointId);
    onDiscovery(discovery);
    return { connection, bi };
  } catch (cause) {
    const error = signal.aborted ? abortError(signal, endpointId, "dialling over Iroh") : irohError(cause, endpointId);
    // Who does not know the ALPN has been reached.
    const reached = error.code === "alpn-mismatch";
    if (!reached && node.unreached.size < MAX_UNREACHED) node.unreached.add(endpointId);
    throw discovery === undefined ? error : withSteps(error, discovery);
  }
}

function lanFor({ settings, unreached }: DiallingNode, target: DialAddress): DiscoveryMeans["lan"] {
  const { lan, relay } = settings;
  if (lan === undefined) return "lan_discovery is off";
  if (hasOtherSources(target, relay) && !unreached.has(target.endpointId)) return "asked when the others fail";
  return (endpointId, options) => lan.find(endpointId, options);
}

/** Fails early where a dial could only run into its deadline. An id alone is dialled: iroh may remember it. */
function checkReachable({ endpointId, addresses, relayUrl, steps }: Discovery, { relay }: IrohSettings): void {
  if (addresses.length > 0 || relayUrl !== undefined || relay === "default") return;
  if (steps.some(({ source }) => source === "relay")) {
    const message = `${endpointId} is reachable through a relay only, but this node's relays are disabled; enable relays or give its addresses`;
    throw new NetworkError("invalid-config", { peer: endpointId, message });
  }
  const unresolved = steps.filter(({ source }) => source === "dns");
  if (unresolved.length === 0) return;
  const names = unresolved.map(({ detail }) => detail).join(", ");
  const message = `the name does not resolve (${names}); check it, or give the peer's IP address`;
  throw new NetworkError("peer-discovery-failed", { peer: endpointId, message });
}

/** Whoever reads that a peer was not found or did not answer wants to know where it was looked for. */
function withSteps(error: NetworkError, { steps }: Discovery): NetworkError {
  const { code, peer, message, cause } = error;
  if (code !== "peer-discovery-failed" && code !== "timed-out") return error;
  const told = `${message}; tried: ${describeSteps(steps)}`;
  const why = code === "peer-discovery-failed" ? new DiscoveryFailure(steps, cause) : cause;
  return new NetworkError(code, { peer, message: told, cause: why });
}

async function connect(
  node: DiallingNode,
  discovery: Discovery,
  options: { readonly alpn: string; readonly signal: AbortSignal },
): Promise<NativeConnection> {
  const { iroh, endpoint } = node;
  const { endpointId, relayUrl, addresses } = discovery;
  const { EndpointAddr, EndpointId } = iroh.binding;
  const address = new EndpointAddr(EndpointId.fromString(endpointId), relayUrl ?? null, addresses);
  return orAbort(endpoint.connect(address, iroh.nativeText(options.alpn)), options.signal, (late) =>
    late.close(closeCodes.normal, iroh.nativeText("too late")),
  );
}

async function openStream(iroh: Iroh, connection: NativeConnection, signal: AbortSignal): Promise<NativeBiStream> {
  try {
    // The acceptor opens no streams in this protocol. What the handshake granted it cannot be taken back.
    connection.setMaxConcurrentUniStreams(0n);
    connection.setMaxConcurrentBiStreams(0n);
    return await orAbort(connection.openBi(), signal, () => undefined);
  } catch (error) {
    connection.close(closeCodes.normal, iroh.nativeText("no stream"));
    throw error;
  }
}
