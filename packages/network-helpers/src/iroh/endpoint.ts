import { createSocket } from "node:dgram";
import { once } from "node:events";
import { NetworkError } from "../errors.ts";
import type { Iroh, NativeBuilder, NativeEndpoint, NativeRelayMode } from "./binding.ts";
import { irohError } from "./fault.ts";
import type { IrohSettings } from "./settings.ts";
import { parseSocketAddress } from "./socket-address.ts";

/**
 * Binds the UDP sockets of one identity. The builder lives only in here: used once more after `bind`, or after one of its
 * errors, it aborts the process. Throws NetworkError "node-initialisation".
 */
export async function bindEndpoint(iroh: Iroh, settings: IrohSettings, secretKey: Uint8Array): Promise<NativeEndpoint> {
  let endpoint: NativeEndpoint | undefined;
  try {
    endpoint = await bindFamilies(iroh, settings, secretKey);
    for (const address of settings.externalAddresses) await endpoint.addExternalAddr(address);
    return endpoint;
  } catch (cause) {
    await endpoint?.close();
    const peer = settings.bind.join(", ");
    const message = `the Iroh node could not bind ${peer}: ${irohError(cause, peer).message}`;
    throw new NetworkError("node-initialisation", { peer, message, cause });
  }
}

/** The family the operator did not name is bound too, unless the host does not have it. */
async function bindFamilies(iroh: Iroh, settings: IrohSettings, secretKey: Uint8Array): Promise<NativeEndpoint> {
  const builder = iroh.binding.Endpoint.builder();
  applyNetwork(iroh, builder, settings.relay);
  builder.secretKey(iroh.toNative(secretKey));
  for (const address of settings.bind) builder.bindAddr(address);
  for (const address of settings.bindOther) if (await isOfThisHost(address)) builder.bindAddr(address);
  return await builder.bind();
}

/** Asked of the system beforehand: a native bind that fails for one family keeps the other's port for a while. */
async function isOfThisHost(address: string): Promise<boolean> {
  const { family = "ipv4", host = "" } = parseSocketAddress(address) ?? {};
  const socket = createSocket(family === "ipv6" ? "udp6" : "udp4");
  try {
    socket.bind(0, host);
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

/** The n0 preset publishes addresses and asks outside servers, so it is used only when "default" says so. */
function applyNetwork(iroh: Iroh, builder: NativeBuilder, relay: IrohSettings["relay"]): void {
  if (relay === "default") {
    builder.applyN0();
    return;
  }
  builder.applyMinimal();
  builder.relayMode(relayMode(iroh, relay));
}

function relayMode({ binding }: Iroh, relay: Exclude<IrohSettings["relay"], "default">): NativeRelayMode {
  if (relay === "disabled") return binding.RelayMode.disabled();
  const map = binding.RelayMap.empty();
  for (const { url, quicPort, authToken } of relay) {
    map.insert({
      url,
      ...(quicPort === undefined ? {} : { quicPort }),
      ...(authToken === undefined ? {} : { authToken }),
    });
  }
  return binding.RelayMode.custom(map);
}
