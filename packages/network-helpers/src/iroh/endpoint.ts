import { NetworkError } from "../errors.ts";
import type { Iroh, NativeBuilder, NativeEndpoint, NativeRelayMode } from "./binding.ts";
import { classifyFault, irohError } from "./fault.ts";
import type { IrohSettings } from "./settings.ts";

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
  const bind = (addresses: readonly string[]): Promise<NativeEndpoint> => {
    const builder = iroh.binding.Endpoint.builder();
    applyNetwork(iroh, builder, settings.relay);
    builder.secretKey(iroh.toNative(secretKey));
    for (const address of addresses) builder.bindAddr(address);
    return builder.bind();
  };
  try {
    return await bind([...settings.bind, ...settings.bindOther]);
  } catch (error) {
    if (settings.bindOther.length === 0 || classifyFault(error).kind !== "addr-unavailable") throw error;
    return bind(settings.bind);
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
