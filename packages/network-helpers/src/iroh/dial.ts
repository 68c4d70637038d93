import { Deadline } from "../deadline.ts";
import { abortError, NetworkError } from "../errors.ts";
import { parseIrohAddress } from "./address.ts";
import type { Iroh, NativeBiStream, NativeConnection, NativeEndpoint } from "./binding.ts";
import { closeCodes, irohError } from "./fault.ts";
import { orAbort } from "./or-abort.ts";
import { resolveAddresses } from "./resolve.ts";
import type { IrohSettings } from "./settings.ts";
import type { IrohAddress } from "./ticket.ts";

/** The node that dials. */
export interface DiallingNode {
  readonly iroh: Iroh;
  readonly endpoint: NativeEndpoint;
  readonly endpointId: string;
  readonly settings: IrohSettings;
}

/** Connects and opens the connection's one stream, within the node's dial deadline. Rejects with NetworkError. */
export async function dialIroh(
  node: DiallingNode,
  request: { readonly alpn: string; readonly address: string; readonly signal: AbortSignal },
): Promise<{ readonly connection: NativeConnection; readonly bi: NativeBiStream }> {
  const target = parseIrohAddress(request.address);
  using deadline = new Deadline(request.signal, node.settings.dialTimeoutMs);
  const { signal } = deadline;
  try {
    signal.throwIfAborted();
    const connection = await connect(node, target, { alpn: request.alpn, signal });
    return { connection, bi: await openStream(node.iroh, connection, signal) };
  } catch (error) {
    throw signal.aborted
      ? abortError(signal, target.endpointId, "dialling over Iroh")
      : irohError(error, target.endpointId);
  }
}

async function connect(
  node: DiallingNode,
  target: IrohAddress,
  options: { readonly alpn: string; readonly signal: AbortSignal },
): Promise<NativeConnection> {
  const { iroh, endpoint, settings } = node;
  const relayUrl = settings.relay === "disabled" ? undefined : target.relayUrls[0];
  if (settings.relay === "disabled" && target.relayUrls.length > 0 && target.addresses.length === 0) {
    const message = `${target.endpointId} is reachable through a relay only, but this node's relays are disabled; enable relays or give its addresses`;
    throw new NetworkError("invalid-config", { peer: target.endpointId, message });
  }
  const addresses = await resolveAddresses(target.addresses, {
    signal: options.signal,
    needed: relayUrl === undefined,
  });
  const { EndpointAddr, EndpointId } = iroh.binding;
  const address = new EndpointAddr(EndpointId.fromString(target.endpointId), relayUrl ?? null, addresses);
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
