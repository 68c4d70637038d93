import type { Network } from "@adit/bitcoin";
import { z } from "zod";
import type { NodeAuth } from "./credentials.ts";
import { defaultRpcPort } from "./node-faults.ts";

/** Keys of a node's JSON-RPC in a role's config. Spread into a table's shape; check the table with {@link rpcProblems}. */
export const rpcSettings = {
  coreRpcUrl: z
    .url({ protocol: /^http$/, error: "expected a URL like http://127.0.0.1:8332, without user and password" })
    .refine((url) => !url.includes("@"), { error: "user and password go into core_rpc_user and core_rpc_pass" })
    .describe("the node's JSON-RPC address, e.g. http://127.0.0.1:8332; without a port, the network's own is taken"),
  coreRpcPort: z
    .exactOptional(z.int().min(1).max(65_535))
    .describe("port of the JSON-RPC address when core_rpc_url has none; that of the network unless told"),
  coreRpcCookiePath: z
    .exactOptional(z.string().min(1))
    .describe("the node's .cookie file, read again whenever the node has made another; in place of user and password"),
  coreRpcUser: z.exactOptional(z.string().min(1)).describe("user name, when there is no cookie file"),
  coreRpcPass: z.exactOptional(z.string().min(1)).describe("password that goes with core_rpc_user"),
} as const;

/** Keys of a node that is followed besides. */
export const followedNodeSettings = {
  ...rpcSettings,
  zmqHashblock: z
    .exactOptional(z.string().regex(/^(tcp|ipc):\/\/.+$/, "expected tcp://HOST:PORT or ipc://PATH"))
    .describe("the node's zmqpubhashblock address: a new block is seen at once; needs the package zeromq"),
} as const;

/** Keys of a role's table of nodes beside the nodes that it follows. Check the table with {@link nodesProblems}. */
export const nodesSettings = {
  extraSubmit: z
    .array(z.strictObject(rpcSettings))
    .max(16)
    .default([])
    .describe("further nodes that every block is submitted to"),
  pollIntervalSecs: z.number().min(0.05).max(60).default(1).describe("seconds between looks at each node's tip"),
  pollTimeoutSecs: z
    .number()
    .min(0.1)
    .max(60)
    .default(2)
    .describe("longest wait for the answer to such a look, in seconds, before another node is turned to"),
  rpcTimeoutSecs: z.number().min(0.1).max(300).default(10).describe("longest wait for a node's answer, in seconds"),
} as const;

/** What a config says of a node's JSON-RPC: where it is, and a cookie file or user and password. */
export interface RpcSettings {
  readonly coreRpcUrl: string;
  readonly coreRpcPort?: number;
  readonly coreRpcCookiePath?: string;
  readonly coreRpcUser?: string;
  readonly coreRpcPass?: string;
}

/** The same of a node that is followed. */
export interface FollowedNodeSettings extends RpcSettings {
  readonly zmqHashblock?: string;
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

/** Something that a config says wrongly of a node, and where in the table of nodes that stands. */
export interface NodesProblem {
  readonly path: readonly ["nodes" | "extraSubmit", number];
  /** Completes "expected …". */
  readonly message: string;
}

/**
 * What a config says wrongly of its nodes, beyond what their keys alone show. Nodes are told apart by where they are, in
 * logs, metrics and files: none may be listed twice.
 */
export function nodesProblems(
  table: { readonly nodes: readonly RpcSettings[]; readonly extraSubmit: readonly RpcSettings[] },
  network: Network,
): readonly NodesProblem[] {
  const seen = new Set<string>();
  return (["nodes", "extraSubmit"] as const).flatMap((list) =>
    table[list].flatMap((node, at) =>
      rpcProblems(node, network, seen).map((message): NodesProblem => ({ path: [list, at], message })),
    ),
  );
}

/**
 * What a config says wrongly of a node, beyond what its keys alone show: each completes "expected …".
 *
 * @param seen the hosts of the nodes before it, to which its own is added
 */
export function rpcProblems(node: RpcSettings, network: Network, seen: Set<string>): readonly string[] {
  // What is no URL was refused by its own check already; zod asks here all the same.
  if (!URL.canParse(node.coreRpcUrl)) return [];
  return [...loginProblems(node), ...portProblems(node), ...repetition(rpcUrl(node, network), seen)];
}

function loginProblems({ coreRpcCookiePath, coreRpcUser, coreRpcPass }: RpcSettings): readonly string[] {
  const hasPassword = coreRpcUser !== undefined && coreRpcPass !== undefined;
  const hasHalf = (coreRpcUser !== undefined || coreRpcPass !== undefined) && !hasPassword;
  const isFit = !hasHalf && hasPassword !== (coreRpcCookiePath !== undefined);
  return isFit ? [] : ["expected core_rpc_cookie_path, or core_rpc_user and core_rpc_pass"];
}

function portProblems({ coreRpcUrl, coreRpcPort }: RpcSettings): readonly string[] {
  const isTwice = coreRpcPort !== undefined && new URL(coreRpcUrl).port !== "";
  return isTwice ? ["expected the port in core_rpc_url or in core_rpc_port, not in both"] : [];
}

function repetition(url: string, seen: Set<string>): readonly string[] {
  const { host } = new URL(url);
  if (seen.has(host)) return [`expected another node than ${host}, which is listed already`];
  seen.add(host);
  return [];
}
