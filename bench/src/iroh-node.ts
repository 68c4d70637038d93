import { IrohNodeManager } from "@adit/network-helpers/iroh";

/** An Iroh node that reaches this machine and nothing else. */
export function startNode(host = "127.0.0.1", maxConnectionsPerPeer = 16): Promise<IrohNodeManager> {
  return IrohNodeManager.start({
    env: {},
    relay: "disabled",
    bind: [`${host}:0`, "[::1]:0"],
    allowedPeers: [],
    maxConnectionsPerPeer,
    signal: new AbortController().signal,
  });
}
