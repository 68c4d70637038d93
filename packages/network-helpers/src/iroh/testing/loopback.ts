import { IrohNodeManager } from "../iroh-node-manager.ts";
import type { IrohOptions } from "../settings.ts";

const never = new AbortController().signal;

/** A node of a new identity on both loopback addresses, without relays, with what the test overrides. */
export function loopbackNode(options: Partial<IrohOptions & { signal: AbortSignal }> = {}): Promise<IrohNodeManager> {
  return IrohNodeManager.start({
    env: {},
    relay: "disabled",
    bind: ["127.0.0.1:0", "[::1]:0"],
    allowedPeers: [],
    maxConnectionsPerPeer: 2_000,
    signal: never,
    ...options,
  });
}
