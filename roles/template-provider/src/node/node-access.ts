import type { Network } from "@adit/bitcoin";
import { defaultRpcPort, type NodeAuth } from "@adit/bitcoin-node";

/** What a config says of a node's JSON-RPC: where it is, and a cookie file or user and password. */
export interface RpcSettings {
  readonly coreRpcUrl: string;
  readonly coreRpcPort?: number;
  readonly coreRpcCookiePath?: string;
  readonly coreRpcUser?: string;
  readonly coreRpcPass?: string;
}

/** Where a node's JSON-RPC is: as the settings say, at the network's own port where they name none. */
export function rpcUrl({ coreRpcUrl, coreRpcPort }: RpcSettings, network: Network): string {
  const url = new URL(coreRpcUrl);
  // A URL forgets the port of its own scheme, also where it was written out.
  const namesPort = url.port !== "" || /^\w+:\/\/[^/]*:\d+(?:\/|$)/.test(coreRpcUrl);
  if (!namesPort) url.port = String(coreRpcPort ?? defaultRpcPort(network));
  return url.href;
}

/** How to log in at a node. */
export function rpcAuth({ coreRpcCookiePath, coreRpcUser = "", coreRpcPass = "" }: RpcSettings): NodeAuth {
  if (coreRpcCookiePath !== undefined) return { cookiePath: coreRpcCookiePath };
  return { user: coreRpcUser, password: coreRpcPass };
}
